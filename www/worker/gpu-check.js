/**
 * Whether a GPU computes what the CPU does, and how fast. Drivers are known that give wrong results without an error, or right
 * ones only the first time; docs/gpu.md lists them.
 */
import { GpuFault, checksumsOf } from './gpu-device.js';

/** @typedef {import('../wasm/simd128/siglip_web.js').Engine} Engine */
/** @typedef {import('./gpu-tower.js').GpuTower} GpuTower */

/**
 * The largest difference of a block's results, relative to what the block adds to its input, and of a head's. With weights in 8
 * bits the CPU rounds activations, too, and the GPU does not.
 */
const MOST_DIFFERENCE = { f32: 1e-4, q8: 1e-2 };

/**
 * Compares the weights in the GPU's memory with those that were sent.
 * @param {GPUDevice} device
 * @param {string} wgsl
 * @param {Map<GPUBuffer, number>} sent checksums
 */
export async function checkWeights(device, wgsl, sent) {
  const sums = await checksumsOf(device, wgsl, [...sent.keys()]);
  const wrong = [...sent].findIndex(([, sum], i) => sum !== sums[i]);
  if (wrong >= 0)
    throw new GpuFault('gpu-wrong', `the weights of ${[...sent.keys()][wrong].label} arrived changed`);
}

/**
 * Runs the first block on the CPU and on the GPU, with each program that is used. Then runs the whole tower on two inputs and once
 * more on the first, and compares what its head makes of the last block's output.
 * @param {Engine} engine
 * @param {'image' | 'text'} name
 * @param {GpuTower} tower
 * @param {'q8' | 'f32'} precision
 * @returns {Promise<{cpu: number, gpu: number}>} milliseconds that the tower takes; those of the CPU in one worker
 */
export async function checkTower(engine, name, tower, precision) {
  const { hiddenSize, length, input, hasPositions, embeddings, blocks } = tower.plan;
  // Two sequences show whether each attends to itself alone.
  const sequences = name === 'text' ? 2 : 1;
  const rows = sequences * length;
  const [a, b] = [1, 2].map((seed) => ({ values: noise(rows * input.size, seed), sequences }));
  const positions = noise(hasPositions ? length * hiddenSize : 0, 3);
  if (hasPositions) await tower.setPositions(undefined, positions);
  let cpu = Infinity;
  const compare = (
    /** @type {string} */ what,
    /** @type {Float32Array} */ actual,
    /** @type {Float32Array} */ expected,
    /** @type {Float32Array} */ before,
  ) => {
    const difference = differenceOf(actual, expected, before);
    // Written so that NaN is a difference, too.
    if (!(difference <= MOST_DIFFERENCE[precision]))
      throw new GpuFault('gpu-wrong', `the ${name} tower's ${what} differs by ${difference} from the CPU's`);
  };
  for (const input of [a, b]) {
    const [stream, patches] = hasPositions ? [positions, input.values] : [input.values, positions];
    const start = performance.now();
    const expected = engine.reference(false, name, stream, patches, sequences);
    cpu = Math.min(cpu, performance.now() - start);
    for (const program of tower.plan.programs)
      compare('first block', await tower.run(input, 'firstBlock', program), expected, stream);
  }
  const first = await tower.run(a);
  const other = await tower.run(b);
  const start = performance.now();
  const again = await tower.run(a);
  const gpu = performance.now() - start;
  if (!isFinite(first) || !isFinite(other)) throw new GpuFault('gpu-wrong', 'results are not finite');
  if (!isEqual(first, again))
    throw new GpuFault('gpu-wrong', 'the same input gave other results the second time');
  if (isEqual(first, other)) throw new GpuFault('gpu-wrong', 'different inputs gave the same results');
  if (embeddings) {
    const last = await tower.run(a, 'lastBlock');
    const expected = engine.reference(true, name, last, positions, sequences);
    compare('head', first, expected, new Float32Array(expected.length));
  }
  tower.limitSubmits(gpu);
  return { cpu: cpu * blocks, gpu };
}

/** Whether all are numbers. @param {Float32Array} values */
export function isFinite(values) {
  let sum = 0;
  for (const value of values) sum += value * 0;
  return sum === 0;
}

/** @param {Float32Array} a @param {Float32Array} b */
function isEqual(a, b) {
  const [left, right] = [new Int32Array(a.buffer), new Int32Array(b.buffer)];
  return left.length === right.length && left.every((bits, i) => bits === right[i]);
}

/**
 * Values from -1 to 1, and one in 499 a hundred times as large, as in the residual streams of trained models.
 * @param {number} length
 * @param {number} seed
 */
function noise(length, seed) {
  const values = new Float32Array(length);
  let state = seed;
  for (let i = 0; i < length; i++) {
    // Numerical Recipes' generator.
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    values[i] = (state / 2 ** 31) * (i % 499 ? 1 : 100);
  }
  return values;
}

/**
 * |actual - expected| / |expected - input|, in the Euclidean norm.
 * @param {Float32Array} actual
 * @param {Float32Array} expected
 * @param {Float32Array} input
 */
function differenceOf(actual, expected, input) {
  let [error, change] = [0, 0];
  for (let i = 0; i < expected.length; i++) {
    error += (actual[i] - expected[i]) ** 2;
    change += (expected[i] - input[i]) ** 2;
  }
  return Math.sqrt(error / change);
}
