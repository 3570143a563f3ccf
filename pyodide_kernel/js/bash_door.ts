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
    // What a literal names is read and parsed when the kernel starts. For this the worker may read
    // the files of the shell (see worker_permissions in bridge/deno.py).
    const program = new URL("./bash.ts", import.meta.url).href;
    const module: typeof import("./bash.ts") = await import(program);
    const library: Library = await import(`file://${this.#folder}/bash/just-bash.mjs`);
    return new module.Bash(library, this.#fs, interrupts);
  }
}
