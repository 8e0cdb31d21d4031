/** Prints the benchmark's report as text. */

/** @typedef {{date: string, cpu: string, cores: number, results: any[]}} Report */

/** The measured figures and their names in the table. @type {[string, string][]} */
const rows = [
  ['load', 'load'],
  ['imageFirst', 'first image'],
  ['image', 'image'],
  ['text1', '1 new label'],
  ['text8', '8 new labels'],
  ['classify', '12 MP photo, 5 known labels'],
  ['sameLabels', 'the same labels again'],
  ['preprocess', '12 MP JPEG to pixel_values'],
];

/** @param {Report} report */
export function printTable({ date, cpu, cores, results }) {
  console.log(
    `base-patch16-256, random weights; ${cpu}, ${cores} cores, Chromium, ${date}; milliseconds (medians)\n`,
  );
  for (const result of results) {
    const { name, backend, workers, kernel, tower, peaks, peers } = result;
    console.log(`${name} (${backend})`);
    for (const [key, label] of rows) {
      const others = peers.filter((/** @type {any} */ peer) => peer[key] !== undefined);
      const compared = others.map(
        (/** @type {any} */ peer) =>
          `  ${nameOf(peer)} ${figure(peer[key])}  ${ratio(peer[key], result[key])}`,
      );
      console.log(`  ${label.padEnd(28)}${figure(result[key])}${compared.join('')}`);
    }
    const share = kernel
      ? `  ${Math.round((100 * tower) / kernel / workers)} % of the product's own ${Math.round(kernel)}`
      : '';
    console.log(`  ${'image, 10⁹ operations/s'.padEnd(28)}${figure(tower)}${share}`);
    const others = peers.map((/** @type {any} */ peer) => `  ${nameOf(peer)} ${figure(peak(peer.peaks))}`);
    console.log(`  ${'peak memory, MB'.padEnd(28)}${figure(peak(peaks))}${others.join('')}\n`);
  }
}

const NAMES = { transformers: 'transformers.js', litert: 'LiteRT.js' };
/** @param {{engine: keyof typeof NAMES, dtype: string}} peer */
const nameOf = ({ engine, dtype }) => `${NAMES[engine]} ${dtype}`;

/** @param {Record<string, number>} peaks */
const peak = ({ load = 0, image = 0, vision = 0, text = 0 }) => Math.max(load, image, vision, text);

/** @param {number} value */
const figure = (value) => value.toFixed(value < 10 ? 2 : 0).padStart(7);

/**
 * @param {number} theirs
 * @param {number} ours
 */
const ratio = (theirs, ours) => `x ${(theirs / ours).toFixed(2)}`;
