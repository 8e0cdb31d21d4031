/** How a file is answered for: in whole, in part, and in every wrong way. */
import { setImmediate as others, setTimeout as sleep } from 'node:timers/promises';
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
 * @property {number} [connectionRate] bytes a second that a connection gets at most
 * @property {Line} [line] that all answers share
 */

const PIECE = 1 << 15;
/** How far a line on a busy machine catches up with its rate, in milliseconds. */
const LAG = 200;

/** A line of so many bytes a second, for all answers that are given it. */
export class Line {
  #rate;
  /** When it is free for the next piece, in milliseconds. */
  #free = 0;

  /** @param {number} rate */
  constructor(rate) {
    this.#rate = rate;
  }

  /** Waits until a piece of so many bytes has gone through. @param {number} bytes */
  async send(bytes) {
    const now = performance.now();
    this.#free = Math.max(this.#free, now - LAG) + (1000 * bytes) / this.#rate;
    if (this.#free > now) await sleep(this.#free - now);
    else await others();
  }
}

/**
 * Answers for a file.
 * @param {IncomingMessage} request
 * @param {ServerResponse} response
 * @param {{bytes: Buffer, version: string}} file
 * @param {ServerBehaviour} behaviour
 * @param {Fault} fault
 */
export async function answer(request, response, { bytes, version }, behaviour, fault) {
  const {
    etag = true,
    ranges = true,
    gzip = false,
    length = true,
    pace = 0,
    connectionRate,
    line,
  } = behaviour;
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
  const own = connectionRate && new Line(connectionRate);
  for (let at = 0; at < end && !response.destroyed; at += PIECE) {
    const piece = body.subarray(at, Math.min(at + PIECE, end));
    if (own) await own.send(piece.length);
    await line?.send(piece.length);
    response.write(piece);
    if (pace || !line) await sleep(pace);
  }
  if (fault.stall !== undefined) {
    if (!fault.until) return;
    await fault.until;
    response.write(body.subarray(end));
  }
  if (fault.cut !== undefined && !fault.politely) response.destroy();
  else response.end();
}
