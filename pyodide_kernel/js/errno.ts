/**
 * What the host's errors are called in WebAssembly.
 *
 * Emscripten ends the interpreter for every exception of a file system that is not an ErrnoError, so
 * each one that Deno may throw has a number here, and one that nobody foresaw is EIO.
 */

/** Numbers of WASI, which are musl's for WebAssembly; those of the host's system differ. */
export const ERRNO = {
  E2BIG: 1,
  EACCES: 2,
  EAGAIN: 6,
  EBADF: 8,
  EBUSY: 10,
  ECANCELED: 11,
  EDEADLK: 16,
  EDQUOT: 19,
  EEXIST: 20,
  EFAULT: 21,
  EFBIG: 22,
  EILSEQ: 25,
  EINTR: 27,
  EINVAL: 28,
  EIO: 29,
  EISDIR: 31,
  ELOOP: 32,
  EMFILE: 33,
  EMLINK: 34,
  ENAMETOOLONG: 37,
  ENFILE: 41,
  ENODEV: 43,
  ENOENT: 44,
  ENOLCK: 46,
  ENOMEM: 48,
  ENOSPC: 51,
  ENOSYS: 52,
  ENOTDIR: 54,
  ENOTEMPTY: 55,
  ENOTTY: 59,
  ENXIO: 60,
  EOVERFLOW: 61,
  EPERM: 63,
  EPIPE: 64,
  ERANGE: 68,
  EROFS: 69,
  ESPIPE: 70,
  ESTALE: 72,
  ETIMEDOUT: 73,
  ETXTBSY: 74,
  EXDEV: 75,
  EOPNOTSUPP: 138,
} as const;

type Name = keyof typeof ERRNO;

const OF_CLASS: ReadonlyMap<string, Name> = new Map(Object.entries({
  AlreadyExists: "EEXIST",
  BadResource: "EBADF",
  Busy: "EBUSY",
  FilesystemLoop: "ELOOP",
  Interrupted: "EINTR",
  IsADirectory: "EISDIR",
  NotADirectory: "ENOTDIR",
  NotCapable: "EACCES",
  NotFound: "ENOENT",
  NotSupported: "EOPNOTSUPP",
  PermissionDenied: "EACCES",
  TimedOut: "ETIMEDOUT",
  WouldBlock: "EAGAIN",
}));

// Deno gives most errors of the system a `code`, and all of them `(os error N)` in the message.
// deno-fmt-ignore
const UNIX: Readonly<Record<number, Name>> = {
  1: "EPERM", 2: "ENOENT", 4: "EINTR", 5: "EIO", 6: "ENXIO", 7: "E2BIG", 9: "EBADF", 12: "ENOMEM",
  13: "EACCES", 14: "EFAULT", 16: "EBUSY", 17: "EEXIST", 18: "EXDEV", 19: "ENODEV", 20: "ENOTDIR",
  21: "EISDIR", 22: "EINVAL", 23: "ENFILE", 24: "EMFILE", 25: "ENOTTY", 26: "ETXTBSY", 27: "EFBIG",
  28: "ENOSPC", 29: "ESPIPE", 30: "EROFS", 31: "EMLINK", 32: "EPIPE", 34: "ERANGE",
};

// deno-fmt-ignore
const OF_SYSTEM: Readonly<Record<string, Readonly<Record<number, Name>>>> = {
  linux: {
    ...UNIX, 11: "EAGAIN", 35: "EDEADLK", 36: "ENAMETOOLONG", 37: "ENOLCK", 38: "ENOSYS",
    39: "ENOTEMPTY", 40: "ELOOP", 75: "EOVERFLOW", 84: "EILSEQ", 95: "EOPNOTSUPP",
    110: "ETIMEDOUT", 116: "ESTALE", 122: "EDQUOT", 125: "ECANCELED",
  },
  darwin: {
    ...UNIX, 11: "EDEADLK", 35: "EAGAIN", 45: "EOPNOTSUPP", 60: "ETIMEDOUT", 62: "ELOOP",
    63: "ENAMETOOLONG", 66: "ENOTEMPTY", 69: "EDQUOT", 70: "ESTALE", 77: "ENOLCK", 78: "ENOSYS",
    84: "EOVERFLOW", 89: "ECANCELED", 92: "EILSEQ", 102: "EOPNOTSUPP",
  },
  windows: {
    2: "ENOENT", 3: "ENOENT", 4: "EMFILE", 5: "EACCES", 6: "EBADF", 8: "ENOMEM", 17: "EXDEV",
    19: "EROFS", 32: "EBUSY", 33: "EBUSY", 39: "ENOSPC", 80: "EEXIST", 87: "EINVAL",
    112: "ENOSPC", 123: "EINVAL", 145: "ENOTEMPTY", 183: "EEXIST", 206: "ENAMETOOLONG",
    267: "ENOTDIR", 1920: "EACCES",
  },
};

function isName(name: unknown): name is Name {
  return typeof name === "string" && Object.hasOwn(ERRNO, name);
}

/** The name of an error that a call of the host threw; EIO if it is none that anybody foresaw. */
export function errorName(error: unknown, system: string = Deno.build.os): Name {
  if (!(error instanceof Error)) return "EIO";
  const code = Object.hasOwn(error, "code") ? (error as { readonly code?: unknown }).code : "";
  if (isName(code)) return code;
  // What Deno itself refuses has a path of the caller's in its message, and no number.
  if (!(error instanceof Deno.errors.NotCapable)) {
    const number = /\(os error (\d+)\)/.exec(error.message)?.[1];
    const name = OF_SYSTEM[system]?.[Number(number)];
    if (name !== undefined) return name;
  }
  return OF_CLASS.get(error.name) ?? "EIO";
}

/**
 * Gives Deno's refusals the `code` of a refusal by the system.
 *
 * The file systems that come with Emscripten, which a user can mount from JavaScript, look for it and
 * end the interpreter where it is missing (denoland/deno#32583).
 */
export function nameRefusals(): void {
  for (const refusal of [Deno.errors.NotCapable, Deno.errors.PermissionDenied]) {
    Object.defineProperty(refusal.prototype, "code", {
      value: "EACCES",
      configurable: true,
      writable: true,
    });
  }
}
