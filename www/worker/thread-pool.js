/**
 * The thread pool of an engine on pages that are cross-origin isolated. Each thread is a worker that shares the engine's
 * memory. Other pages shard the model instead (sharded-model.js).
 */
import * as addresses from '../wasm-addresses.js';
import { memory as engineMemory } from './memory.js';
import { reportFailure } from './errors.js';
import { spawnWorker } from './spawn.js';
import { compile, ifPresent } from './wasm.js';

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

/**
 * Loads the build for threads, which share its memory. Undefined if the host lacks it.
 * @param {{module: WebAssembly.Module, memory: WebAssembly.Memory}} [shared] in a thread: those of the worker that started it
 */
async function loadThreads(shared) {
  const bindings = await ifPresent(import('../wasm/threads/siglip_web.js'));
  if (!bindings) return undefined;
  const { default: init, Engine, join_thread_pool, memory_was_refused } = bindings;
  const module = shared?.module ?? (await compile(addresses.threads()));
  const { memory } = await init({ module_or_path: module, memory: shared?.memory });
  engineMemory.wasRefused = memory_was_refused;
  return {
    Engine,
    join: join_thread_pool,
    module,
    memory,
    backend: /** @type {import('./protocol.js').SharedBuild['backend']} */ ('relaxed-simd'),
  };
}
