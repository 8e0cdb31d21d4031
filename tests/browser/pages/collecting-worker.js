/**
 * A worker that collects its garbage when a page asks for it, and tells how much WebAssembly memory its engine has: the
 * driver reaches neither.
 */
import '/www/worker.js';
import init from '/www/wasm/relaxed-simd/siglip_web.js';

const channel = new BroadcastChannel('collect');
channel.onmessage = async ({ data }) => {
  /** @type {any} */ (globalThis).gc?.();
  // The engine is there already: this gives its exports.
  if (data.tells) channel.postMessage((await /** @type {any} */ (init)()).memory.buffer.byteLength);
};
