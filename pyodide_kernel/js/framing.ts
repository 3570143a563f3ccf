/**
 * Frames of the pipe: bytes to frames and back. No I/O. `bridge/messages.py` defines the form.
 */

import {
  HOST_TYPES,
  type HostType,
  MAX_BUFFERS,
  MAX_HEADER_BYTES,
  MAX_ID_LENGTH,
  MAX_MESSAGE_BYTES,
} from "./messages.ts";

/** One message whose body is still the JSON text that it travels as. */
export interface Frame<Type extends string = string> {
  readonly msg_type: Type;
  readonly id: string;
  readonly parent_id: string;
  readonly body: Uint8Array<ArrayBuffer>;
  readonly buffers: readonly Uint8Array<ArrayBuffer>[];
}

interface Header {
  readonly msg_type: HostType;
  readonly id: string;
  readonly parent_id: string;
  readonly lengths: readonly number[];
}

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const hostTypes: ReadonlySet<string> = new Set(HOST_TYPES);
const PREFIX_BYTES = 4;

/** JSON body of a message that the broker itself says. */
export function encodeBody(content: Readonly<Record<string, unknown>>): Uint8Array<ArrayBuffer> {
  return encoder.encode(JSON.stringify({ content, metadata: {} }));
}

/** Content of a JSON body that is meant for the broker. Throws `SyntaxError` or `TypeError`. */
export function decodeContent(body: Uint8Array): Record<string, unknown> {
  const value: unknown = JSON.parse(decoder.decode(body));
  if (!isRecord(value) || !isRecord(value.content)) {
    throw new TypeError("The body has no content");
  }
  return value.content;
}

/** Bytes of a frame, as chunks to be written one after the other. */
export function encodeFrame(frame: Frame): Uint8Array<ArrayBuffer>[] {
  const lengths = [frame.body.length, ...frame.buffers.map((buffer) => buffer.length)];
  const { msg_type, id, parent_id } = frame;
  const header = encoder.encode(JSON.stringify({ msg_type, id, parent_id, lengths }));
  const prefix = new Uint8Array(PREFIX_BYTES + header.length);
  new DataView(prefix.buffer).setUint32(0, header.length);
  prefix.set(header, PREFIX_BYTES);
  return [prefix, frame.body, ...frame.buffers];
}

/** Body and buffers of an answer as one piece of bytes, for a worker that can't take a message. */
export function packAnswer(frame: Pick<Frame, "body" | "buffers">): Uint8Array<ArrayBuffer> {
  const parts = [frame.body, ...frame.buffers];
  const head = Uint32Array.of(parts.length, ...parts.map((part) => part.length));
  return concat([new Uint8Array(head.buffer), ...parts]);
}

/** What `packAnswer` has packed. Throws `RangeError` if it is none of that form. */
export function unpackAnswer(bytes: Uint8Array<ArrayBuffer>): Pick<Frame, "body" | "buffers"> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const count = view.getUint32(0, true);
  let offset = 4 + 4 * count;
  const parts: Uint8Array<ArrayBuffer>[] = [];
  for (let i = 0; i < count; i++) {
    const length = view.getUint32(4 + 4 * i, true);
    parts.push(bytes.slice(offset, offset + length));
    offset += length;
  }
  const [body = new Uint8Array(0), ...buffers] = parts;
  return { body, buffers };
}

/** One array with the bytes of all chunks. */
export function concat(
  chunks: readonly Uint8Array[],
  size: number = chunks.reduce((sum, chunk) => sum + chunk.length, 0),
): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(size);
  let offset = 0;
  for (const chunk of chunks) {
    all.set(chunk, offset);
    offset += chunk.length;
  }
  return all;
}

/** Takes frames of the host out of a stream of bytes. */
export class FrameDecoder {
  #chunks: Uint8Array[] = [];
  #available = 0;
  #header: Header | undefined;

  /** Frames that are complete now. Throws `RangeError` or `TypeError` on a malformed one. */
  receive(data: Uint8Array): Frame<HostType>[] {
    this.#chunks.push(data);
    this.#available += data.length;
    const frames: Frame<HostType>[] = [];
    for (let frame = this.#next(); frame !== undefined; frame = this.#next()) frames.push(frame);
    return frames;
  }

  #next(): Frame<HostType> | undefined {
    this.#header ??= this.#nextHeader();
    if (this.#header === undefined) return undefined;
    const { msg_type, id, parent_id, lengths } = this.#header;
    const size = lengths.reduce((sum, length) => sum + length, 0);
    if (this.#available < size) return undefined;
    this.#header = undefined;
    const [body = new Uint8Array(0), ...buffers] = lengths.map((length) => this.#take(length));
    return { msg_type, id, parent_id, body, buffers };
  }

  #nextHeader(): Header | undefined {
    if (this.#available < PREFIX_BYTES) return undefined;
    const prefix = this.#peek(PREFIX_BYTES);
    const size = new DataView(prefix.buffer).getUint32(0);
    if (size > MAX_HEADER_BYTES) throw new RangeError(`A header of ${size} bytes`);
    if (this.#available < PREFIX_BYTES + size) return undefined;
    this.#take(PREFIX_BYTES);
    return parseHeader(decoder.decode(this.#take(size)));
  }

  #peek(size: number): Uint8Array<ArrayBuffer> {
    const bytes = this.#take(size);
    this.#chunks.unshift(bytes);
    this.#available += size;
    return bytes;
  }

  #take(size: number): Uint8Array<ArrayBuffer> {
    const taken = new Uint8Array(size);
    let filled = 0;
    while (filled < size) {
      const chunk = this.#chunks[0];
      if (chunk === undefined) throw new RangeError("More bytes taken than there are");
      const part = chunk.subarray(0, size - filled);
      taken.set(part, filled);
      filled += part.length;
      if (part.length === chunk.length) this.#chunks.shift();
      else this.#chunks[0] = chunk.subarray(part.length);
    }
    this.#available -= size;
    return taken;
  }
}

function parseHeader(text: string): Header {
  const value: unknown = JSON.parse(text);
  if (!isRecord(value)) throw new TypeError("The header is not an object");
  const { msg_type, id, parent_id, lengths } = value;
  if (typeof msg_type !== "string" || !hostTypes.has(msg_type)) {
    throw new TypeError(`Unknown message type "${String(msg_type).slice(0, 40)}"`);
  }
  if (!isId(id) || !isId(parent_id)) throw new TypeError(`A ${msg_type} with a malformed id`);
  if (!Array.isArray(lengths) || lengths.length < 1 || lengths.length > MAX_BUFFERS + 1) {
    throw new TypeError(`A ${msg_type} with a malformed list of lengths`);
  }
  let size = 0;
  for (const length of lengths) {
    if (!Number.isInteger(length) || length < 0) {
      throw new TypeError(`A ${msg_type} with a malformed length`);
    }
    size += length;
  }
  if (size > MAX_MESSAGE_BYTES) throw new RangeError(`A ${msg_type} of ${size} bytes`);
  return { msg_type: msg_type as HostType, id, parent_id, lengths };
}

/** Whether `value` may name a message. */
export function isId(value: unknown): value is string {
  return typeof value === "string" && value.length <= MAX_ID_LENGTH;
}

/** Whether `value` is an object whose members may be looked at. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
