/**
 * Faults in a worker, before its own script begins: the server puts this in front of worker.js, with the faults in the
 * query (see Server.workerFaults). A fault that has struck asks the server for /struck, so that a test knows of it.
 */
import { Engine as Plain } from '/www/wasm/simd128/siglip_web.js';
import { Engine as Relaxed } from '/www/wasm/relaxed-simd/siglip_web.js';
import { Engine as Threads } from '/www/wasm/threads/siglip_web.js';

/** @typedef {import('../server.js').WorkerFaults} WorkerFaults */

/** @type {WorkerFaults} */
const {
  storage,
  dies,
  clock,
  without = [],
} = JSON.parse(decodeURIComponent(new URL(import.meta.url).search.slice(1)));

const scope = /** @type {any} */ (globalThis);
const { fetch } = scope;
const strike = () => void fetch('/struck').catch(() => {});

/**
 * Calls `before` ahead of a method. It may throw, or return a result in place of the method's.
 * @param {string} name of a class
 * @param {string[]} methods
 * @param {(method: string) => unknown} before
 * @param {boolean} [isAsync]
 */
function precede(name, methods, before, isAsync = true) {
  const prototype = scope[name]?.prototype;
  for (const method of methods) {
    const original = prototype?.[method];
    if (!original) continue;
    prototype[method] = function (/** @type {unknown[]} */ ...values) {
      try {
        const answer = before(method);
        if (answer !== undefined) return answer;
      } catch (error) {
        if (isAsync) return Promise.reject(error);
        throw error;
      }
      return original.apply(this, values);
    };
  }
}

if (storage) {
  let operations = 0;
  const fail = (/** @type {string} */ method) => {
    operations++;
    if (operations < storage.at || (storage.once && operations > storage.at)) return undefined;
    if (operations === storage.at) strike();
    // Writes as many bytes as there is room for, and returns that number.
    if (storage.error === 'short' && method === 'write') return 1;
    throw new DOMException(
      'an injected fault',
      storage.error === 'short' ? 'QuotaExceededError' : storage.error,
    );
  };
  precede('StorageManager', ['getDirectory', 'estimate'], fail);
  precede('FileSystemDirectoryHandle', ['getDirectoryHandle', 'getFileHandle', 'removeEntry'], fail);
  precede('FileSystemFileHandle', ['getFile', 'createSyncAccessHandle', 'move'], fail);
  precede('FileSystemSyncAccessHandle', ['write', 'truncate', 'flush', 'getSize'], fail, false);
  precede('CacheStorage', ['open'], fail);
  precede('Cache', ['match', 'put', 'delete'], fail);
  // A stream takes a chunk whole or fails: only files have short writes.
  precede('WritableStreamDefaultWriter', ['write', 'close'], (method) => fail(`stream ${method}`));
  // A read error appears in the stream, not before.
  precede(
    'Blob',
    ['stream'],
    () => {
      try {
        return void fail('stream');
      } catch (error) {
        return new Response(new ReadableStream({ pull: (stream) => stream.error(error) })).body;
      }
    },
    false,
  );
}

if (dies) {
  let steps = 0;
  const step = () => {
    if (++steps !== dies.at || (dies.follower && scope.name === 'siglip')) return undefined;
    strike();
    // An exception that nobody catches ends a worker.
    setTimeout(() => {
      throw new Error('an injected end');
    });
    return undefined;
  };
  for (const { prototype } of /** @type {any[]} */ ([Plain, Relaxed, Threads])) {
    for (const method of [
      'step',
      'begin_image',
      'begin_texts',
      'finish',
      'finish_texts',
      'push',
      'arrived',
    ]) {
      const original = prototype[method];
      if (!original) continue;
      prototype[method] = function (/** @type {unknown[]} */ ...values) {
        step();
        return original.apply(this, values);
      };
    }
  }
  precede('ReadableStreamBYOBReader', ['read'], step);
  precede('ReadableStreamDefaultReader', ['read'], step);
  scope.fetch = (/** @type {any[]} */ ...values) => {
    step();
    return fetch(...values);
  };
}

if (clock) {
  // Jumps by an hour every few calls, as a laptop's sleep, a time server or a person may cause.
  let [looks, shift] = [0, 0];
  const jump = () => {
    if (++looks % clock.every === 0) shift += ((looks / clock.every) % 2 ? 1 : -1.5) * 3_600_000;
    return shift;
  };
  const [date, elapsed] = [Date.now, performance.now.bind(performance)];
  Date.now = () => date() + jump();
  performance.now = () => elapsed() + jump();
}

if (without.includes('files')) delete scope.FileSystemFileHandle?.prototype.createSyncAccessHandle;
if (without.includes('relaxed-simd')) {
  const { validate } = WebAssembly;
  /** f32x4.relaxed_madd, as bytes. */
  const opcode = [253, 133, 2].join();
  WebAssembly.validate = (bytes) =>
    validate(bytes) && !String(new Uint8Array(/** @type {any} */ (bytes))).includes(opcode);
}
