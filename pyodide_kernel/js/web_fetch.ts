/**
 * `fetch` for JavaScript in the worker, through the host. A convenience, not a fence: the worker has
 * no network of its own, with this or without it.
 */

import { decodeContent, encodeBody } from "./framing.ts";
import type { Answer, Fetches } from "./fetches.ts";

const MAX_REDIRECTS = 20;
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
const WITHOUT_BODY: ReadonlySet<number> = new Set([204, 205, 304]);
const OF_THE_BODY = ["content-encoding", "content-language", "content-location", "content-type"];
const FORMATS: ReadonlyMap<string, CompressionFormat> = new Map([
  ["gzip", "gzip"],
  ["x-gzip", "gzip"],
  ["deflate", "deflate"],
]);

interface Head {
  readonly id: string;
  readonly code: number;
  readonly reason: string;
  readonly headers: Headers;
}

/** What is asked for, as it changes from one redirect to the next. */
interface Wanted {
  url: URL;
  method: string;
  headers: Headers;
  body: Uint8Array<ArrayBuffer>;
}

/** A `fetch` that goes through the host; `other` is asked for what has no http in it. */
export function makeFetch(fetches: Fetches, other: typeof fetch): typeof fetch {
  return async (input, init): Promise<Response> => {
    const request = new Request(input, init);
    const url = new URL(request.url);
    if (url.protocol !== "http:" && url.protocol !== "https:") return await other(input, init);
    request.signal.throwIfAborted();
    const headers = new Headers(request.headers);
    if (!headers.has("accept")) headers.set("accept", "*/*");
    // What can be decoded here; as in browsers, it is not the caller's to choose.
    headers.set("accept-encoding", "gzip, deflate");
    const body = new Uint8Array(await request.arrayBuffer());
    url.hash = "";
    const wanted = { url, method: request.method, headers, body };
    return await follow(fetches, wanted, request);
  };
}

async function follow(fetches: Fetches, wanted: Wanted, request: Request): Promise<Response> {
  for (let count = 0;; count++) {
    const head = await open(fetches, wanted, request.signal);
    const location = REDIRECTS.has(head.code) ? head.headers.get("location") : null;
    if (location === null || request.redirect === "manual") {
      const response = respond(fetches, head, wanted, request.signal);
      const members = { url: wanted.url.href, redirected: count > 0, type: "basic" };
      for (const [name, value] of Object.entries(members)) {
        Object.defineProperty(response, name, { value });
      }
      return response;
    }
    fetches.cancel(head.id);
    if (request.redirect === "error") throw new TypeError(`${wanted.url.href} redirects`);
    if (count === MAX_REDIRECTS) throw new TypeError(`${request.url} redirects too often`);
    redirect(wanted, head.code, location);
  }
}

function redirect(wanted: Wanted, code: number, location: string): void {
  const next = new URL(location, wanted.url);
  if (next.protocol !== "http:" && next.protocol !== "https:") {
    throw new TypeError(`${wanted.url.href} redirects to what is not of http: ${next.protocol}`);
  }
  if (next.origin !== wanted.url.origin) {
    for (const name of ["authorization", "cookie"]) wanted.headers.delete(name);
  }
  const toGet = code === 303 ? wanted.method !== "HEAD" : code <= 302 && wanted.method === "POST";
  if (toGet) {
    wanted.method = "GET";
    wanted.body = new Uint8Array(0);
    for (const name of OF_THE_BODY) wanted.headers.delete(name);
  }
  next.hash = "";
  wanted.url = next;
}

async function open(fetches: Fetches, wanted: Wanted, signal: AbortSignal): Promise<Head> {
  const id = fetches.newId();
  const { url, method, headers, body } = wanted;
  const content = { method, url: url.href, headers: [...headers] };
  const buffers = body.length > 0 ? [body.slice()] : [];
  const asked = fetches.ask("fetch_request", id, encodeBody(content), buffers);
  const answer = contentOf(await abortable(asked, signal, () => fetches.cancel(id)));
  const { code, reason } = answer as { code: number; reason: string };
  try {
    return { id, code, reason, headers: new Headers(answer.headers as [string, string][]) };
  } catch (error) {
    fetches.cancel(id);
    throw new TypeError(`The answer can't be understood: ${error}`);
  }
}

function respond(
  fetches: Fetches,
  { id, code, reason, headers }: Head,
  { method }: Wanted,
  signal: AbortSignal,
): Response {
  const init = { status: code, statusText: reason.replace(/[^\t\x20-\x7e]/g, ""), headers };
  if (WITHOUT_BODY.has(code) || method === "HEAD") {
    fetches.cancel(id);
    return new Response(null, init);
  }
  const raw = bodyOf(fetches, id, signal);
  const format = FORMATS.get((headers.get("content-encoding") ?? "").trim().toLowerCase());
  const encoded = format !== undefined && headers.get("content-length") !== "0";
  const stream = encoded ? raw.pipeThrough(new DecompressionStream(format)) : raw;
  try {
    return new Response(stream, init);
  } catch (error) {
    fetches.cancel(id);
    throw new TypeError(`The answer can't be understood: ${error}`);
  }
}

function bodyOf(
  fetches: Fetches,
  fetch: string,
  signal: AbortSignal,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new ReadableStream({
    async pull(controller): Promise<void> {
      const asked = fetches.ask("fetch_read", fetches.newId(), encodeBody({ fetch }));
      const answer = await abortable(asked, signal, () => fetches.cancel(fetch));
      const { last } = contentOf(answer);
      const [bytes] = answer.buffers;
      if (bytes !== undefined && bytes.length > 0) controller.enqueue(bytes);
      if (last === true) controller.close();
    },
    cancel(): void {
      fetches.cancel(fetch);
    },
  });
}

/** Content of an answer. Throws a `TypeError` if there is none but a reason, as `fetch` does. */
function contentOf(answer: Answer): Record<string, unknown> {
  const content = decodeContent(answer.body);
  if (content.status === "ok") return content;
  const message = String(content.message);
  if (content.kind === "cancelled") throw new DOMException(message, "AbortError");
  throw Object.assign(new TypeError(message), { kind: content.kind });
}

async function abortable<Value>(
  value: Promise<Value>,
  signal: AbortSignal,
  onAbort: () => void,
): Promise<Value> {
  let abort = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    abort = (): void => {
      onAbort();
      reject(signal.reason);
    };
    signal.addEventListener("abort", abort);
  });
  try {
    return await Promise.race([value, aborted]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
