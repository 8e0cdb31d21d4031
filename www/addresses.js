/**
 * Where the files that a page loads are. The addresses are relative to this file, which stays in www/ itself: the
 * bundled scripts lie there as well (scripts/bundle.js).
 */

export const workerScript = () => new URL('./worker.js', import.meta.url).href;

/** The folder of the demonstration model. */
export const tinyModel = () => new URL('./models/tiny/', import.meta.url).href;
