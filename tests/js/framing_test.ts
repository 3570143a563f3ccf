import assert from "node:assert/strict";

import {
  concat,
  decodeContent,
  encodeBody,
  encodeFrame,
  type Frame,
  FrameDecoder,
  isId,
  isRecord,
  packAnswer,
  unpackAnswer,
} from "../../pyodide_kernel/js/framing.ts";
import {
  BROKER_TYPES,
  GUEST_TYPES,
  HOST_TYPES,
  MAX_BUFFERS,
  MAX_HEADER_BYTES,
  MAX_MESSAGE_BYTES,
} from "../../pyodide_kernel/js/messages.ts";
import { loadGolden, loadMalformed, withLength } from "./golden_frames.ts";

const encoder = new TextEncoder();
const fromHost = loadGolden("from_host");
const fromDeno = loadGolden("from_deno");

function header(lengths: unknown, more: Record<string, unknown> = {}): Uint8Array {
  const members = { msg_type: "ping", id: "1", parent_id: "", lengths, ...more };
  return encoder.encode(JSON.stringify(members));
}

/** Pieces of `data`, cut at pseudo-random places that are the same in every run. */
function pieces(data: Uint8Array, seed: number): Uint8Array[] {
  const cut: Uint8Array[] = [];
  let state = seed;
  for (let begin = 0; begin < data.length;) {
    state = (state * 1103515245 + 12345) % 2147483648;
    const end = begin + state % 97;
    cut.push(data.subarray(begin, end));
    begin = end;
  }
  return cut;
}

Deno.test("encodeFrame() gives the golden bytes of each frame", () => {
  const chunks = fromDeno.frames.flatMap((frame) => encodeFrame(frame));
  assert.deepEqual(concat(chunks), fromDeno.data);
});

Deno.test("encodeBody() gives the golden body of what the broker says", () => {
  const own: ReadonlySet<string> = new Set(BROKER_TYPES);
  const said = fromDeno.frames.filter((frame) => own.has(frame.msg_type));
  assert.equal(said.length, BROKER_TYPES.length);
  for (const { body } of said) assert.deepEqual(encodeBody(decodeContent(body)), body);
});

Deno.test("FrameDecoder gives the golden frames", () => {
  assert.deepEqual(new FrameDecoder().receive(fromHost.data), fromHost.frames);
});

Deno.test("FrameDecoder gives the same frames when fed byte by byte", () => {
  const decoder = new FrameDecoder();
  const frames: Frame[] = [];
  for (const byte of fromHost.data) frames.push(...decoder.receive(Uint8Array.of(byte)));
  assert.deepEqual(frames, fromHost.frames);
});

Deno.test("FrameDecoder gives the same frames however the bytes are split", () => {
  for (let seed = 0; seed < 200; seed++) {
    const decoder = new FrameDecoder();
    const frames = pieces(fromHost.data, seed).flatMap((piece) => decoder.receive(piece));
    assert.deepEqual(frames, fromHost.frames, `seed ${seed}`);
  }
});

Deno.test("golden frames cover every type", () => {
  const types = (frames: Frame[]): string[] => [...new Set(frames.map((frame) => frame.msg_type))];
  assert.deepEqual(types(fromHost.frames).sort(), [...HOST_TYPES].sort());
  assert.deepEqual(types(fromDeno.frames).sort(), [...BROKER_TYPES, ...GUEST_TYPES].sort());
});

for (const { name, data } of loadMalformed()) {
  Deno.test(`FrameDecoder refuses ${name}`, () => {
    assert.throws(() => new FrameDecoder().receive(data));
  });
}

Deno.test("FrameDecoder refuses a header beyond the limit before it arrives", () => {
  const prefix = new Uint8Array(4);
  new DataView(prefix.buffer).setUint32(0, MAX_HEADER_BYTES + 1);
  assert.throws(() => new FrameDecoder().receive(prefix), RangeError);
});

Deno.test("FrameDecoder refuses a huge message by its header alone", () => {
  const data = withLength(header([MAX_MESSAGE_BYTES, 1]));
  assert.throws(() => new FrameDecoder().receive(data), RangeError);
});

Deno.test("FrameDecoder takes the largest number of buffers and no more", () => {
  const most = withLength(header(Array(MAX_BUFFERS + 1).fill(0)));
  const [frame] = new FrameDecoder().receive(most);
  assert.equal(frame?.buffers.length, MAX_BUFFERS);
  const tooMany = withLength(header(Array(MAX_BUFFERS + 2).fill(0)));
  assert.throws(() => new FrameDecoder().receive(tooMany), TypeError);
});

Deno.test("FrameDecoder waits for the last byte of a frame", () => {
  const decoder = new FrameDecoder();
  assert.deepEqual(decoder.receive(concat([withLength(header([3])), Uint8Array.of(1, 2)])), []);
  const [frame] = decoder.receive(Uint8Array.of(3));
  assert.deepEqual(frame?.body, Uint8Array.of(1, 2, 3));
});

Deno.test("FrameDecoder gives frames that share no memory with what it was fed", () => {
  const data = concat([withLength(header([2])), Uint8Array.of(7, 7)]);
  const [frame] = new FrameDecoder().receive(data);
  data.fill(0);
  assert.deepEqual(frame?.body, Uint8Array.of(7, 7));
});

Deno.test("decodeContent() throws on a body of another shape", () => {
  for (const text of ["", "{", "null", "[]", "{}", '{"content":null}', '{"content":[]}']) {
    assert.throws(() => decodeContent(encoder.encode(text)), `${text}`);
  }
  assert.throws(() => decodeContent(Uint8Array.of(0xff)));
});

Deno.test("concat() joins chunks, none too", () => {
  assert.deepEqual(concat([]), new Uint8Array(0));
  assert.deepEqual(
    concat([Uint8Array.of(1), new Uint8Array(0), Uint8Array.of(2, 3)]),
    Uint8Array.of(1, 2, 3),
  );
});

Deno.test("isId() takes strings of up to 128 units", () => {
  assert(isId("") && isId("a".repeat(128)) && isId("🌍".repeat(64)));
  assert(!isId("a".repeat(129)) && !isId("🌍".repeat(65)));
  for (const value of [undefined, null, 1, {}, ["a"], new String("a")]) assert(!isId(value));
});

Deno.test("isRecord() takes objects that are no arrays", () => {
  assert(isRecord({}) && isRecord(new Map()) && isRecord(Object.create(null)));
  for (const value of [undefined, null, 1, "a", [], 1n]) assert(!isRecord(value));
});

Deno.test("unpackAnswer() gives what packAnswer() was given", () => {
  for (const sizes of [[], [0], [5], [1, 0, 300]]) {
    const buffers = sizes.map((size) => new Uint8Array(size).fill(size));
    const answer = { body: encodeBody({ status: "ok" }), buffers };
    assert.deepEqual(unpackAnswer(packAnswer(answer)), answer);
  }
});

Deno.test("unpackAnswer() throws on what is no answer", () => {
  for (const bytes of [[], [1, 0, 0, 0], [255, 255, 255, 255]]) {
    assert.throws(() => unpackAnswer(Uint8Array.from(bytes)), RangeError);
  }
});
