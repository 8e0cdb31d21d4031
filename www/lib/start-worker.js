/** How a page starts the worker. */
import { startWorker, workerScript } from '../addresses.js';
import { absolute } from './checkpoints.js';

/**
 * Starts worker.js. Browsers start no script of another site as a worker, but they do start a blob that imports it.
 * @param {string} [url] of a copy
 */
export function workerAt(url) {
  const script = absolute(url ?? workerScript());
  // Some bundlers put the address of the source file, file:, in the place of a script's own address.
  const isForeign = script.startsWith('http') && new URL(script).origin !== location.origin;
  if (!url && !isForeign) return startWorker();
  const blob = new Blob([`import '${script}';`], { type: 'text/javascript' });
  const address = isForeign ? URL.createObjectURL(blob) : script;
  return new Worker(address, { type: 'module', name: 'siglip' });
}
