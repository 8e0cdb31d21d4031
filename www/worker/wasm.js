/** The builds of the engine, and the choice between them. */
import * as addresses from '../wasm-addresses.js';
import { wasmError } from './errors.js';
import { memory as engineMemory } from './memory.js';

/** A module that needs fixed-width SIMD: (module (func (result v128) i32.const 0 i8x16.splat)). */
const SIMD = [
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 8, 1, 6, 0, 65, 0, 253, 15, 11,
];
/** A module that needs relaxed SIMD: f32x4.relaxed_madd of three splats. */
const RELAXED = [
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 19, 1, 17, 0, 65, 0, 253, 15, 65, 0,
  253, 15, 65, 0, 253, 15, 253, 133, 2, 11,
];

/** Whether this browser runs a module. @param {number[]} bytes */
const runs = (bytes) => WebAssembly.validate(new Uint8Array(bytes));

/** Whether workers can be threads of one engine (thread-pool.js). It needs a cross-origin isolated page, and its build needs relaxed SIMD. */
export const hasThreads = self.crossOriginIsolated && runs(RELAXED);

/** @typedef {import('./protocol.js').SharedBuild} SharedBuild */

/**
 * Loads the fastest build that this browser runs and the host has, and no other.
 * @param {SharedBuild} [shared] the build, if another worker has compiled it
 */
export async function loadWasm(shared) {
  if (!globalThis.WebAssembly || !runs(SIMD)) {
    const reason = 'This browser lacks WebAssembly SIMD. Chrome 91, Firefox 89 and Safari 16.4 have it.';
    throw wasmError(reason);
  }
  // Both paths are written out, so that bundlers find them.
  const relaxed =
    (shared ? shared.backend === 'relaxed-simd' : runs(RELAXED)) &&
    (await ifPresent(import('../wasm/relaxed-simd/siglip_web.js')));
  const {
    default: init,
    Engine,
    memory_was_refused,
  } = relaxed || (await import('../wasm/simd128/siglip_web.js'));
  const address = relaxed ? addresses.relaxedSimd() : addresses.simd128();
  const module = shared?.module ?? (await compile(address));
  await init({ module_or_path: module });
  engineMemory.wasRefused = memory_was_refused;
  return {
    Engine,
    module,
    backend: /** @type {SharedBuild['backend']} */ (relaxed ? 'relaxed-simd' : 'simd'),
  };
}

/**
 * A host may have nothing but the build that every browser runs. `cargo xtask serve` has empty scripts in place of the
 * others while it makes them.
 * @template {{Engine: unknown}} T
 * @param {Promise<T>} bindings
 */
export const ifPresent = (bindings) =>
  bindings.then(
    (bindings) => (bindings.Engine ? bindings : undefined),
    () => undefined,
  );

/** Fetches a build. @param {URL} url */
export async function compile(url) {
  try {
    const response = await fetch(url);
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
    // Streaming compilation needs the right media type, which not every server sends.
    return response.headers.get('content-type')?.startsWith('application/wasm')
      ? await WebAssembly.compileStreaming(response)
      : await WebAssembly.compile(await response.arrayBuffer());
  } catch (error) {
    const reason = error instanceof Error ? error.message : error;
    throw wasmError(`The engine at ${url} could not be loaded: ${reason}.`, error);
  }
}
