/** How a page starts the worker. */
import { startWorker, workerScript } from '../addresses.js';
import { absolute } from './checkpoints.js';

/**
 * Starts worker.js.
 * @param {string} [url] of a copy
 */
export async function workerAt(url) {
  const script = absolute(url ?? workerScript());
  // Some bundlers put the address of the source file, file:, in the place of a script's own address.
  const isForeign = script.startsWith('http') && new URL(script).origin !== location.origin;
  try {
    if (!url && !isForeign) return startWorker();
  } catch {
    // Where Trusted Types are enforced, browsers refuse an address that no policy has made.
  }
  return (await import('./foreign-worker.js')).foreignWorker(script, isForeign);
}
