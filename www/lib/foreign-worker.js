/** Starts a worker in places where its address alone will not do. */
import { trusted } from './trusted.js';

/**
 * Browsers start no script of another site as a worker, but they do start a blob that imports it.
 * @param {string} script
 * @param {boolean} isForeign
 */
export function foreignWorker(script, isForeign) {
  const blob = () => new Blob([`import '${script}';`], { type: 'text/javascript' });
  const address = isForeign ? URL.createObjectURL(blob()) : script;
  return new Worker(trusted(address), { type: 'module', name: 'siglip' });
}
