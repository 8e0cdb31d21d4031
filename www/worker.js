/**
 * The worker: answers the calls of worker-client.js one after another, and hears an abort in between the steps of a
 * pass. A worker of the same script that is told to `follow` holds a part of another one's model instead, and one that is
 * told to `join` is a thread of another one's engine.
 */
import { breathe } from './worker/yield.js';
import { Follower, Peers } from './worker/sharded-model.js';
import { joinTeam, startTeam } from './worker/thread-pool.js';
import { hasThreads, loadWasm } from './worker/wasm.js';

/** @typedef {import('./wasm/simd128/siglip_web.js').Engine} Engine */
/** @typedef {import('./lib/images.js').Picture} Picture */

/** Texts asked about at a time. */
const PORTION = 64;
/** Workers that "auto" takes at most: past that, exchanging sums costs what sharing the work gains. */
const AUTO_WORKERS = 4;

/** @type {Engine} */
let engine;
/** @type {Peers | undefined} */
let peers;
/** Calls to be given up. @type {Map<number, AbortController>} */
const running = new Map();
/** The call that came last: the next one waits for it. @type {Promise<unknown>} */
let last = Promise.resolve();

/** @type {Record<string, (parameters: any, signal: AbortSignal, tell: (event: object) => void) => Promise<unknown>>} */
const methods = {
  async load(parameters, signal, tell) {
    const count = await plan(parameters.source, parameters.workers);
    try {
      return await load(parameters, count, signal, tell);
    } catch (error) {
      // A model may have fewer attention heads than there are workers, which its configuration tells.
      const refused = /** @type {{code?: string}} */ (error)?.code === 'bad-input';
      if (!refused || parameters.workers !== 'auto' || count === 1) throw error;
      peers?.end();
      peers = undefined;
      return load(parameters, 1, signal, tell);
    }
  },

  async image({ picture }, signal) {
    const pixels = await toPixelValues(picture);
    peers?.begin({ pixels });
    engine.begin_image(pixels.values, pixels.height);
    await run(signal);
    return engine.finish_image();
  },

  async check({ labels, template }) {
    engine.prompts(labels, template);
  },

  async texts({ texts }, signal) {
    const embeddings = [];
    for (const portion of portions(texts)) {
      await embedTexts(portion, signal);
      embeddings.push(...portion.map((text) => engine.text_embedding(text)));
    }
    return embeddings;
  },

  async score({ embedding, labels, template, topK, threshold }, signal) {
    const scores = [];
    engine.prompts(labels, template);
    for (const portion of portions(labels)) {
      await embedTexts(engine.prompts(portion, template), signal);
      scores.push(...engine.scores(embedding, portion, template, undefined, threshold));
    }
    return scores.sort((a, b) => b.logit - a.logit).slice(0, topK);
  },
};

/**
 * Loads a model that `count` workers share.
 * @param {any} parameters
 * @param {number} count
 * @param {AbortSignal} signal
 * @param {(event: object) => void} tell
 */
async function load({ source, workers: _, ...chosen }, count, signal, tell) {
  const team = count > 1 && hasThreads ? await startTeam(count) : undefined;
  const { Engine, backend, module } = team ?? (await loadWasm());
  const options = { ...chosen, workers: team ? 1 : count };
  if (count > 1 && !team) peers = new Peers(count, { module, options });
  engine = await Engine.load(source, options, signal, {
    onProgress: (file, loaded, total, cached) => tell({ file, loaded, total, kept: cached }),
    onNotice: (code, message) => tell({ notice: { code, message } }),
    onConfig: (config) => peers?.send({ config }),
    onWeights: peers && ((batches) => /** @type {Peers} */ (peers).hand(batches)),
  });
  const others = (await peers?.arrived()) ?? 0;
  const info = engine.info();
  return { ...info, backend, workers: count, bytes: info.bytes + others };
}

/**
 * The engine keeps a few thousand texts' embeddings: many more at a time would push each other out.
 * @param {string[]} texts
 */
function* portions(texts) {
  for (let i = 0; i < texts.length; i += PORTION) yield texts.slice(i, i + PORTION);
}

/**
 * @param {string[]} texts
 * @param {AbortSignal} signal
 */
async function embedTexts(texts, signal) {
  for (;;) {
    const inputIds = engine.next_input_ids(texts);
    if (!inputIds.length) return;
    peers?.begin({ inputIds });
    engine.begin_texts(inputIds);
    await run(signal);
    engine.finish_texts();
  }
}

/**
 * Drives the pass that has begun to its end.
 * @param {AbortSignal} signal
 */
async function run(signal) {
  try {
    for (;;) {
      await breathe();
      signal.throwIfAborted();
      const step = engine.step();
      if (step === 'done') return;
      if (step === 'all-reduce') await peers?.sum(engine);
    }
  } catch (error) {
    peers?.stop();
    throw error;
  }
}

/**
 * @param {Picture} picture
 * @returns {Promise<import('./worker/sharded-model.js').Pixels>}
 */
async function toPixelValues(picture) {
  if ('blob' in picture) return engine.pixel_values(new Uint8Array(await picture.blob.arrayBuffer()));
  const { width, height, rgba } = picture;
  return engine.pixel_values_from_rgba(
    width,
    height,
    new Uint8Array(rgba.buffer, rgba.byteOffset, rgba.length),
  );
}

/**
 * How many workers share the model.
 * @param {string | Map<string, File>} source
 * @param {'auto' | number} workers
 */
async function plan(source, workers) {
  if (workers !== 'auto') return workers;
  // The small demonstration model takes a few milliseconds a picture: there is nothing to share out.
  if (typeof source === 'string' && source.endsWith('/models/tiny/')) return 1;
  return Math.min(navigator.hardwareConcurrency ?? 1, AUTO_WORKERS);
}

/** @param {any} error */
function describe(error) {
  if (error?.code && typeof error.code === 'string') {
    return { code: error.code, message: error.message, unsupportedFormat: error.unsupportedFormat };
  }
  if (error?.name === 'AbortError') return { code: 'aborted', message: 'The call was aborted.' };
  if (error instanceof RangeError) {
    return { code: 'out-of-memory', message: `There is not enough memory for this: ${error.message}.` };
  }
  return {
    code: 'wasm',
    message: `The engine has failed: ${error?.message ?? error}. Load the model again.`,
  };
}

/** @param {{id: number, method: string, parameters: object}} call */
async function answer({ id, method, parameters }) {
  const controller = new AbortController();
  running.set(id, controller);
  await last;
  try {
    controller.signal.throwIfAborted();
    const result = await methods[method](parameters, controller.signal, (event) =>
      postMessage({ id, event }),
    );
    postMessage({ id, result });
  } catch (error) {
    postMessage({ id, error: describe(error) });
  } finally {
    running.delete(id);
  }
}

onmessage = ({ data }) => {
  if (data.follow) {
    const follower = new Follower(data.follow);
    onmessage = (/** @type {MessageEvent} */ { data }) => follower.receive(data);
  } else if (data.join) joinTeam(data.join);
  else if (data.abort) running.get(data.abort)?.abort();
  else last = answer(data);
};
