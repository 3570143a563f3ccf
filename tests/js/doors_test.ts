import assert from "node:assert/strict";

import { BashDoor } from "../../pyodide_kernel/js/bash_door.ts";
import { Doors } from "../../pyodide_kernel/js/doors.ts";
import type { EmscriptenModule } from "../../pyodide_kernel/js/emscripten.ts";
import { Fetches } from "../../pyodide_kernel/js/fetches.ts";
import { PackageImages } from "../../pyodide_kernel/js/package_images.ts";
import {
  ANSWER,
  ANSWER_LENGTH,
  PIECE_LAST,
  PIECE_NONE,
  type SharedPage,
  sharedPage,
  SIGINT,
  SIGNAL,
} from "../../pyodide_kernel/js/shared_cells.ts";

/** Runs `action` with a broker that reacts at once to what the worker posts. */
function withBroker<Value>(react: (question: number) => void, action: () => Value): Value {
  const scope = globalThis as unknown as { postMessage: unknown };
  const former = scope.postMessage;
  scope.postMessage = ({ question }: { question: number }): void => react(question);
  try {
    return action();
  } finally {
    scope.postMessage = former;
  }
}

function answer(page: SharedPage, question: number): void {
  page.piece.set([1, 2, 3]);
  page.cells[ANSWER_LENGTH] = 3;
  page.cells[ANSWER] = question * 4 + PIECE_LAST;
}

function ask(page: SharedPage): Uint8Array | undefined {
  const module = {} as EmscriptenModule;
  const bash = new BashDoor("", module.FS);
  const doors = new Doors(page, () => 0, new Fetches(), new PackageImages(module), bash);
  return doors.ask("input_request", "q", "", new Uint8Array(2));
}

Deno.test("Doors.ask() gives the answer to its question", () => {
  const page = sharedPage();
  const given = withBroker((question) => answer(page, question), () => ask(page));
  assert.deepEqual(given, Uint8Array.of(1, 2, 3));
  assert.equal(page.cells[ANSWER], PIECE_NONE);
});

Deno.test("Doors.ask() ends by an interrupt, though an answer came after that", () => {
  const page = sharedPage();
  const react = (question: number): void => {
    page.cells[SIGNAL] = SIGINT;
    answer(page, question);
  };
  assert.equal(withBroker(react, () => ask(page)), undefined);
  assert.equal(page.cells[SIGNAL], SIGINT, "Python takes it");
});
