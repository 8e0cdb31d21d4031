import * as addresses from '../wasm-addresses.js';
import { wasmError } from './errors.js';

/** (module (func (result v128) i32.const 0 i8x16.splat)): fixed-width SIMD. */
const SIMD = [
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 8, 1, 6, 0, 65, 0, 253, 15, 11,
];
/** The same with f32x4.relaxed_madd of three splats: relaxed SIMD. */
const RELAXED = [
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 19, 1, 17, 0, 65, 0, 253, 15, 65, 0,
  253, 15, 65, 0, 253, 15, 253, 133, 2, 11,
];

/** @param {number[]} bytes */
const runs = (bytes) => WebAssembly.validate(new Uint8Array(bytes));

/** Whether workers can be threads of one engine: on pages that are cross-origin isolated. Its build has relaxed SIMD. */
export const hasThreads = self.crossOriginIsolated && runs(RELAXED);

/**
 * The build of the engine that this browser runs best, and only that one.
 * @param {WebAssembly.Module} [shared] compiled by another worker
 */
export async function loadWasm(shared) {
  if (!globalThis.WebAssembly || !runs(SIMD)) {
    const reason =
      'This browser lacks WebAssembly SIMD; Chrome 91, Firefox 89, Safari 16.4 and later have it.';
    throw wasmError(reason);
  }
  const relaxed = runs(RELAXED);
  // Both paths are written out, so that tools that copy or bundle the page find them.
  const { default: init, Engine } = relaxed
    ? await import('../wasm/relaxed-simd/siglip_web.js')
    : await import('../wasm/simd128/siglip_web.js');
  const module = shared ?? (await compile(relaxed ? addresses.relaxedSimd() : addresses.simd128()));
  await init({ module_or_path: module });
  return { Engine, module, backend: relaxed ? 'relaxed-simd' : 'simd' };
}

/**
 * The build whose memory threads share; see `hasThreads`.
 * @param {{module: WebAssembly.Module, memory: WebAssembly.Memory}} [shared] of the worker that has the engine
 */
export async function loadThreads(shared) {
  const { default: init, Engine, join_thread_pool } = await import('../wasm/threads/siglip_web.js');
  const module = shared?.module ?? (await compile(addresses.threads()));
  const { memory } = await init({ module_or_path: module, memory: shared?.memory });
  return { Engine, join: join_thread_pool, module, memory, backend: 'relaxed-simd' };
}

/** @param {URL} url */
async function compile(url) {
  try {
    const response = await fetch(url);
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
    // Compiling while it arrives needs the right media type; not every server sends it.
    return response.headers.get('content-type')?.startsWith('application/wasm')
      ? await WebAssembly.compileStreaming(response)
      : await WebAssembly.compile(await response.arrayBuffer());
  } catch (error) {
    const reason = error instanceof Error ? error.message : error;
    throw wasmError(`The engine at ${url} could not be loaded: ${reason}.`, error);
  }
}
