import assert from "node:assert/strict";

import { STDIN_CHUNK_BYTES } from "../../pyodide_kernel/js/messages.ts";
import * as shared from "../../pyodide_kernel/js/shared_cells.ts";
import { woken } from "./fake_worker.ts";

const { sharedPage, wake } = shared;

Deno.test("sharedPage() gives views on one zeroed page", () => {
  const page = sharedPage();
  assert(page.cells.every((cell) => cell === 0));
  assert.equal(page.piece.length, STDIN_CHUNK_BYTES);
  assert.equal(page.cells.buffer, page.piece.buffer);
});

Deno.test("sharedPage() gives both sides the same cells, apart from the piece", () => {
  const page = sharedPage();
  const other = sharedPage(page.cells.buffer);
  page.cells.fill(-1);
  assert(other.cells.every((cell) => cell === -1));
  assert(other.piece.every((byte) => byte === 0));
});

Deno.test("sharedPage() refuses a page that is too small", () => {
  assert.throws(() => sharedPage(new SharedArrayBuffer(64)), RangeError);
});

Deno.test("cells have an index each, inside the page", () => {
  const { SIGNAL, FUTEX, ANSWER, ANSWER_LENGTH, IN_FLIGHT, DIRTY } = shared;
  const indices = [SIGNAL, FUTEX, ANSWER, ANSWER_LENGTH, IN_FLIGHT, DIRTY];
  assert.equal(new Set(indices).size, indices.length);
  assert(indices.every((index) => index >= 0 && index < sharedPage().cells.length));
});

Deno.test("wake() counts up and wakes who waits on the futex", async () => {
  const page = sharedPage();
  const waiting = Atomics.waitAsync(page.cells, shared.FUTEX, 0);
  wake(page);
  assert.equal(await woken(waiting), "ok");
  assert.equal(page.cells[shared.FUTEX], 1);
});

Deno.test("wake() before a wait makes the wait return at once", () => {
  const page = sharedPage();
  const seen = Atomics.load(page.cells, shared.FUTEX);
  wake(page);
  assert.deepEqual(Atomics.waitAsync(page.cells, shared.FUTEX, seen), {
    async: false,
    value: "not-equal",
  });
});
