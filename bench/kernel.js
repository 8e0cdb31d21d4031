/** The rate of the matrix product by itself, for comparison with that of a whole vision tower. */

const rows = 256;
const inputs = 768;
const outputs = 3072;
/** Products per measurement: a single one is too short for the clock. */
const batch = 3;

/**
 * The rate of the product of the MLP's first layer at base size, in 10⁹ operations per second.
 * @param {string} url of the module that examples/rate.rs of siglip-kernels makes
 * @param {'f32' | 'q8'} precision
 * @param {number} runs
 */
export async function kernelRate(url, precision, runs) {
  const { instance } = await WebAssembly.instantiateStreaming(fetch(url));
  const { prepare, multiply } = /** @type {Record<string, (...numbers: number[]) => void>} */ (
    instance.exports
  );
  prepare(precision === 'q8' ? 1 : 0, rows, inputs, outputs);
  multiply(batch);
  const times = Array.from({ length: 3 * runs }, () => {
    const start = performance.now();
    multiply(batch);
    return performance.now() - start;
  });
  times.sort((a, b) => a - b);
  return (2 * rows * inputs * outputs * batch) / times[times.length >> 1] / 1e6;
}

/** @typedef {{hidden_size: number, intermediate_size: number, num_hidden_layers: number, image_size: number, patch_size: number}} VisionConfig */

/**
 * Operations of the vision tower for one picture. The pooling head has few and is left out.
 * @param {VisionConfig} config
 */
export function towerOperations(config) {
  const { hidden_size: hidden, intermediate_size: middle, num_hidden_layers: layers } = config;
  const patches = Math.floor(config.image_size / config.patch_size) ** 2;
  const embedding = 3 * config.patch_size ** 2 * hidden;
  const block = 4 * hidden * hidden + 2 * hidden * middle + 2 * patches * hidden;
  return 2 * patches * (embedding + layers * block);
}
