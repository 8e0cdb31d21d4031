/** Workers that are threads of one engine, whose memory they share: on pages that are cross-origin isolated. */
import { loadThreads } from './wasm.js';

/** @typedef {{module: WebAssembly.Module, memory: WebAssembly.Memory}} Shared */

/**
 * The engine for a team of so many workers, this one among them, when all have joined; nothing where the browser has no
 * room for memory that can be shared, which is all there may be from the beginning.
 * @param {number} count
 */
export async function startTeam(count) {
  let engine;
  try {
    engine = await loadThreads();
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
  const { module, memory } = engine;
  await Promise.all(Array.from({ length: count - 1 }, (_, i) => startMember(i + 1, { module, memory })));
  return engine;
}

/**
 * @param {number} index
 * @param {Shared} shared
 */
function startMember(index, shared) {
  // The same script as this worker's, be that worker.js or a blob that imports it.
  const worker = new Worker(self.location.href, { type: 'module', name: `siglip ${index}` });
  worker.postMessage({ join: shared });
  return new Promise((resolve, reject) => {
    worker.onmessage = resolve;
    worker.onerror = (event) => {
      event.preventDefault();
      reject(new Error(`one of the workers has died: ${event.message}`));
    };
  });
}

/**
 * A member's side: takes part for as long as the worker lives.
 * @param {Shared} shared
 */
export async function join(shared) {
  const { join } = await loadThreads(shared);
  postMessage({ joined: true });
  join();
}
