/**
 * The thread pool of an engine on pages that are cross-origin isolated. Each thread is a worker that shares the engine's
 * memory. Other pages shard the model instead (sharded-model.js).
 */
import { reportFailure, spawnWorker } from './spawn.js';
import { loadThreads } from './wasm.js';

/** @typedef {import('./protocol.js').SharedEngine} SharedEngine */
/** @typedef {import('./protocol.js').ToThread} ToThread */
/** @typedef {import('./protocol.js').FromThread} FromThread */

/**
 * An engine with so many threads, this worker among them, when all have joined. Undefined if the host lacks the build, or
 * if the browser cannot reserve the memory: shared memory is reserved in full at the start.
 * @param {number} count
 */
export async function startThreadPool(count) {
  let engine;
  try {
    engine = await loadThreads();
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
  if (!engine) return undefined;
  const { module, memory } = engine;
  await Promise.all(Array.from({ length: count - 1 }, (_, i) => startThread(i + 1, { module, memory })));
  return engine;
}

/**
 * @param {number} index
 * @param {SharedEngine} engine
 * @returns {Promise<void>}
 */
const startThread = (index, engine) =>
  new Promise((resolve, reject) => {
    /** @type {import('./protocol.js').Handlers<Exclude<FromThread, import('./protocol.js').FailedMessage>>} */
    const handlers = { joined: () => resolve() };
    spawnWorker(index, handlers, reject).postMessage(/** @type {ToThread} */ ({ type: 'join', engine }));
  });

/**
 * The thread's side: it works for the engine for as long as the worker lives.
 * @param {SharedEngine} engine
 */
export async function joinThreadPool(engine) {
  try {
    const threads = await loadThreads(engine);
    if (!threads) throw new Error('the build with threads cannot be loaded a second time');
    postMessage(/** @type {FromThread} */ ({ type: 'joined' }));
    threads.join();
  } catch (error) {
    reportFailure(error);
  }
}
