/** A thread in which worker.js finds what it needs of a browser's worker. */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { extname } from 'node:path';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { parentPort } from 'node:worker_threads';
import { Worker } from './node-threads.js';

const port = /** @type {import('node:worker_threads').MessagePort} */ (parentPort);
const fetchByNetwork = globalThis.fetch;

/**
 * Node.js does not fetch files. This does, and answers as a server does that supports ranges.
 * @param {RequestInfo | URL} input
 * @param {RequestInit} [options]
 */
async function fetchAny(input, options) {
  const request = new Request(input, options);
  if (!request.url.startsWith('file:')) return fetchByNetwork(request);
  const path = fileURLToPath(request.url);
  const size = await stat(path).then(
    (found) => (found.isFile() ? found.size : undefined),
    () => undefined,
  );
  if (size === undefined) return new Response(null, { status: 404 });
  const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.get('range') ?? '') ?? [];
  const start = Number(from ?? 0);
  const end = Math.min(to ? Number(to) : Infinity, size - 1);
  const headers = {
    'content-type': extname(path) === '.wasm' ? 'application/wasm' : 'application/octet-stream',
    'content-length': `${end - start + 1}`,
    ...(from && { 'content-range': `bytes ${start}-${end}/${size}` }),
  };
  if (start > end)
    return new Response(null, { status: from ? 416 : 200, headers: { ...headers, 'content-length': '0' } });
  const body = Readable.toWeb(createReadStream(path, { start, end, signal: request.signal }));
  return new Response(/** @type {ReadableStream} */ (body), { status: from ? 206 : 200, headers });
}

const scope = {
  self: globalThis,
  onmessage: undefined,
  location: new URL(import.meta.url),
  // Threads of one process may always share memory.
  crossOriginIsolated: true,
  Worker,
  fetch: fetchAny,
  postMessage: (/** @type {any} */ message, /** @type {any} */ options) =>
    port.postMessage(message, options?.transfer ?? options),
  // An exception that nothing catches ends the thread, and the one who started it hears of it.
  addEventListener() {},
};
for (const [name, value] of Object.entries(scope)) {
  Object.defineProperty(globalThis, name, { value, writable: true, configurable: true });
}
if (!globalThis.navigator) {
  const value = { hardwareConcurrency: availableParallelism() };
  Object.defineProperty(globalThis, 'navigator', { value });
}

// Deno does not keep the messages that come before somebody listens.
/** @type {unknown[]} */
const early = [];
/** @type {(data: unknown) => unknown} */
let receive = (data) => early.push(data);
port.on('message', (data) => receive(data));
await import(new URL('./worker.js', import.meta.url).href);
// worker.js has set `onmessage` by now.
receive = (data) => Reflect.apply(/** @type {any} */ (globalThis.onmessage), globalThis, [{ data }]);
early.forEach(receive);
