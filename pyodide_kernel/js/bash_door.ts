/** Loads the shell when it is wanted: most sessions never do. */

import type { Bash, Interrupts, Library } from "./bash.ts";
import type { FileSystem } from "./emscripten.ts";

/** The way to the shell. */
export class BashDoor {
  readonly #folder: string;
  readonly #fs: FileSystem;
  #bash: Promise<Bash> | undefined;

  /** `folder` is that of the runtime. */
  constructor(folder: string, fs: FileSystem) {
    this.#folder = folder;
    this.#fs = fs;
  }

  /** The shell, loaded once. */
  load(interrupts: Interrupts): Promise<Bash> {
    return this.#bash ??= this.#load(interrupts);
  }

  async #load(interrupts: Interrupts): Promise<Bash> {
    const module = await import("./bash.ts");
    const library: Library = await import(`file://${this.#folder}/bash/just-bash.mjs`);
    return new module.Bash(library, this.#fs, interrupts);
  }
}
