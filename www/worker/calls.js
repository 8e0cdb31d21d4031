/** What a page can ask of its worker: a handler for each call, and the engine behind them. */
import { hasThreads, loadWasm } from './wasm.js';
import { yieldIfDue } from './yield.js';

/** @typedef {import('../wasm/simd128/siglip_web.js').Engine} Engine */
/** @typedef {import('./protocol.js').Calls} Calls */
/** @typedef {import('./protocol.js').CallEvent} CallEvent */
/** @typedef {import('./protocol.js').LoadEvent} LoadEvent */
/** @typedef {import('./protocol.js').PixelValues} PixelValues */

/** Texts embedded and scored at a time: the engine caches a few thousand, and more would evict each other. */
const TEXT_BATCH = 64;
/** Most workers that "auto" takes: with more, the exchange of sums costs what the division of work gains. */
const AUTO_WORKERS = 4;

/** @type {Engine} */
let engine;
/** The other workers of a sharded model. @type {import('./sharded-model.js').Followers | undefined} */
let followers;
/** The text tower of the model that was loaded last, if it comes later. @type {import('./later-text.js').LaterText | undefined} */
let laterText;
/** The GPU that the model was loaded on. @type {import('./gpu.js').GpuBlocks | undefined} */
let gpu;

/** @type {import('./protocol.js').CallHandlers} */
export const calls = {
  async load(parameters, signal, tell) {
    /** @type {import('./gpu.js').LoadOnCpu} */
    const onCpu = (signal, tell, asThreads = hasThreads) => load(parameters, asThreads, signal, tell);
    const loaded =
      parameters.device === 'cpu'
        ? await onCpu(signal, tell)
        : await (await gpuModule()).load(parameters, loadWasm, workersFor(parameters), onCpu, signal, tell);
    ({ engine, gpu } = loaded);
    const info = engine.info();
    const bytes = info.bytes + loaded.bytesElsewhere;
    const labelSets = engine.label_sets();
    return { ...info, ...loaded.place, bytes, ...(labelSets.length && { labelSets }) };
  },

  async loadText() {
    return laterText?.info();
  },

  async embedImage({ image, pooling, normalize }, signal, tell, waiting) {
    const pixels = { ...(await readImage(image, tell)), pooling, normalize };
    if (gpu) return gpu.embed(engine, { pixels, signal, tell }, waiting, readImage, embedPixels);
    return embedPixels(pixels, signal, tell);
  },

  async embedPatches(parameters, signal, tell) {
    const pixels = await readImage(parameters.image, tell);
    const { embedPatches } = await vectorsModule();
    return embedPatches(engine, pixels, parameters, (pixels) => embedPixels(pixels, signal, tell));
  },

  async explain(parameters, signal, tell) {
    const pixels = await readImage(parameters.image, tell);
    const { explain } = await vectorsModule();
    const embed = (
      /** @type {import('./protocol.js').PixelValues & import('./protocol.js').Vectors} */ pixels,
    ) => embedPixels(pixels, signal, tell);
    return explain(engine, pixels, parameters, embed, (asked) => calls.score(asked, signal, tell), tell);
  },

  async checkPrompts({ labels, labelSet, template }) {
    engine.check_labels(labels, labelSet, template);
  },

  async embedTexts({ texts, normalize }, signal, tell) {
    if (normalize === false) {
      const { textVectors } = await vectorsModule();
      return textVectors(engine, texts, (input) => runPass(input, signal, tell));
    }
    const embeddings = [];
    for (const batch of batchesOf(texts)) {
      await embedTexts(batch, signal, tell);
      embeddings.push(...batch.map((text) => engine.text_embedding(text)));
    }
    return embeddings;
  },

  async score(
    { embedding, labels, labelSet, template, topK, threshold, scale, bias, relative },
    signal,
    tell,
  ) {
    const ranking = { topK, threshold, scale, bias, relative };
    if (engine.check_labels(labels, labelSet, template) || !labels) {
      return engine.own_scores(embedding, labels, labelSet, ranking);
    }
    const scores = [];
    for (const batch of batchesOf(labels, template.length)) {
      await laterText?.forLabels(batch, template, signal, tell);
      await embedTexts(engine.prompts(batch, template), signal, tell);
      scores.push(...engine.scores(embedding, batch, template, { scale, bias }));
    }
    await engine.keep_labels(labels, template);
    return engine.rank(scores, ranking);
  },

  async calibrate({ logits, truths }) {
    return engine.calibrate(new Float32Array(logits), new Uint8Array(truths));
  },

  async exportLabels(parameters, signal, tell) {
    const { exportLabels } = await labelSetsModule();
    return exportLabels(engine, parameters, (texts) => embedTexts(texts, signal, tell));
  },

  async importLabels({ json }) {
    const { importLabels } = await labelSetsModule();
    return importLabels(engine, json);
  },

  async index(request) {
    return (await import('./search-index.js')).answerIndex(engine, request);
  },

  async classes(request) {
    return (await import('./classes.js')).answerClasses(engine, request);
  },
};

