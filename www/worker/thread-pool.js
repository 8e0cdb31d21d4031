/** Workers that are threads of one engine, whose memory they share: on pages that are cross-origin isolated. */
import { startCompanion, tellFailure } from './spawn.js';
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
const startMember = (index, shared) =>
  new Promise((resolve, reject) => startCompanion(index, resolve, reject).postMessage({ join: shared }));

/**
 * A member's side: takes part for as long as the worker lives.
 * @param {Shared} shared
 */
export async function joinTeam(shared) {
  try {
    const { join } = await loadThreads(shared);
    postMessage({ joined: true });
    join();
  } catch (error) {
    tellFailure(error);
  }
}
