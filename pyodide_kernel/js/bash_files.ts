/**
 * The interpreter's files: those of Emscripten, and so Python's and the mounted ones of the host.
 *
 * Paths are absolute; errors are `FileError`s. Everything is done at once, but given as promises,
 * which is what the interpreter expects.
 */

import { type ErrorTexts, FileError } from "./bash_errors.ts";
import {
  type Attributes,
  type FileSystem,
  O_APPEND,
  O_CREAT,
  O_TRUNC,
  O_WRONLY,
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
} from "./emscripten.ts";
import { ERRNO } from "./errno.ts";

/** What is written as text is UTF-8; as binary, each character is a byte. */
export type Encoding = "utf8" | "utf-8" | "binary" | "latin1" | "ascii";

/** The option for an encoding, as it may come. */
export type EncodingOption = Encoding | { readonly encoding?: Encoding | null } | null;

/** What the interpreter is told of a file. */
export interface BashStat {
  readonly isFile: boolean;
  readonly isDirectory: boolean;
  readonly isSymbolicLink: boolean;
  readonly mode: number;
  readonly size: number;
  readonly mtime: Date;
  readonly dev: number;
  readonly ino: number;
  /** Says of two paths whether they name one file. */
  readonly identity: string;
}

/** A name in a folder. */
export interface BashEntry {
  readonly name: string;
  readonly isFile: boolean;
  readonly isDirectory: boolean;
  readonly isSymbolicLink: boolean;
}

/** Takes what is written to a path that is no file. */
export type Sink = (bytes: Uint8Array<ArrayBuffer>) => void;

/** Where the interpreter looks whether its own commands count, although no files are there. */
const PROGRAMS = "/usr/bin";

/** Milliseconds after which others get their turn. */
const BREATH_MS = 25;

const COPY_BYTES = 1 << 20;

/** Devices without an end, of which the interpreter gets this much: it reads files as a whole. */
const ENDLESS: ReadonlySet<string> = new Set(["/dev/zero", "/dev/random", "/dev/urandom"]);
const ENDLESS_BYTES = 1 << 20;
/** Most that Web Cryptography gives at once. */
const RANDOM_BYTES = 1 << 16;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Implements the interpreter's interface of a file system. */
export class BashFiles {
  readonly #fs: FileSystem;
  readonly #errors: ErrorTexts;
  readonly #sinks: ReadonlyMap<string, Sink>;
  #breath = performance.now();

  /** `sinks` are paths outside of the file system. */
  constructor(fs: FileSystem, errors: ErrorTexts, sinks: ReadonlyMap<string, Sink>) {
    this.#fs = fs;
    this.#errors = errors;
    this.#sinks = sinks;
  }

  async readFile(path: string, options?: EncodingOption): Promise<string> {
    const bytes = await this.readFileBuffer(path);
    return isBinary(options) ? latin1(bytes) : decoder.decode(bytes);
  }

  async readFileBytes(path: string): Promise<string> {
    return latin1(await this.readFileBuffer(path));
  }

