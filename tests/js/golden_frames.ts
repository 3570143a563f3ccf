/** The golden frames of `tests/golden`, for tests in TypeScript. */

import type { Frame } from "../../pyodide_kernel/js/framing.ts";

interface Entry {
  readonly msg_type: string;
  readonly id?: string;
  readonly parent_id?: string;
  readonly body: string;
  readonly buffers?: readonly string[];
}

interface Malformed {
  readonly name: string;
  readonly header?: string;
  readonly header_hex?: string;
  readonly header_utf16?: string;
}

type Direction = "from_host" | "from_deno";

const encoder = new TextEncoder();

function file(name: string): URL {
  return new URL(`../golden/${name}`, import.meta.url);
}

function json<Value>(name: string): Value {
  return JSON.parse(Deno.readTextFileSync(file(name)));
}

/** Frames of one direction, one by one and as the bytes of one stream. */
export function loadGolden(direction: Direction): { frames: Frame[]; data: Uint8Array } {
  const entries = json<Record<Direction, Entry[]>>("frames.json")[direction];
  const frames = entries.map(({ msg_type, id = "", parent_id = "", body, buffers = [] }) => ({
    msg_type,
    id,
    parent_id,
    body: encoder.encode(body),
    buffers: buffers.map((text) => Uint8Array.fromBase64(text)),
  }));
  return { frames, data: Deno.readFileSync(file(`${direction}.bin`)) };
}

/** Frames of the host that nobody may accept, with what is wrong with them. */
export function loadMalformed(): { name: string; data: Uint8Array }[] {
  return json<Malformed[]>("malformed.json").map((entry) => ({
    name: entry.name,
    data: withLength(malformedHeader(entry)),
  }));
}

/** Bytes of a header behind their number. */
export function withLength(header: Uint8Array): Uint8Array {
  const data = new Uint8Array(4 + header.length);
  new DataView(data.buffer).setUint32(0, header.length);
  data.set(header, 4);
  return data;
}

function malformedHeader(entry: Malformed): Uint8Array {
  if (entry.header_hex !== undefined) return Uint8Array.fromHex(entry.header_hex);
  if (entry.header_utf16 === undefined) return encoder.encode(entry.header);
  const units = [...entry.header_utf16].flatMap((character) => [character.charCodeAt(0), 0]);
  return new Uint8Array(units);
}
