/** What bash says of errors of files: the words of Linux, and the true reason. */

import { ERRNO } from "./errno.ts";

/** As glibc has them. */
const TEXTS: Readonly<Record<string, string>> = {
  E2BIG: "Argument list too long",
  EACCES: "Permission denied",
  EAGAIN: "Resource temporarily unavailable",
  EBADF: "Bad file descriptor",
  EBUSY: "Device or resource busy",
  EDQUOT: "Disk quota exceeded",
  EEXIST: "File exists",
  EFBIG: "File too large",
  EINVAL: "Invalid argument",
  EIO: "Input/output error",
  EISDIR: "Is a directory",
  ELOOP: "Too many levels of symbolic links",
  EMFILE: "Too many open files",
  ENAMETOOLONG: "File name too long",
  ENOENT: "No such file or directory",
  ENOSPC: "No space left on device",
  ENOTDIR: "Not a directory",
  ENOTEMPTY: "Directory not empty",
  EOPNOTSUPP: "Operation not supported",
  EPERM: "Operation not permitted",
  EROFS: "Read-only file system",
  ETXTBSY: "Text file busy",
  EXDEV: "Invalid cross-device link",
};

const NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(ERRNO).map(([name, number]) => [number, name]),
);

/** An error in the form that the interpreter's commands look at: `ENOENT: no such file …`. */
export class FileError extends Error {
  override readonly name = "FileError";

  constructor(readonly errno: number) {
    const name = NAMES.get(errno) ?? "EIO";
    super(`${name}: ${(TEXTS[name] ?? `error ${errno}`).toLowerCase()}`);
  }
}

const MARKED = /\b(E[A-Z0-9]+): ([a-z][a-z/ -]*)/g;
const GUESSED =
  /^(.*?: (?:cannot [a-z ]+ )?)(['‘]?)([^':‘’]+)(['’]?): (?:No such file or directory|cannot open redirect target)$/gm;

/** Keeps which file could not be used and why, and puts that into what commands print of it. */
export class ErrorTexts {
  /** Most files that are remembered. */
  static readonly MOST = 100;
  readonly #reasons = new Map<string, string>();

  /** Notes an error of a file and gives it back. */
  note(path: string, error: FileError): FileError {
    this.#reasons.delete(path);
    this.#reasons.set(path, textOf(error.message));
    for (const oldest of this.#reasons.keys()) {
      if (this.#reasons.size <= ErrorTexts.MOST) break;
      this.#reasons.delete(oldest);
    }
    return error;
  }

  /** Words errors as Linux does. Commands take most of them for a file that does not exist. */
  word(text: string): string {
    return text
      .replace(MARKED, (marked, name: string, words: string) => {
        const known = TEXTS[name];
        return known !== undefined && known.toLowerCase() === words ? known : marked;
      })
      .replace(GUESSED, (line, head, open, file, close) => {
        const reason = this.#reasonFor(file);
        return reason === undefined ? line : `${head}${open}${file}${close}: ${reason}`;
      });
  }

  #reasonFor(file: string): string | undefined {
    const name = file.replace(/^(?:\.\/)+/, "");
    const paths = [...this.#reasons.keys()].reverse();
    const path = paths.find((path) => path === name || path.endsWith(`/${name}`));
    return path === undefined ? undefined : this.#reasons.get(path);
  }
}

function textOf(message: string): string {
  return message.replace(MARKED, (marked, name: string) => TEXTS[name] ?? marked);
}
