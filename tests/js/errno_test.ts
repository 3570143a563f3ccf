import assert from "node:assert/strict";

import { ERRNO, errorName, nameRefusals } from "../../pyodide_kernel/js/errno.ts";

function caught(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  return assert.fail("Nothing was thrown");
}

Deno.test("errorName() takes the code of an error of the system", () => {
  assert.equal(errorName(caught(() => Deno.statSync("tests/js/missing"))), "ENOENT");
  assert.equal(errorName(caught(() => Deno.statSync("tests/js/errno_test.ts/x"))), "ENOTDIR");
  const long = caught(() => Deno.statSync(`tests/js/${"x".repeat(300)}`));
  assert.equal(errorName(long), "ENAMETOOLONG");
});

Deno.test("errorName() reads the number where Deno gives no code", () => {
  const error = new Error("File too large (os error 27): write '/a (os error 13)'");
  assert.equal(errorName(error, "linux"), "EFBIG");
  assert.equal(errorName(new Error("Quota (os error 122)"), "linux"), "EDQUOT");
  assert.equal(errorName(new Error("Quota (os error 69)"), "darwin"), "EDQUOT");
  assert.equal(errorName(new Error("Full (os error 112)"), "windows"), "ENOSPC");
});

Deno.test("errorName() takes a refusal by Deno for a refusal, whatever its path says", () => {
  const denied = caught(() => Deno.mkdirSync("/somewhere (os error 2)"));
  assert(denied instanceof Deno.errors.NotCapable);
  assert.equal(errorName(denied), "EACCES");
});

Deno.test("errorName() knows Deno's classes", () => {
  const { errors } = Deno;
  assert.equal(errorName(new errors.BadResource("Bad resource ID")), "EBADF");
  assert.equal(errorName(new errors.FilesystemLoop("")), "ELOOP");
  assert.equal(errorName(new errors.NotSupported("")), "EOPNOTSUPP");
  assert.equal(errorName(new errors.PermissionDenied("")), "EACCES");
});

Deno.test("errorName() calls EIO what nobody foresaw", () => {
  const odd = new Error("(os error 99999)");
  odd.name = "constructor";
  const coded = Object.assign(new Error(), { code: "toString" });
  for (const value of [odd, coded, new RangeError(), "text", null, undefined, 7, {}]) {
    assert.equal(errorName(value, "linux"), "EIO");
    assert.equal(errorName(value, "plan9"), "EIO");
  }
});

Deno.test("errno numbers are those of WASI, each once", () => {
  const numbers = Object.values(ERRNO);
  assert.equal(new Set(numbers).size, numbers.length);
  assert.deepEqual([ERRNO.EACCES, ERRNO.ENOENT, ERRNO.EROFS, ERRNO.EXDEV], [2, 44, 69, 75]);
});

Deno.test("nameRefusals() gives refusals the code that others look for", () => {
  nameRefusals();
  nameRefusals();
  const denied = caught(() => Deno.mkdirSync("/somewhere")) as { code?: unknown };
  assert.equal(denied.code, "EACCES");
  const missing = caught(() => Deno.statSync("tests/js/missing")) as { code?: unknown };
  assert.equal(missing.code, "ENOENT");
});
