import assert from "node:assert/strict";

import { type Asking, Fetches } from "../../pyodide_kernel/js/fetches.ts";
import { decodeContent, encodeBody, packAnswer } from "../../pyodide_kernel/js/framing.ts";
import { MAX_MESSAGE_BYTES } from "../../pyodide_kernel/js/messages.ts";
import { makeFetch } from "../../pyodide_kernel/js/web_fetch.ts";

type Bytes = Uint8Array<ArrayBuffer>;

interface Scripted {
  readonly code?: number;
  readonly headers?: readonly (readonly [string, string])[];
  readonly chunks?: readonly Bytes[];
  readonly error?: { kind: string; message: string };
  /** Never answers. */
  readonly hang?: boolean;
}

interface Asked {
  readonly method: string;
  readonly url: string;
  readonly headers: Headers;
  readonly body: string;
}

/** A host that answers requests one after the other, as it is told. */
class Host implements Asking {
  readonly fetches = new Fetches();
  readonly asked: Asked[] = [];
  readonly cancelled: unknown[] = [];
  #script: Scripted[];
  #bodies = new Map<string, Bytes[]>();

  constructor(...script: Scripted[]) {
    this.#script = script;
    this.fetches.connect(this);
  }

  fetch(input: string | Request, init?: RequestInit): Promise<Response> {
    const other = (): Promise<Response> => Promise.reject(new TypeError("another fetch"));
    return makeFetch(this.fetches, other)(input, init);
  }

  post(type: string, id: string, _parent: string, body: Bytes, buffers: readonly Bytes[]): void {
    const content = decodeContent(body);
    if (type === "fetch_cancel") this.cancelled.push(content.fetch);
    else if (type === "fetch_request") this.#request(id, content, buffers);
    else this.#read(id, String(content.fetch));
  }

  ask(): Bytes {
    return packAnswer({ body: encodeBody({ status: "ok" }), buffers: [Uint8Array.of(7)] });
  }

  #request(id: string, content: Record<string, unknown>, [body]: readonly Bytes[]): void {
    this.asked.push({
      method: String(content.method),
      url: String(content.url),
      headers: new Headers(content.headers as [string, string][]),
      body: new TextDecoder().decode(body),
    });
    const { code = 200, headers = [], chunks = [], error, hang } = this.#script.shift() ?? {};
    this.#bodies.set(id, [...chunks]);
    if (hang === true) return;
    const head = error === undefined
      ? { status: "ok", code, reason: "OK", headers }
      : { status: "error", ...error };
    this.#say("fetch_reply", id, head);
  }

  #read(id: string, fetch: string): void {
    const rest = this.#bodies.get(fetch) ?? [];
    const data = rest.shift();
    const content = { status: "ok", last: rest.length === 0 };
    this.#say("fetch_chunk", id, content, data === undefined ? [] : [data]);
  }

  #say(msg_type: string, parent_id: string, content: object, buffers: readonly Bytes[] = []): void {
    const body = encodeBody(content as Record<string, unknown>);
    queueMicrotask(() => this.fetches.take({ msg_type, id: "", parent_id, body, buffers }));
  }
}

const encode = (text: string): Bytes => new TextEncoder().encode(text);