  readFileBuffer(path: string): Promise<Uint8Array<ArrayBuffer>> {
    return this.#do(path, (fs) => {
      if (ENDLESS.has(path)) return endless(path !== "/dev/zero");
      if (isFolder(fs.stat(path))) this.#fail(ERRNO.EISDIR);
      return fs.readFile(path, { encoding: "binary" });
    });
  }

  writeFile(path: string, content: string | Uint8Array, options?: EncodingOption): Promise<void> {
    return this.#write(path, bytesOf(content, options), O_TRUNC);
  }

  appendFile(path: string, content: string | Uint8Array, options?: EncodingOption): Promise<void> {
    return this.#write(path, bytesOf(content, options), O_APPEND);
  }

  #write(path: string, bytes: Uint8Array<ArrayBuffer>, how: number): Promise<void> {
    const sink = this.#sinks.get(path);
    return this.#do(path, (fs) => {
      if (sink !== undefined) return sink(bytes);
      fs.writeFile(path, bytes, { flags: O_WRONLY | O_CREAT | how });
    });
  }

  /** Whether it is no file of Emscripten's. */
  #isOurs(path: string): boolean {
    return this.#sinks.has(path) || ENDLESS.has(path);
  }

  async exists(path: string): Promise<boolean> {
    if (this.#isOurs(path)) return true;
    // A folder of that name would hide all commands.
    if (path === PROGRAMS) return false;
    try {
      await this.#do(path, (fs) => fs.stat(path));
      return true;
    } catch {
      return false;
    }
  }

  async stat(path: string): Promise<BashStat> {
    if (this.#isOurs(path)) return OUR_STAT;
    return statOf(await this.#do(path, (fs) => fs.stat(path)));
  }

  async lstat(path: string): Promise<BashStat> {
    if (this.#isOurs(path)) return OUR_STAT;
    return statOf(await this.#do(path, (fs) => fs.lstat(path)));
  }

  mkdir(path: string, options?: { readonly recursive?: boolean }): Promise<void> {
    return this.#do(path, (fs) => {
      if (!options?.recursive) return void fs.mkdir(path);
      const names = path.split("/");
      for (let count = 2; count <= names.length; count++) {
        const folder = names.slice(0, count).join("/");
        const there = this.#look(folder);
        if (there === undefined) fs.mkdir(folder);
        else if (!isFolder(there)) this.#fail(ERRNO.EEXIST);
      }
    });
  }

  /** The attributes, or undefined if there is nothing. */
  #look(path: string): Attributes | undefined {
    try {
      return this.#fs.stat(path);
    } catch (error) {
      if (this.#errno(error) === ERRNO.ENOENT) return undefined;
      throw error;
    }
  }

  readdir(path: string): Promise<string[]> {
    return this.#do(path, () => this.#names(path));
  }

  readdirWithFileTypes(path: string): Promise<BashEntry[]> {
    return this.#do(path, (fs) =>
      this.#names(path).map((name) => {
        const { isFile, isDirectory, isSymbolicLink } = statOf(fs.lstat(join(path, name)));
        return { name, isFile, isDirectory, isSymbolicLink };
      }));
  }

  #names(path: string): string[] {
    if (!isFolder(this.#fs.stat(path))) this.#fail(ERRNO.ENOTDIR);
    return this.#fs.readdir(path).filter((name) => name !== "." && name !== "..").sort();
  }

  async rm(
    path: string,
    options?: { readonly recursive?: boolean; readonly force?: boolean },
  ): Promise<void> {
    try {
      await this.#do(path, () => this.#remove(path, options?.recursive === true));
    } catch (error) {
      const missing = error instanceof FileError && error.errno === ERRNO.ENOENT;
      if (!(missing && options?.force)) throw error;
    }
  }

  #remove(path: string, recursive: boolean): void {
    const fs = this.#fs;
    if (!isFolder(fs.lstat(path))) return fs.unlink(path);
    if (recursive) { for (const name of this.#names(path)) this.#remove(join(path, name), true); }
    fs.rmdir(path);
  }

  cp(from: string, to: string, options?: { readonly recursive?: boolean }): Promise<void> {
    return this.#do(to, () => this.#copy(from, to, options?.recursive === true));
  }

  #copy(from: string, to: string, recursive: boolean): void {
    const fs = this.#fs;
    const attributes = fs.lstat(from);
    if (isFolder(attributes)) {
      if (!recursive) this.#fail(ERRNO.EISDIR);
      if (`${to}/`.startsWith(`${from}/`)) this.#fail(ERRNO.EINVAL);
      if (this.#look(to) === undefined) fs.mkdir(to, attributes.mode & 0o7777);
      for (const name of this.#names(from)) this.#copy(join(from, name), join(to, name), true);
    } else if (recursive && (attributes.mode & S_IFMT) === S_IFLNK) {
      fs.symlink(fs.readlink(from), to);
    } else {
      this.#copyFile(from, to, attributes.mode & 0o777);
    }
  }

  #copyFile(from: string, to: string, mode: number): void {
    const fs = this.#fs;
    const source = fs.open(from, 0);
    try {
      const target = fs.open(to, O_WRONLY | O_CREAT | O_TRUNC, mode);
      try {
        const piece = new Uint8Array(COPY_BYTES);
        while (true) {
          const count = fs.read(source, piece, 0, piece.length);
          if (count === 0) break;
          for (let done = 0; done < count;) {
            done += fs.write(target, piece, done, count - done);
          }
        }
      } finally {
        fs.close(target);
      }
    } finally {
      fs.close(source);
    }
  }

  mv(from: string, to: string): Promise<void> {
    return this.#do(to, (fs) => {
      try {
        fs.rename(from, to);
      } catch (error) {
        if (this.#errno(error) !== ERRNO.EXDEV) throw error;
        this.#copy(from, to, true);
        this.#remove(from, true);
      }
    });
  }

  resolvePath(base: string, path: string): string {
    const names: string[] = [];
    for (const name of (path.startsWith("/") ? path : `${base}/${path}`).split("/")) {
      if (name === "..") names.pop();
      else if (name !== "" && name !== ".") names.push(name);
    }
    return `/${names.join("/")}`;
  }

  /** None: what is wanted is looked up in folders. */
  getAllPaths(): string[] {
    return [];
  }

  chmod(path: string, mode: number): Promise<void> {
    return this.#do(path, (fs) => fs.chmod(path, mode));
  }

  symlink(target: string, path: string): Promise<void> {
    return this.#do(path, (fs) => void fs.symlink(target, path));
  }

  /** Refused: there are no hard links in Emscripten. */
  link(_existing: string, path: string): Promise<void> {
    return this.#do(path, () => this.#fail(ERRNO.EPERM));
  }

  readlink(path: string): Promise<string> {
    return this.#do(path, (fs) => fs.readlink(path));
  }

  realpath(path: string): Promise<string> {
    return this.#do(path, (fs) => {
      fs.stat(path);
      return fs.lookupPath(path, { follow: true }).path;
    });
  }

  utimes(path: string, atime: Date, mtime: Date): Promise<void> {
    return this.#do(path, (fs) => fs.utime(path, atime.getTime(), mtime.getTime()));
  }

  async #do<Result>(path: string, action: (fs: FileSystem) => Result): Promise<Result> {
    if (performance.now() - this.#breath > BREATH_MS) {
      // Only between two tasks can output be sent and a message be received.
      await new Promise((resolve) => setTimeout(resolve));
      this.#breath = performance.now();
    }
    try {
      if (path.includes("\0")) this.#fail(ERRNO.ENOENT);
      return action(this.#fs);
    } catch (error) {
      throw this.#errors.note(path, new FileError(this.#errno(error)));
    }
  }

  /** The number of an error. Throws what is none of a file. */
  #errno(error: unknown): number {
    if (error instanceof this.#fs.ErrnoError || error instanceof FileError) return error.errno;
    throw error;
  }

  #fail(errno: number): never {
    throw new this.#fs.ErrnoError(errno);
  }
}

