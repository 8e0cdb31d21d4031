/**
 * Where the files beside the scripts are. The addresses are relative to this file, which stays in www/ itself: the
 * bundled scripts lie there as well (scripts/bundle.js). Each is written out, so that bundlers find it.
 */

export const workerScript = () => new URL('./worker.js', import.meta.url).href;

/** The folder of the demonstration model. */
export const tinyModel = () => new URL('./models/tiny/', import.meta.url).href;

/** The builds of the engine, by their folder in wasm/. */
export const wasmFiles = {
  simd128: () => new URL('./wasm/simd128/siglip_web_bg.wasm', import.meta.url),
  relaxedSimd: () => new URL('./wasm/relaxed-simd/siglip_web_bg.wasm', import.meta.url),
  threads: () => new URL('./wasm/threads/siglip_web_bg.wasm', import.meta.url),
};
