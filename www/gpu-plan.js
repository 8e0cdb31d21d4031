/**
 * What makes plans for a GPU: a module of its own, which a model that is loaded on a GPU has fetched. Its address is relative to
 * www/, as in addresses.js.
 */
import { GpuFault, reasonOf } from './worker/gpu-device.js';

/** @typedef {import('./worker/gpu-tower.js').TowerPlan} TowerPlan */
/** @typedef {{image?: TowerPlan, text?: TowerPlan, checksum: string, places: import('./worker/gpu-weights.js').Place[], rowLengths: number[]}} Plan */
/** Makes a plan of the sizes that `onConfig` hears of. @typedef {(sizes: string) => Promise<Plan>} Planner */
/** See crates/siglip-gpu-plan. @typedef {{memory: WebAssembly.Memory, room: (bytes: number) => number, plan: (text: number, bytes: number) => bigint}} Exports */

/** @returns {Promise<Planner>} */
export async function loadPlanner() {
  const address = new URL('./wasm/gpu-plan/siglip_gpu_plan.wasm', import.meta.url);
  try {
    const response = await fetch(address);
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
    return await plannerOf(await response.arrayBuffer());
  } catch (error) {
    throw new GpuFault('gpu-plan', `${address}: ${reasonOf(error)}`, error);
  }
}

/** @param {BufferSource} bytes the module @returns {Promise<Planner>} */
export async function plannerOf(bytes) {
  const module = await WebAssembly.compile(bytes);
  return async (sizes) => {
    // An instance frees nothing.
    const { exports } = await WebAssembly.instantiate(module);
    const { memory, room, plan } = /** @type {Exports} */ (/** @type {unknown} */ (exports));
    const text = new TextEncoder().encode(sizes);
    const at = room(text.length);
    new Uint8Array(memory.buffer, at).set(text);
    const made = plan(at, text.length);
    const json = new Uint8Array(memory.buffer, Number(made >> 32n), Number(made & 0xffffffffn));
    const { error, ...found } = JSON.parse(new TextDecoder().decode(json));
    if (error) throw new Error(error);
    return found;
  };
}
