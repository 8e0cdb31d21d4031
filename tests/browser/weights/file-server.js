/** How a file is answered for: in whole, in part, and in every wrong way. */
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';

/** @typedef {import('node:http').ServerResponse} ServerResponse */
/** @typedef {import('node:http').IncomingMessage} IncomingMessage */

/**
 * What goes wrong with an answer.
 * @typedef {object} Fault
 * @property {number} [status] refused with this
 * @property {string} [retryAfter] seconds, with a refusal
 * @property {number} [cut] the connection ends after this share of the body
 * @property {boolean} [politely] it ends as if that were all
 * @property {number} [stall] nothing comes after this share of the body
 * @property {Promise<void>} [until] the end of a stall: the rest of the body follows
 * @property {number} [flip] a bit is wrong, at this share of the body
 * @property {number} [start] a part begins so many bytes too late, and says so
 * @property {number} [total] a part is said to be of a file so many bytes longer
 */

/**
 * How a server is.
 * @typedef {object} ServerBehaviour
 * @property {boolean} [etag] it sends ETags
 * @property {boolean} [ranges] it answers for parts
 * @property {boolean} [gzip] it codes
 * @property {boolean} [length] it says how long an answer is
 * @property {number} [pace] milliseconds between pieces of an answer
 */

const PIECE = 1 << 15;

/**
 * Answers for a file.
 * @param {IncomingMessage} request
 * @param {ServerResponse} response
 * @param {{bytes: Buffer, version: string}} file
 * @param {ServerBehaviour} behaviour
 * @param {Fault} fault
 */
export async function answer(request, response, { bytes, version }, behaviour, fault) {
  const { etag = true, ranges = true, gzip = false, length = true, pace = 0 } = behaviour;
  if (fault.status) {
    response.writeHead(fault.status, fault.retryAfter ? { 'retry-after': fault.retryAfter } : {}).end();
    return;
  }
  const tag = `"${version}"`;
  if (etag) response.setHeader('etag', tag);
  const [, from] = /^bytes=(\d+)-$/.exec(request.headers.range ?? '') ?? [];
  const condition = request.headers['if-range'];
  let body = bytes;
  if (ranges && from && (!condition || condition === tag)) {
    const start = Number(from) + (fault.start ?? 0);
    if (start >= bytes.length) {
      response.writeHead(416, { 'content-range': `bytes */${bytes.length}` }).end();
      return;
    }
    body = bytes.subarray(start);
    const total = bytes.length + (fault.total ?? 0);
    response.statusCode = 206;
    response.setHeader('content-range', `bytes ${start}-${bytes.length - 1}/${total}`);
  } else if (gzip) {
    body = gzipSync(bytes, { level: 1 });
    response.setHeader('content-encoding', 'gzip');
  }
  if (request.method === 'HEAD') {
    response.end();
    return;
  }
  if (fault.flip !== undefined) {
    body = Buffer.from(body);
    body[Math.floor(fault.flip * body.length)] ^= 1;
  }
  if (length) response.setHeader('content-length', body.length);
  const share = fault.cut ?? fault.stall ?? 1;
  const end = Math.floor(share * body.length);
  // The head goes out even where no byte follows it.
  response.flushHeaders();
  for (let at = 0; at < end && !response.destroyed; at += PIECE) {
    response.write(body.subarray(at, Math.min(at + PIECE, end)));
    await sleep(pace);
  }
  if (fault.stall !== undefined) {
    if (!fault.until) return;
    await fault.until;
    response.write(body.subarray(end));
  }
  if (fault.cut !== undefined && !fault.politely) response.destroy();
  else response.end();
}
