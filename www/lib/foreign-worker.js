/** Starts a worker in places where its address alone will not do. */
import { trusted } from './trusted.js';

/**
 * Browsers start no script of another site as a worker, but they do start one that imports it.
 * @param {string} script
 * @param {boolean} isForeign
 */
export function foreignWorker(script, isForeign) {
  return new Worker(trusted(isForeign ? importing(script) : script), { type: 'module', name: 'siglip' });
}

/** The address of a script that imports another. @param {string} script */
function importing(script) {
  const source = `import '${script}';`;
  // Chromium starts no blob in a frame without an origin. Policies allow blob: rather than data: elsewhere.
  if (globalThis.origin === 'null') return `data:text/javascript,${encodeURIComponent(source)}`;
  return URL.createObjectURL(new Blob([source], { type: 'text/javascript' }));
}
