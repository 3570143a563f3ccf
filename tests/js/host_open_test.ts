import assert from "node:assert/strict";

import {
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_PATH,
  O_RDWR,
  O_TRUNC,
  O_WRONLY,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFREG,
  S_IFSOCK,
} from "../../pyodide_kernel/js/emscripten.ts";
import { ERRNO } from "../../pyodide_kernel/js/errno.ts";
import { refusal } from "../../pyodide_kernel/js/host_open.ts";

const NEW = O_WRONLY | O_CREAT | O_TRUNC;

Deno.test("refusal() lets files be opened, created and emptied", () => {
  assert.equal(refusal(S_IFREG, 0, true, false), 0);
  assert.equal(refusal(S_IFREG, NEW, true, false), 0);
  assert.equal(refusal(undefined, NEW, true, false), 0);
  assert.equal(refusal(undefined, NEW | O_EXCL, true, false), 0);
  assert.equal(refusal(S_IFDIR, O_DIRECTORY, true, true), 0);
});

Deno.test("refusal() names what is wrong with the place", () => {
  assert.equal(refusal(undefined, O_RDWR, true, false), ERRNO.ENOENT);
  assert.equal(refusal(S_IFREG, O_CREAT | O_EXCL, true, false), ERRNO.EEXIST);
  assert.equal(refusal(S_IFDIR, O_WRONLY, true, false), ERRNO.EISDIR);
  assert.equal(refusal(S_IFDIR, O_CREAT, true, false), ERRNO.EISDIR);
  assert.equal(refusal(S_IFREG, O_DIRECTORY, true, false), ERRNO.ENOTDIR);
  assert.equal(refusal(undefined, O_DIRECTORY | O_CREAT, true, false), ERRNO.EINVAL);
  assert.equal(refusal(S_IFREG, 0, true, true), ERRNO.ENOTDIR);
  assert.equal(refusal(undefined, NEW, true, true), ERRNO.EISDIR);
  assert.equal(refusal(S_IFLNK, 0, true, false), ERRNO.ELOOP);
});

Deno.test("refusal() keeps what could block or is no file closed", () => {
  for (const type of [S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK]) {
    for (const flags of [0, O_WRONLY, O_RDWR, NEW]) {
      assert.equal(refusal(type, flags, true, false), ERRNO.EACCES);
    }
    assert.equal(refusal(type, O_PATH, true, false), 0);
  }
});

Deno.test("refusal() lets a read-only mount be read only", () => {
  assert.equal(refusal(S_IFREG, 0, false, false), 0);
  assert.equal(refusal(S_IFDIR, 0, false, false), 0);
  for (const flags of [O_WRONLY, O_RDWR, O_TRUNC, NEW]) {
    assert.equal(refusal(S_IFREG, flags, false, false), ERRNO.EROFS);
  }
  assert.equal(refusal(undefined, O_CREAT, false, false), ERRNO.EROFS);
  assert.equal(refusal(undefined, O_WRONLY, false, false), ERRNO.ENOENT);
});
