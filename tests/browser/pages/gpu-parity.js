/** A checkpoint's embeddings: with the blocks and heads on the GPU and all else in f32, and with the same weights in f32 on the CPU. */
import { loadPlanner } from '/www/gpu-plan.js';
import { loadParametersOf } from '/www/lib/parameters.js';
import { isFinite } from '/www/worker/gpu-check.js';
import { openDevice } from '/www/worker/gpu-device.js';
import { GpuTower } from '/www/worker/gpu-tower.js';
import { WeightWriter } from '/www/worker/gpu-weights.js';
import { shortestOf } from '/www/worker/gpu.js';
import { loadWasm } from '/www/worker/wasm.js';

/** @typedef {import('/www/wasm/simd128/siglip_web.js').Engine} Engine */
/** @typedef {import('/www/worker/protocol.js').PassInput} PassInput */
/** Runs the blocks in the place of the engine. @typedef {(engine: Engine, input: PassInput) => Promise<void>} Blocks */

/**
 * @param {string} folder
 * @param {string[]} names of the files in it, that of the weights last
 * @param {'f32' | 'q8'} precision of the weights on the GPU. In q8 the matrices are rounded to 8 bits for the CPU, too
 * @param {string[]} images
 * @param {string[]} texts
 */
export async function parity(folder, names, precision, images, texts) {
  const files = await Promise.all(names.map(async (name) => ({ name, bytes: await bytesAt(folder + name) })));
  const last = files[files.length - 1];
  const rounded = precision === 'q8' ? [...files.slice(0, -1), withRoundedMatrices(last)] : files;
  const inputs = { images: await Promise.all(images.map(bytesAt)), texts };
  const { gpu, adapter } = await onGpu(rounded, precision, inputs);
  return {
    gpu,
    adapter,
    cpu: await embed(await load(rounded, 'f32'), inputs),
    original: await embed(await load(files, 'f32'), inputs),
  };
}

/** @param {string} url */
const bytesAt = async (url) => new Uint8Array(await (await fetch(url)).arrayBuffer());

/**
 * Rounds every row of every matrix to 127 levels on each side, as a load in q8 does. A second rounding changes nothing.
 * @param {{name: string, bytes: Uint8Array}} file
 */
function withRoundedMatrices({ name, bytes }) {
  const copy = bytes.slice();
  const start = 8 + Number(new DataView(copy.buffer).getBigUint64(0, true));
  /** @type {Record<string, {dtype: string, shape: number[], data_offsets: [number, number]}>} */
  const header = JSON.parse(new TextDecoder().decode(copy.subarray(8, start)));
  delete header.__metadata__;
  for (const { dtype, shape, data_offsets } of Object.values(header)) {
    if (shape.length < 2) continue;
    const end = start + data_offsets[1];
    // Their bytes need not be aligned.
    const values = valuesOf(dtype, copy.slice(start + data_offsets[0], end).buffer);
    const length = values.length / shape[0];
    for (let row = 0; row < values.length; row += length) {
      const largest = values.subarray(row, row + length).reduce((most, x) => Math.max(most, Math.abs(x)), 0);
      const scale = Math.fround(largest / 127) || 1;
      for (let i = row; i < row + length; i++) values[i] = Math.round(values[i] / scale) * scale;
    }
    copy.set(new Uint8Array(values.buffer), start + data_offsets[0]);
  }
  return { name, bytes: copy };
}

/** @param {string} dtype @param {ArrayBuffer} buffer */
function valuesOf(dtype, buffer) {
  if (dtype !== 'F32') throw new Error(`weights in ${dtype}`);
  return new Float32Array(buffer);
}

/**
 * @param {{name: string, bytes: Uint8Array}[]} files
 * @param {'f32' | 'q8'} precision
 * @param {{gpu?: boolean, onConfig?: (config: string, towers: string, sizes?: string) => void, onWeights?: (weights: Uint8Array) => Promise<void>}} [more]
 */
async function load(files, precision, { gpu = false, onConfig = () => {}, onWeights } = {}) {
  const { Engine } = await loadWasm();
  const given = files.map(({ name, bytes }) => new File([/** @type {BlobPart} */ (bytes)], name));
  const { source, options } = loadParametersOf(given, { precision, cache: false });
  const callbacks = { onProgress: () => {}, onNotice: () => {}, onConfig, onWeights };
  return Engine.load(source, { ...options, workers: 1, gpu }, undefined, callbacks);
}

/**
 * @param {{name: string, bytes: Uint8Array}[]} files
 * @param {'f32' | 'q8'} precision
 * @param {{images: Uint8Array[], texts: string[]}} inputs
 */
async function onGpu(files, precision, inputs) {
  const { device, name } = await openDevice(false);
  /** @type {{image?: GpuTower, text?: GpuTower}} */
  const towers = {};
  let writer = /** @type {Promise<WeightWriter> | undefined} */ (undefined);
  const begin = async (/** @type {string} */ sizes) => {
    const plan = await (await loadPlanner())(sizes);
    for (const name of /** @type {const} */ (['image', 'text'])) {
      if (!plan[name]) continue;
      // The one that compiles soonest, as for any adapter that is software.
      const tower = { ...plan[name], programs: [shortestOf(plan[name])] };
      towers[name] = await GpuTower.create(device, tower);
    }
    await Promise.all(Object.values(towers).map((tower) => tower.compile()));
    return new WeightWriter(device, plan, towers);
  };
  const weights = await load(files, precision, {
    gpu: true,
    onConfig: (_config, _towers, sizes = '') => (writer = begin(sizes)),
    onWeights: async (weights) => {
      const copy = weights.slice();
      await (await writer)?.write(copy);
    },
  });
  await (await writer)?.writeQueries(weights.gpu_input('queries'));
  weights.free();
  const embeddings = await embed(await load(files, 'f32', { gpu: true }), inputs, async (engine, input) => {
    const tower = /** @type {GpuTower} */ (towers['pixels' in input ? 'image' : 'text']);
    const [sequences, , ...patches] = engine.gpu_pass();
    const grid = patches.join('x');
    if (tower.plan.hasPositions && grid !== tower.grid)
      await tower.setPositions(grid, engine.gpu_input('positions'));
    const values = await tower.run({ values: engine.gpu_input('rows'), sequences });
    if (!isFinite(values)) throw new Error('results are not finite');
    engine.set_results(values, tower.plan.embeddings !== undefined);
  });
  device.destroy();
  return { gpu: embeddings, adapter: name };
}

/**
 * Embeds the images and the texts, and frees the engine.
 * @param {Engine} engine
 * @param {{images: Uint8Array[], texts: string[]}} inputs
 * @param {Blocks} [blocks]
 */
async function embed(engine, { images, texts }, blocks) {
  const run = async (/** @type {PassInput} */ input) => {
    for (let step = engine.step(); step !== 'done'; step = engine.step()) {
      if (step === 'blocks') await /** @type {Blocks} */ (blocks)(engine, input);
    }
  };
  const embeddings = [];
  for (const bytes of images) {
    const pixels = engine.pixel_values(bytes);
    engine.begin_image(pixels.values, pixels.height);
    await run({ pixels });
    embeddings.push(engine.finish());
  }
  if (texts.length) {
    const inputIds = engine.next_input_ids(texts);
    engine.begin_texts(inputIds);
    await run({ inputIds });
    engine.finish_texts();
  }
  embeddings.push(...texts.map((text) => engine.text_embedding(text)));
  engine.free();
  return embeddings.map((values) => Array.from(values));
}
