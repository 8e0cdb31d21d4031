/**
 * Where the builds of the engine are, which a worker loads. As in addresses.js, the addresses are relative to www/. Each
 * is written out, so that bundlers find it.
 */
export const simd128 = () => new URL('./wasm/simd128/siglip_web_bg.wasm', import.meta.url);
export const relaxedSimd = () => new URL('./wasm/relaxed-simd/siglip_web_bg.wasm', import.meta.url);
export const threads = () => new URL('./wasm/threads/siglip_web_bg.wasm', import.meta.url);
