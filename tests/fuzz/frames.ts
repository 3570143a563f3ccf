/** Frames for the broker: whatever arrives is frames or one of three errors. `COUNT SEED` */

import { FrameDecoder, isId } from "../../pyodide_kernel/js/framing.ts";
import { HOST_TYPES, MAX_MESSAGE_BYTES } from "../../pyodide_kernel/js/messages.ts";

const golden = Deno.readFileSync(new URL("../golden/from_host.bin", import.meta.url));
const types: ReadonlySet<string> = new Set(HOST_TYPES);
const count = Number(Deno.args[0]);
let state = Number(Deno.args[1]) >>> 0;

/** An integer from 0 up to `limit`, which is left out. */
function below(limit: number): number {
  state = Math.imul(state ^ state >>> 15, 0x2c1b3c6d) + 0x9e3779b9 >>> 0;
  return (state ^ state >>> 13) % limit;
}

function pick<Value>(values: readonly Value[]): Value | undefined {
  return values[below(values.length)];
}

const VALUES = [null, true, -1, 0.5, 2 ** 31, 2 ** 53, 1e308, "", "x".repeat(129), [], {}, [0]];

function frame(): Uint8Array {
  const body = new TextEncoder().encode(JSON.stringify({ content: { a: pick(VALUES) } }));
  const header: Record<string, unknown> = {
    msg_type: pick(HOST_TYPES),
    id: "1",
    parent_id: "",
    lengths: [body.length],
  };
  for (let changes = below(3); changes > 0; changes--) {
    header[pick(Object.keys(header)) ?? ""] = pick([...VALUES, [-1], [2 ** 40], Array(5000), [1]]);
  }
  const text = new TextEncoder().encode(JSON.stringify(header));
  const all = new Uint8Array(4 + text.length + body.length);
  new DataView(all.buffer).setUint32(0, text.length);
  all.set(text, 4);
  all.set(body, 4 + text.length);
  return all;
}

function altered(data: Uint8Array): Uint8Array {
  const bytes = [...data.subarray(0, 700)];
  for (let changes = 1 + below(3); changes > 0; changes--) {
    bytes.splice(below(bytes.length + 1), below(5), ...Array.from({ length: below(4) }, byte));
  }
  return new Uint8Array(bytes);
}

function byte(): number {
  return below(256);
}

function input(): Uint8Array {
  switch (below(4)) {
    case 0:
      return new Uint8Array(Array.from({ length: below(64) }, byte));
    case 1:
      return altered(golden);
    case 2:
      return altered(frame());
    default:
      return frame();
  }
}

const outcomes = { taken: 0, refused: 0 };
for (let number = 0; number < count; number++) {
  const decoder = new FrameDecoder();
  const data = input();
  const cut = below(data.length + 1);
  try {
    for (const piece of [data.subarray(0, cut), data.subarray(cut)]) {
      for (const found of decoder.receive(piece)) {
        const size = found.buffers.reduce((sum, part) => sum + part.length, found.body.length);
        const whole = types.has(found.msg_type) && isId(found.id) && isId(found.parent_id);
        if (!whole || size > MAX_MESSAGE_BYTES) throw new Error("A frame that is none");
      }
    }
    outcomes.taken++;
  } catch (error) {
    const clean = error instanceof TypeError || error instanceof RangeError ||
      error instanceof SyntaxError;
    if (!clean) throw new Error(`input ${number}: ${data}`, { cause: error });
    outcomes.refused++;
  }
}
Deno.stdout.writeSync(new TextEncoder().encode(JSON.stringify(outcomes)));
