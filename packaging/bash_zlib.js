/** The part of Node's zlib that the bash interpreter uses, by pako. */

import { constants as pakoConstants, gzip, Inflate } from "pako";

export const constants = pakoConstants;

/** Compresses into one member of gzip. */
export function gzipSync(data, { level }) {
  return gzip(data, { level });
}

/** Decompresses all members. Throws if it is none of gzip, or more than `maxOutputLength` bytes. */
export function gunzipSync(data, { maxOutputLength = Infinity } = {}) {
  const inflate = new Inflate({ windowBits: 31 });
  let length = 0;
  const { onData } = inflate;
  inflate.onData = function (chunk) {
    length += chunk.length;
    if (length > maxOutputLength) throw new RangeError("the output is larger than the limit");
    onData.call(this, chunk);
  };
  inflate.push(data, true);
  if (inflate.err) throw new Error(inflate.msg || "incorrect header check");
  if (!inflate.ended) throw new Error("unexpected end of file");
  return inflate.result;
}