/**
 * Loads a model that as many workers share as the caller has asked for.
 * @param {Calls['load']['parameters']} parameters
 * @param {boolean} asThreads
 * @param {AbortSignal} signal
 * @param {(event: LoadEvent) => void} tell
 * @returns {Promise<import('./gpu.js').Loaded>}
 */
async function load(parameters, asThreads, signal, tell) {
  const count = workersFor(parameters);
  try {
    return await loadShared(parameters, count, asThreads, signal, tell);
  } catch (error) {
    // The model's configuration may show fewer attention heads than there are workers.
    const refused = /** @type {{code?: string}} */ (error)?.code === 'bad-input';
    if (!refused || parameters.workers !== 'auto' || count === 1) throw error;
    followers?.end();
    followers = undefined;
    return loadShared(parameters, 1, asThreads, signal, tell);
  }
}

/**
 * Loads a model that `count` workers share: as threads of one engine on isolated pages, as shards on all others.
 * @param {Calls['load']['parameters']} parameters
 * @param {number} count
 * @param {boolean} asThreads
 * @param {AbortSignal} signal
 * @param {(event: LoadEvent) => void} tell
 * @returns {Promise<import('./gpu.js').Loaded>}
 */
async function loadShared({ source, options: chosen }, count, asThreads, signal, tell) {
  const threads = count > 1 && asThreads ? await (await threadPool()).startThreadPool(count) : undefined;
  const { Engine, backend, module } = threads ?? (await loadWasm());
  const options = { ...chosen, workers: threads ? 1 : count };
  // This load does not wait for it, but the next visit may need it without a network.
  if (options.cache) laterTextModule().catch(() => {});
  if (count > 1 && !threads) {
    const { Followers } = await shardedModel();
    followers = new Followers(count, { build: { module, backend }, options });
  }
  /** @returns {import('../wasm/simd128/siglip_web.js').LoadCallbacks} */
  const callbacks = (/** @type {(event: LoadEvent) => void} */ tell) => ({
    onProgress: (file, loaded, total, cached) => tell({ type: 'progress', file, loaded, total, cached }),
    onNotice: (code, message) => tell({ type: 'notice', notice: { code, message } }),
    onConfig: (config, towers) => followers?.sendConfig(config, towers),
    onWeights:
      followers &&
      ((weights) => /** @type {NonNullable<typeof followers>} */ (followers).sendWeights(weights)),
    get digestWorker() {
      return followers?.digestWorker;
    },
  });
  const loaded = await Engine.load(source, options, signal, callbacks(tell));
  const bytesElsewhere = (await followers?.finishLoading()) ?? 0;
  if (loaded.expects_text()) {
    const { LaterText } = await laterTextModule();
    const text = { ...options, towers: 'text', later: true };
    const load = (/** @type {AbortSignal} */ signal, /** @type {(event: LoadEvent) => void} */ tell) =>
      Engine.load(source, text, signal, callbacks(tell));
    laterText = new LaterText(load, () => engine, followers);
  }
  return { engine: loaded, gpu: undefined, place: { workers: count, device: 'cpu' }, bytesElsewhere };
}

/**
 * What a call waits for before its turn, if it needs a text tower that is not there.
 * @type {import('./later-text.js').LaterText['beforehand']}
 */
export const beforehand = (...call) => laterText?.beforehand(...call);

/** @param {Calls['load']['parameters']} parameters */
function workersFor({ workers }) {
  if (workers !== 'auto') return workers;
  return Math.min(navigator.hardwareConcurrency ?? 1, AUTO_WORKERS);
}

