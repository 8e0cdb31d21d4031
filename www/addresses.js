/**
 * Where the files that a page loads are. The addresses are relative to this file, which stays in www/ itself: the
 * bundled scripts lie there as well (scripts/bundle.js). Bundlers copy a file whose address is written out as
 * `new URL('…', import.meta.url)`, so only the worker's own is.
 */
const here = import.meta.url;

/** The worker's script, if no bundler has moved it. */
export const workerScript = () => new URL('./worker.js', here).href;

/** Starts the worker from where a bundler has put it. The bundler has to find these very words. */
export const startWorker = () =>
  new Worker(new URL('./worker.js', import.meta.url), { type: 'module', name: 'siglip' });

/** The folder of the demonstration model. */
export const tinyModel = () => new URL('./models/tiny/', here).href;

/** Its bytes to download. */
export const tinyBytes = 9_992_000;