async function gzip(text: string): Promise<Bytes> {
  const stream = new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

Deno.test("fetch() gives what the host has fetched", async () => {
  const host = new Host({ chunks: [encode("one"), encode("two")], headers: [["x-a", "b"]] });
  const response = await host.fetch("http://a.example/path#part", { method: "POST", body: "sent" });
  assert.equal(await response.text(), "onetwo");
  assert.equal(response.headers.get("x-a"), "b");
  assert.equal(response.url, "http://a.example/path");
  const [asked] = host.asked;
  assert.deepEqual([asked?.method, asked?.url, asked?.body], [
    "POST",
    "http://a.example/path",
    "sent",
  ]);
});

Deno.test("fetch() decodes what the server has packed", async () => {
  const host = new Host({
    chunks: [await gzip("text")],
    headers: [["content-encoding", "gzip"]],
  });
  assert.equal(await (await host.fetch("http://a.example/")).text(), "text");
  assert.equal(host.asked[0]?.headers.get("accept-encoding"), "gzip, deflate");
});

Deno.test("fetch() follows redirects, with credentials to their own origin only", async () => {
  const host = new Host(
    { code: 302, headers: [["location", "/two"]] },
    { code: 307, headers: [["location", "https://b.example/"]] },
    { chunks: [encode("there")] },
  );
  const init = { headers: { authorization: "secret", "x-mine": "1" } };
  const response = await host.fetch("http://a.example/one", init);
  assert.equal(await response.text(), "there");
  assert.deepEqual([response.url, response.redirected], ["https://b.example/", true]);
  assert.deepEqual(host.asked.map(({ headers }) => headers.get("authorization")), [
    "secret",
    "secret",
    null,
  ]);
  assert.equal(host.asked[2]?.headers.get("x-mine"), "1");
  assert.equal(host.cancelled.length, 2, "the bodies of redirects are not wanted");
});

Deno.test("fetch() gets after a POST that was answered elsewhere", async () => {
  const host = new Host({ code: 303, headers: [["location", "/done"]] }, {});
  await host.fetch("http://a.example/", { method: "POST", body: "x" });
  assert.deepEqual(host.asked.map(({ method, body }) => [method, body]), [
    ["POST", "x"],
    ["GET", ""],
  ]);
});

for (const location of ["file:///etc/passwd", "data:text/plain,x", "http://", "blob:x"]) {
  Deno.test(`fetch() does not follow a redirect to ${location}`, async () => {
    const host = new Host({ code: 302, headers: [["location", location]] });
    await assert.rejects(host.fetch("http://a.example/"), TypeError);
    assert.equal(host.asked.length, 1);
  });
}

Deno.test("fetch() ends a loop of redirects", async () => {
  const loop = { code: 302, headers: [["location", "/"]] } as const;
  const host = new Host(...Array<Scripted>(50).fill(loop));
  await assert.rejects(host.fetch("http://a.example/"), /redirects too often/);
  assert.equal(host.asked.length, 21);
});

Deno.test("fetch() keeps a redirect that is to be handled by the caller", async () => {
  const host = new Host(...Array<Scripted>(2).fill({ code: 302, headers: [["location", "/"]] }));
  const response = await host.fetch("http://a.example/", { redirect: "manual" });
  assert.equal(response.status, 302);
  await assert.rejects(host.fetch("http://a.example/", { redirect: "error" }), /redirects/);
});

Deno.test("fetch() fails with a TypeError that names the reason", async () => {
  const host = new Host({ error: { kind: "denied", message: "--allow-net opens it" } });
  await assert.rejects(host.fetch("http://a.example/"), {
    name: "TypeError",
    message: "--allow-net opens it",
    kind: "denied",
  });
});

Deno.test("fetch() takes an answer back that JavaScript can't hold", async () => {
  for (const odd of [{ code: 999 }, { code: 101 }, { headers: [["x", "\u0001\u0100"]] as const }]) {
    const host = new Host(odd);
    await assert.rejects(host.fetch("http://a.example/"), /can't be understood/);
    assert.equal(host.cancelled.length, 1);
  }
});

Deno.test("fetch() is cancelled on the host when it is aborted", async () => {
  const host = new Host({ hang: true });
  const abort = new AbortController();
  const fetching = host.fetch("http://a.example/", { signal: abort.signal });
  const rejected = assert.rejects(fetching, { name: "AbortError" });
  while (host.asked.length === 0) await new Promise((resolve) => setTimeout(resolve, 0));
  abort.abort();
  await rejected;
  assert.equal(host.cancelled.length, 1);
});

Deno.test("fetch() is cancelled on the host when its body is not wanted", async () => {
  const host = new Host({ chunks: [encode("one"), encode("two"), encode("three")] });
  const response = await host.fetch("http://a.example/");
  await response.body?.cancel();
  assert.equal(host.cancelled.length, 1);
});

Deno.test("fetch() leaves what has no http to the former one", async () => {
  await assert.rejects(new Host().fetch("file:///x"), /another fetch/);
});

Deno.test("Fetches refuses at once what would not be passed on", async () => {
  const host = new Host();
  const large = new Uint8Array(MAX_MESSAGE_BYTES);
  const answers = [
    await host.fetches.ask("fetch_request", "a", encodeBody({}), [large]),
    host.fetches.askNow("fetch_request", "b", encodeBody({}), [large]),
  ];
  for (const answer of answers) {
    assert.equal(decodeContent(answer?.body ?? large).kind, "malformed");
  }
  assert.deepEqual(host.asked, []);
});

Deno.test("Fetches gives the answer to a question that blocks", () => {
  const answer = new Host().fetches.askNow("fetch_read", "a", encodeBody({}));
  assert.deepEqual(answer?.buffers, [Uint8Array.of(7)]);
});

Deno.test("Fetches takes answers only, and none twice", async () => {
  const host = new Host({ hang: true });
  const asked = host.fetches.ask("fetch_request", "a", encodeBody({}));
  for (const frame of [null, 5, {}, { msg_type: "execute_request", parent_id: "a" }]) {
    assert.equal(host.fetches.take(frame), false);
  }
  const frame = { msg_type: "fetch_reply", parent_id: "a", body: encodeBody({}), buffers: [] };
  assert(host.fetches.take(frame));
  assert(host.fetches.take(frame));
  assert.deepEqual((await asked).buffers, []);
});

Deno.test("Fetches has no network before a session", () => {
  assert.throws(() => new Fetches().askNow("fetch_read", "a", encodeBody({})), TypeError);
});
