/** What is made of the times and embeddings that were measured. */

/** Milliseconds: the median, and the times that a tenth and nine tenths of all runs are below. @typedef {{median: number, p10: number, p90: number, runs: number}} Summary */

/**
 * @param {number[]} times of one run or more
 * @returns {Summary}
 */
export function summary(times) {
  const sorted = [...times].sort((a, b) => a - b);
  const at = (/** @type {number} */ share) => rounded(sorted[Math.round(share * (sorted.length - 1))]);
  return { median: at(0.5), p10: at(0.1), p90: at(0.9), runs: times.length };
}

/** To microseconds, which is finer than any browser's clock. @param {number} ms */
export const rounded = (ms) => Math.round(1000 * ms) / 1000;

/**
 * The smallest cosine of embeddings and those they should be.
 * @param {ArrayLike<number>[]} embeddings
 * @param {ArrayLike<number>[]} expected
 */
export const leastCosine = (embeddings, expected) =>
  Math.min(...embeddings.map((embedding, i) => cosine(embedding, expected[i])));

/** @param {ArrayLike<number>} a @param {ArrayLike<number>} b */
function cosine(a, b) {
  let [product, ofA, ofB] = [0, 0, 0];
  for (let i = 0; i < b.length; i++) {
    product += a[i] * b[i];
    ofA += a[i] * a[i];
    ofB += b[i] * b[i];
  }
  return product / Math.sqrt(ofA * ofB);
}

/** Renderers that compute on the CPU. Their times say nothing about a GPU. */
const SOFTWARE = /swiftshader|llvmpipe|lavapipe|basic render|software/i;

/** @typedef {{vendor: string, architecture: string, device: string, description: string, software: boolean, features: string[]}} Adapter */

/**
 * @param {GPUAdapter} adapter
 * @returns {Adapter}
 */
export function describe({ info, features }) {
  // Safari 26.0 has no `info`; Firefox leaves it empty.
  const { vendor = '', architecture = '', device = '', description = '', isFallbackAdapter } = info ?? {};
  const software = !!isFallbackAdapter || SOFTWARE.test(`${vendor} ${architecture} ${description}`);
  return { vendor, architecture, device, description, software, features: [...features].sort() };
}

/** What is compared. @typedef {'image' | 'images8' | 'text1' | 'text8'} Task */
/** @type {Task[]} */
export const tasks = ['image', 'images8', 'text1', 'text8'];

/** `cosine` and `textCosine`: the smallest with the reference. @typedef {{name: string, isOurs: boolean, cosine?: number, textCosine?: number} & Partial<Record<Task, Summary>>} Timed */

/** Weights in 8 bits and arithmetic in f16 stay above it. */
const LEAST_COSINE = 0.99;

/** Whether it was measured, and its answers are right. @param {Timed} result */
const isComparable = ({ image, cosine = NaN, textCosine = 1 }) =>
  image !== undefined && cosine >= LEAST_COSINE && textCosine >= LEAST_COSINE;

/**
 * How many times as fast each of ours is as each other's, by task. Nothing on a software adapter, and nothing of wrong answers.
 * @param {Timed[]} results
 * @param {boolean} isSoftware
 */
export function speedups(results, isSoftware) {
  if (isSoftware) return [];
  /** @type {({ours: string, other: string} & Partial<Record<Task, number>>)[]} */
  const list = [];
  const comparable = results.filter(isComparable);
  for (const ours of comparable.filter(({ isOurs }) => isOurs)) {
    for (const other of comparable.filter(({ isOurs }) => !isOurs)) {
      /** @type {Partial<Record<Task, number>>} */
      const factors = {};
      for (const task of tasks) {
        const [theirs, own] = [other[task], ours[task]];
        if (theirs && own) factors[task] = Math.round((100 * theirs.median) / own.median) / 100;
      }
      list.push({ ours: ours.name, other: other.name, ...factors });
    }
  }
  return list;
}
