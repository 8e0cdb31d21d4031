/** The part of the benchmark that runs in the page. It uses only the public API. */
import { Siglip } from '../www/siglip.js';
import { kernelRate } from './kernel.js';

/**
 * @typedef {object} Options
 * @property {string} folder of the checkpoint
 * @property {string} preprocessor folder of a checkpoint with one layer
 * @property {string} picture
 * @property {string} kernels folder of the modules that hold only the matrix product, one per build
 * @property {'f32' | 'q8'} precision
 * @property {number} workers
 * @property {'candle'} [engine]
 * @property {number} runs
 */

/** @param {number[]} times */
const median = (times) => [...times].sort((a, b) => a - b)[times.length >> 1];

/**
 * The time of each of `runs` calls, in milliseconds.
 * @param {number} runs
 * @param {() => Promise<unknown>} call
 */
async function time(runs, call) {
  const times = [];
  for (let run = 0; run < runs; run++) {
    const start = performance.now();
    await call();
    times.push(performance.now() - start);
  }
  return times;
}

let labels = 0;
/** Labels that were never seen before. @param {number} count */
const newLabels = (count) => Array.from({ length: count }, () => `thing number ${++labels}`);

/**
 * A picture of the model's own size, so that there is almost no preprocessing.
 * @param {number} side
 */
function readyPicture(side) {
  const image = new ImageData(side, side);
  image.data.forEach((_, i) => (image.data[i] = 128 + 115 * Math.sin(0.37 * i)));
  return image;
}

/**
 * Tells the driver that a phase begins. The driver then resets the peak of memory.
 * @param {string} name
 * @returns {Promise<void>}
 */
const phase = (name) => /** @type {any} */ (window).onPhase(name);

/** @param {Options} options */
async function measure({ folder, preprocessor, picture, kernels, precision, workers, engine, runs }) {
  const options = { precision, workers, engine, cache: false };
  const photo = await (await fetch(picture)).blob();

  await phase('load');
  const start = performance.now();
  const siglip = await Siglip.load(folder, options);
  const load = performance.now() - start;
  const ready = readyPicture(siglip.info.imageSize);

  await phase('image');
  const [imageFirst] = await time(1, () => siglip.embedImage(ready));
  await time(2, () => siglip.embedImage(ready));
  const image = median(await time(runs, () => siglip.embedImage(ready)));

  await phase('text');
  await siglip.embedText(newLabels(1));
  const text1 = median(await time(runs, () => siglip.embedText(newLabels(1))));
  const text8 = median(await time(Math.max(3, runs >> 1), () => siglip.embedText(newLabels(8))));

  await phase('classify');
  const five = newLabels(5);
  await siglip.classify(ready, five);
  const classify = median(await time(runs, () => siglip.classify(photo, five)));
  const embedding = await siglip.embedImage(ready);
  const sameLabels = median(await time(runs, () => siglip.score(embedding, five)));
  const { backend, bytes } = siglip.info;
  siglip.dispose();

  await phase('preprocess');
  const small = await Siglip.load(preprocessor, { ...options, workers: 1 });
  await small.embedImage(photo);
  const withTower = median(await time(runs, () => small.embedImage(photo)));
  const tower = median(await time(runs, () => small.embedImage(ready)));
  small.dispose();
  await phase('kernel');
  // Without what the engine has found out about the processor.
  const build = backend.replace(/-[ui]8$/, '');
  // candle has products of its own.
  const kernel = engine ? undefined : await kernelRate(`${kernels}${build}.wasm`, precision, runs);

  const isolated = crossOriginIsolated;
  const preprocess = withTower - tower;
  const times = { load, imageFirst, image, text1, text8, classify, sameLabels, preprocess };
  return { backend, isolated, bytes, kernel, ...times };
}

/**
 * A JPEG of 12 megapixels like a camera's: an enlarged photograph with added noise.
 * @param {string} source
 */
async function makePicture(source) {
  const photo = await createImageBitmap(await (await fetch(source)).blob());
  const canvas = new OffscreenCanvas(4000, 3000);
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext('2d'));
  context.drawImage(photo, 0, 0, canvas.width, canvas.height);
  const image = context.getImageData(0, 0, canvas.width, canvas.height);
  let random = 1;
  image.data.forEach((value, i) => {
    random = (random * 1103515245 + 12345) & 0x7fffffff;
    image.data[i] = value + ((random >> 16) % 17) - 8;
  });
  context.putImageData(image, 0, 0);
  const blob = await canvas.convertToBlob({ type: 'image/jpeg', quality: 0.9 });
  const bytes = new Uint8Array(await blob.arrayBuffer());
  return Array.from(bytes, (byte) => String.fromCharCode(byte)).join('');
}

Object.assign(window, { measure, makePicture });
