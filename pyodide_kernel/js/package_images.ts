/**
 * Packages while they are loaded: images that the host has made, shown to Python as folders.
 *
 * The guest names the folder of an image, as the host told it; what may be read at all is decided by
 * Deno's permissions and the operating system.
 */

import type { EmscriptenModule } from "./emscripten.ts";
import { type ImageFolder, type ImageIndex, mountImages } from "./files.ts";

/** Where modules are. */
export const PACKAGES = "/lib/packages";
/** Where the dynamic linker looks for libraries that several packages share. */
export const LIBRARIES = "/lib/libraries";

/** The folders of loaded packages; each is mounted when something comes into it. */
export class PackageImages {
  #module: EmscriptenModule;
  #folders = new Map<string, ImageFolder>();
  #open = new Map<string, Deno.FsFile>();

  constructor(module: EmscriptenModule) {
    this.#module = module;
  }

  /** Shows an image; `library` for one of shared libraries. Throws if it can't be read. */
  add(image: string, library: boolean): void {
    if (this.#open.has(image)) return;
    const blob = Deno.openSync(`${image}/files.bin`);
    this.#folder(library).add(readIndex(image), blob);
    this.#open.set(image, blob);
  }

  /** Takes a package away again. Throws if its image can't be read any more. */
  remove(image: string): void {
    const blob = this.#open.get(image);
    if (blob === undefined) return;
    this.#folder(false).remove(readIndex(image), blob);
    this.#open.delete(image);
    blob.close();
  }

  #folder(library: boolean): ImageFolder {
    const path = library ? LIBRARIES : PACKAGES;
    let folder = this.#folders.get(path);
    if (folder === undefined) {
      this.#module.FS.mkdirTree(path);
      folder = mountImages(this.#module, path);
      this.#folders.set(path, folder);
    }
    return folder;
  }
}

function readIndex(image: string): ImageIndex {
  return JSON.parse(Deno.readTextFileSync(`${image}/files.json`));
}
