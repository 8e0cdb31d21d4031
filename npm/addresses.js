/**
 * In the package this file takes the place of www/addresses.js. It keeps its name there, so it can tell whether a bundler
 * has moved it: then only the files whose addresses are written out as `new URL('…', import.meta.url)` are at hand.
 */
const here = import.meta.url;
// Some bundlers put the address of the source file here.
const isMoved = here.startsWith('file:') || !new URL(here).pathname.endsWith('/addresses.js');

/** The address of the embedded model, from the entry `siglip-web/tiny`. @type {string | undefined} */
let tiny;

/** The worker's script, if no bundler has moved it. */
export const workerScript = () => new URL('./worker.js', here).href;

/** Starts the worker from where a bundler has put it. The bundler has to find these very words. */
export const startWorker = () => new Worker(new URL('./worker.js', import.meta.url), { type: 'module' });

/** Makes the embedded model known. @param {string} address */
export function provideTiny(address) {
  tiny = address;
}

/** The embedded model's address. */
export function tinyModel() {
  if (tiny) return tiny;
  if (!isMoved) return new URL('./models/tiny.gguf', here).href;
  throw new Error(
    "The embedded model is not in this bundle. Add the line `import 'siglip-web/tiny';`, or name another model.",
  );
}

/** Its bytes to download. */
export const tinyBytes = 5_550_000;
