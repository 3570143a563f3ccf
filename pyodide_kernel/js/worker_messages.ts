/** What the broker posts to the worker and the worker to the broker, beside frames. */

import type { HostMount } from "./host_node.ts";

/** Deno permissions of the worker, as the `deno.permissions` option of `Worker` takes them. */
export type WorkerPermissions = Deno.PermissionOptionsObject;

/** What the interpreter is made from, and what is made of it. */
export type SnapshotOrder =
  /** Boot without one. */
  | { readonly use: "none" }
  /** Restore what the file holds, once the host has said that it is intact. */
  | { readonly use: "restore"; readonly path: string }
  /** Boot without one, make one and send it. No cell is run. */
  | { readonly use: "make" };

/** The first message to the worker. */
export interface WorkerInit {
  readonly page: SharedArrayBuffer;
  readonly runtime: {
    /** Folder with `pyodide/`, `python_stdlib.zip` and the image of site-packages. */
    readonly folder: string;
  };
  readonly guest: {
    /** Texts of the guest's own modules, by path below the folder that is put on `sys.path`. */
    readonly sources: Readonly<Record<string, string>>;
    readonly env: Readonly<Record<string, string>>;
    /** Bytes for Python and for files in memory together. */
    readonly memory_limit: number;
    /** Bytes that may be written to mounts; 0 for any. */
    readonly write_limit: number;
    /** Folders and files of the host that the guest sees. */
    readonly mounts?: readonly HostMount[];
    readonly [option: string]: unknown;
  };
  readonly snapshot?: SnapshotOrder | undefined;
}

/** Asks the worker to look whether the cell that an interrupt is meant for is waiting. */
export interface InterruptNotice {
  readonly interrupt: true;
}