function statOf({ mode, size, mtime, dev, ino }: Attributes): BashStat {
  const type = mode & S_IFMT;
  return {
    isFile: type === S_IFREG,
    isDirectory: type === S_IFDIR,
    isSymbolicLink: type === S_IFLNK,
    mode: mode & 0o7777,
    size,
    mtime,
    dev,
    ino,
    identity: `${dev}:${ino}`,
  };
}

const OUR_STAT: BashStat = {
  isFile: true,
  isDirectory: false,
  isSymbolicLink: false,
  mode: 0o600,
  size: 0,
  mtime: new Date(0),
  dev: 0,
  ino: 0,
  identity: "ours",
};

function endless(random: boolean): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(ENDLESS_BYTES);
  for (let start = 0; random && start < bytes.length; start += RANDOM_BYTES) {
    crypto.getRandomValues(bytes.subarray(start, start + RANDOM_BYTES));
  }
  return bytes;
}

function isFolder({ mode }: Attributes): boolean {
  return (mode & S_IFMT) === S_IFDIR;
}

function join(folder: string, name: string): string {
  return folder === "/" ? `/${name}` : `${folder}/${name}`;
}

function isBinary(options: EncodingOption | undefined): boolean {
  const encoding = typeof options === "string" ? options : options?.encoding;
  return encoding === "binary" || encoding === "latin1" || encoding === "ascii";
}

function bytesOf(
  content: string | Uint8Array,
  options: EncodingOption | undefined,
): Uint8Array<ArrayBuffer> {
  if (typeof content !== "string") return new Uint8Array(content);
  return isBinary(options) ? fromLatin1(content) : encoder.encode(content);
}

/** A text of which each character is a byte. */
export function latin1(bytes: Uint8Array): string {
  const pieces: string[] = [];
  for (let start = 0; start < bytes.length; start += 8192) {
    pieces.push(String.fromCharCode(...bytes.subarray(start, start + 8192)));
  }
  return pieces.join("");
}

/** The bytes of such a text. */
export function fromLatin1(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(text.length);
  for (let index = 0; index < text.length; index++) bytes[index] = text.charCodeAt(index);
  return bytes;
}