/** A model of one worker needs neither of these. */
export const shardedModel = () => import('./sharded-model.js');
export const threadPool = () => import('./thread-pool.js');

/** Few pages ask for the GPU. */
const gpuModule = () => import('./gpu.js');

/** Few pages export or import labels: the code is fetched when it is first needed. */
const labelSetsModule = () => import('./label-sets.js');

/** A model that is downloaded whole never needs it. */
const laterTextModule = () => import('./later-text.js');

/** Few pages take more than scores and embeddings. */
const vectorsModule = () => import('./vectors.js');

/**
 * @param {string[]} list
 * @param {number} [templates] that each is put into
 */
function* batchesOf(list, templates = 1) {
  const size = Math.ceil(TEXT_BATCH / templates);
  for (let i = 0; i < list.length; i += size) yield list.slice(i, i + size);
}

/**
 * Embeds the texts whose embeddings the engine has not cached.
 * @param {string[]} texts
 * @param {AbortSignal} signal
 * @param {(event: CallEvent) => void} tell
 */
async function embedTexts(texts, signal, tell) {
  for (;;) {
    const inputIds = engine.next_input_ids(texts);
    if (!inputIds.length) return;
    await runPass({ inputIds }, signal, tell);
    engine.finish_texts();
  }
}

/**
 * Takes a pass from its beginning to its end, step by step.
 * @param {import('./protocol.js').PassInput} input
 * @param {AbortSignal} signal
 * @param {(event: CallEvent) => void} tell
 */
async function runPass(input, signal, tell) {
  // The engine may refuse the input: then no follower has begun.
  if ('pixels' in input) {
    const { values, height, pooling, normalize } = input.pixels;
    engine.begin_image(values, height, pooling, normalize);
  } else engine.begin_texts(input.inputIds, input.normalize);
  followers?.begin(input);
  try {
    for (;;) {
      await yieldIfDue();
      signal.throwIfAborted();
      const step = engine.step();
      if (step === 'done') return;
      if (step === 'all-reduce') await followers?.sum(engine);
      if (step === 'blocks' && gpu) {
        if (await gpu.runBlocks(engine, 'pixels' in input, signal, tell)) continue;
        // The model was loaded again. What was read of a cached one may be its image tower alone.
        if ('inputIds' in input) await laterText?.arrive(signal, tell);
        return await runPass(input, signal, tell);
      }
    }
  } catch (error) {
    followers?.stop();
    throw error;
  }
}

/**
 * The embedding of an image, or the vectors that its pooling asks for.
 * @param {PixelValues & import('./protocol.js').Vectors} pixels
 * @param {AbortSignal} signal
 * @param {(event: CallEvent) => void} tell
 */
async function embedPixels(pixels, signal, tell) {
  await runPass({ pixels }, signal, tell);
  return engine.finish();
}

/**
 * @param {import('./protocol.js').ImageMessage} image
 * @param {(event: CallEvent) => void} tell hears that the file is damaged
 * @returns {Promise<PixelValues>}
 */
async function readImage(image, tell) {
  const { damage, ...pixels } = await pixelValuesOf(image, (preview) => tell({ type: 'preview', preview }));
  if (damage)
    tell({ type: 'notice', notice: { code: 'damaged', message: `The file is damaged: ${damage}.` } });
  return pixels;
}

/**
 * @param {import('./protocol.js').ImageMessage} image
 * @param {(preview: ImageBitmap) => void} show gets the preview of an image that one is wanted of
 * @returns {Promise<PixelValues & {damage?: string}>} `damage` says what is wrong with a file that is shown nevertheless
 */
async function pixelValuesOf(image, show) {
  if ('values' in image) return image;
  if ('blob' in image) {
    const bytes = new Uint8Array(await image.blob.arrayBuffer());
    if (!('isRare' in image)) return engine.pixel_values(bytes);
    const { decodeRare, previewOf } = await import('../rare-formats.js');
    const { damage, ...pixels } = await decodeRare(bytes);
    if (image.withPreview) show(await previewOf(pixels));
    return { ...(await pixelValuesOf(pixels, show)), damage };
  }
  const { width, height, rgba } = image;
  const bytes = new Uint8Array(rgba.buffer, rgba.byteOffset, rgba.length);
  return engine.pixel_values_from_rgba(width, height, bytes);
}
