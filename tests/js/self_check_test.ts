/** The self-check, with permissions as they should be and as they never should. */

import assert from "node:assert/strict";

import { checkFence, checkSystemFence } from "../../pyodide_kernel/js/self_check.ts";

const denied = { read: false, net: false } as const;

Deno.test({
  name: "checkFence() passes where nothing may be read or reached",
  permissions: denied,
  fn: () => checkFence(),
});

Deno.test("checkFence() fails where something is allowed", async () => {
  const attempts = { "reading a file": (): unknown => Deno.statSync(new URL(import.meta.url)) };
  await assert.rejects(checkFence(attempts), /reading a file was not refused/);
});

Deno.test({
  name: "checkFence() fails where the permission is there, but nothing answers",
  permissions: denied,
  fn: () => {
    const attempts = {
      connecting: (): never => {
        throw new Deno.errors.ConnectionRefused("nobody listens");
      },
    };
    return assert.rejects(checkFence(attempts), /connecting was not refused/);
  },
});

Deno.test("checkSystemFence() fails on a file that can be opened", () => {
  const path = new URL(import.meta.url).pathname;
  assert.throws(() => checkSystemFence(path), /Landlock let .* be read/);
});

Deno.test({
  name: "checkSystemFence() fails where Deno refuses, since that proves nothing",
  permissions: denied,
  fn: () => assert.throws(() => checkSystemFence("/etc/hostname"), /NotCapable/),
});

Deno.test("checkSystemFence() fails on a file that does not exist", () => {
  const path = new URL("./no_such_file", import.meta.url).pathname;
  assert.throws(() => checkSystemFence(path), /NotFound/);
});
