/**
 * SigLIP in a web page: pictures and labels in, probabilities out, and nothing leaves the browser.
 *
 *     import { Siglip } from './siglip.js';
 *     const siglip = await Siglip.load();
 *     const scores = await siglip.classify(file, ['a cat', 'a dog']);
 */
import { folderOf } from './lib/checkpoints.js';
import { SiglipError, throwIfAborted } from './lib/errors.js';
import { rasterise, toPicture } from './lib/images.js';
import { WorkerClient } from './lib/worker-client.js';

export { checkpoints } from './lib/checkpoints.js';
export { SiglipError } from './lib/errors.js';
export { cachedModels, deleteAllModels, deleteModel, persistModels } from './lib/model-cache.js';

/** What asks for a label where the caller says nothing else. */
export const DEFAULT_TEMPLATE = 'This is a photo of {}.';

/** @typedef {import('./lib/images.js').ImageInput} ImageInput */
/**
 * What a picture scores for a label. `unknown` are words of the label that the model cannot read: there the score is
 * what the model expects of any label, and says nothing of the picture.
 * @typedef {{label: string, score: number, logit: number, unknown?: string[]}} Score
 */
/** @typedef {{code: string, message: string}} Notice */
/** @typedef {{phase: 'download' | 'prepare' | 'ready', loaded: number, total: number, file: string}} Progress */
/** @typedef {{template?: string, topK?: number, threshold?: number, signal?: AbortSignal}} ScoreOptions */

/**
 * @typedef {object} LoadOptions
 * @property {'q8' | 'f32'} [precision] 8-bit weights, or single precision
 * @property {'auto' | number} [workers] how many share the work
 * @property {boolean} [cache] whether the model is kept for the next visit
 * @property {AbortSignal} [signal]
 * @property {(progress: Progress) => void} [onProgress] in bytes; never goes back
 * @property {(notice: Notice) => void} [onNotice] what is worth knowing and stops nothing
 * @property {string} [baseUrl] in the place of the hub
 * @property {'image' | 'text' | 'both'} [towers] which half is needed; the other is neither fetched, where the
 *   server can leave it out, nor held
 * @property {Record<string, string>} [headers] sent with requests for the model, such as Authorization; never kept,
 *   and not sent on by the browser where the server redirects to another origin (Authorization) or asks for leave
 * @property {string | Record<string, string>} [sha256] what model.safetensors, or each file by its name, has to have
 * @property {number} [stallTimeout] milliseconds without a byte after which a connection is given up
 * @property {number} [retryDelay] milliseconds before a second attempt; twice as many before each that follows
 * @property {string} [workerUrl] a copy of worker.js on the page's own origin, where its policy forbids blob:
 */

/**
 * @typedef {object} Info
 * @property {string} model
 * @property {'q8' | 'f32'} precision
 * @property {'image' | 'text' | 'both'} towers
 * @property {'simd' | 'relaxed-simd'} backend
 * @property {number} workers
 * @property {number} imageSize side of the square picture the model sees, in pixels
 * @property {number} contextLength tokens of a text
 * @property {number} embeddingSize
 * @property {number} logitScale what a cosine is multiplied with
 * @property {number} logitBias what is then added
 * @property {number} bytes of weights in memory
 * @property {Notice[]} notices what came up while it loaded
 */

/** A loaded model. */
export class Siglip {
  #worker;
  /** @type {Info} */
  #info;

  /**
   * @param {WorkerClient} worker
   * @param {Info} info
   */
  constructor(worker, info) {
    this.#worker = worker;
    this.#info = info;
  }

  /**
   * Loads a model in a worker of its own.
   * @param {string | File | File[]} [model] `tiny`, the small demonstration model that comes with the page; a hub
   *   id; the URL of a folder or of a .gguf; or a checkpoint's files
   * @param {LoadOptions} [options]
   * @returns {Promise<Siglip>}
   */
  static async load(model = 'tiny', options = {}) {
    const {
      precision = 'q8',
      workers = 'auto',
      cache = true,
      towers = 'both',
      headers = {},
      sha256 = {},
      stallTimeout = 30_000,
      retryDelay = 500,
      signal,
      onProgress,
      onNotice,
      baseUrl,
    } = options;
    throwIfAborted(signal);
    if (workers !== 'auto' && !(Number.isInteger(workers) && workers > 0)) {
      throw new SiglipError('bad-input', `workers is "auto" or a whole number from 1, not ${workers}.`);
    }
    const source = sourceOf(model, baseUrl);
    const worker = new WorkerClient(options.workerUrl);
    /** @type {Notice[]} */
    const notices = [];
    let [loaded, total, file] = [0, 0, ''];
    try {
      const hashes = typeof sha256 === 'string' ? { 'model.safetensors': sha256 } : sha256;
      const chosen = { precision, cache, towers, headers, sha256: hashes, stallTimeout, retryDelay };
      const parameters = { source, workers, ...chosen };
      const info = await worker.call('load', parameters, signal, (event) => {
        if (event.notice) {
          notices.push(event.notice);
          onNotice?.(event.notice);
        } else {
          ({ loaded, total, file } = event);
          const phase = loaded < total && !event.kept ? 'download' : 'prepare';
          onProgress?.({ phase, loaded, total, file });
        }
      });
      onProgress?.({ phase: 'ready', loaded, total, file });
      return new Siglip(worker, { model: nameOf(model), precision, towers, ...info, notices });
    } catch (error) {
      worker.end();
      throw error;
    }
  }

  /** What is loaded, and what it runs on. */
  get info() {
    return this.#info;
  }

  /**
   * The labels' probabilities for one picture or several, best first.
   * @overload
   * @param {ImageInput[]} images
   * @param {string[]} labels
   * @param {ScoreOptions} [options]
   * @returns {Promise<Score[][]>}
   */
  /**
   * @overload
   * @param {ImageInput} images
   * @param {string[]} labels
   * @param {ScoreOptions} [options]
   * @returns {Promise<Score[]>}
   */
  /**
   * @param {ImageInput | ImageInput[]} images
   * @param {string[]} labels
   * @param {ScoreOptions} [options]
   * @returns {Promise<Score[] | Score[][]>}
   */
  async classify(images, labels, options = {}) {
    await this.#call('check', questionOf(labels, options), options.signal);
    const one = async (/** @type {ImageInput} */ image) =>
      this.score(await this.#embed(image, options.signal), labels, options);
    return each(images, one);
  }

  /**
   * The labels' probabilities for a picture that {@link embedImage} has embedded: no picture is looked at again.
   * @param {Float32Array} embedding
   * @param {string[]} labels
   * @param {ScoreOptions} [options]
   * @returns {Promise<Score[]>}
   */
  async score(embedding, labels, options = {}) {
    return this.#call('score', { embedding, ...questionOf(labels, options) }, options.signal);
  }

  /**
   * The embedding of one picture or several, of L2 norm 1.
   * @overload
   * @param {ImageInput[]} images
   * @param {{signal?: AbortSignal}} [options]
   * @returns {Promise<Float32Array[]>}
   */
  /**
   * @overload
   * @param {ImageInput} images
   * @param {{signal?: AbortSignal}} [options]
   * @returns {Promise<Float32Array>}
   */
  /**
   * @param {ImageInput | ImageInput[]} images
   * @param {{signal?: AbortSignal}} [options]
   * @returns {Promise<Float32Array | Float32Array[]>}
   */
  async embedImage(images, { signal } = {}) {
    return each(images, (image) => this.#embed(image, signal));
  }

  /**
   * The embedding of one text or several as they are, without a template, of L2 norm 1.
   * @overload
   * @param {string[]} texts
   * @param {{signal?: AbortSignal}} [options]
   * @returns {Promise<Float32Array[]>}
   */
  /**
   * @overload
   * @param {string} texts
   * @param {{signal?: AbortSignal}} [options]
   * @returns {Promise<Float32Array>}
   */
  /**
   * @param {string | string[]} texts
   * @param {{signal?: AbortSignal}} [options]
   * @returns {Promise<Float32Array | Float32Array[]>}
   */
  async embedText(texts, { signal } = {}) {
    const list = await this.#call('texts', { texts: listOf([texts].flat()) }, signal);
    return Array.isArray(texts) ? list : list[0];
  }

  /** Ends the worker and gives its memory back. Calls under way are rejected as aborted. */
  dispose() {
    this.#worker.end();
  }

  /**
   * @param {ImageInput} image
   * @param {AbortSignal | undefined} signal
   * @returns {Promise<Float32Array>}
   */
  async #embed(image, signal) {
    const picture = await this.#worker.whileAlive(toPicture(image, signal), signal);
    try {
      return await this.#call('image', { picture }, signal);
    } catch (error) {
      if (!('blob' in picture && error instanceof SiglipError && error.unsupportedFormat)) throw error;
      const drawn = await this.#worker.whileAlive(rasterise(picture.blob, error), signal);
      return this.#call('image', { picture: drawn }, signal);
    }
  }

  /**
   * @param {string} method
   * @param {object} parameters
   * @param {AbortSignal | undefined} signal
   */
  #call(method, parameters, signal) {
    return this.#worker.call(method, parameters, signal);
  }
}

/**
 * transformers.js's way in.
 *
 *     const classifier = await pipeline('zero-shot-image-classification', 'google/siglip-base-patch16-224');
 *     const scores = await classifier('cat.jpg', ['cat', 'dog'], { hypothesis_template: 'a photo of {}' });
 *
 * @param {string} task
 * @param {string} [model]
 * @param {{dtype?: string, progress_callback?: (event: object) => void} & LoadOptions} [options]
 */
export async function pipeline(task, model, { dtype = 'q8', progress_callback, ...options } = {}) {
  if (task !== 'zero-shot-image-classification') {
    throw new SiglipError(
      'bad-input',
      `The one task here is "zero-shot-image-classification", not "${task}".`,
    );
  }
  const precision = { q8: 'q8', int8: 'q8', uint8: 'q8', fp32: 'f32', f32: 'f32' }[dtype];
  if (!precision) throw new SiglipError('bad-input', `dtype is "q8" or "fp32", not "${dtype}".`);
  const siglip = await Siglip.load(model, {
    ...options,
    precision: /** @type {'q8' | 'f32'} */ (precision),
    onProgress: (progress) => {
      options.onProgress?.(progress);
      const { phase, loaded, total, file } = progress;
      const status = phase === 'ready' ? 'ready' : 'progress';
      progress_callback?.({
        status,
        name: model,
        file,
        loaded,
        total,
        progress: total ? (100 * loaded) / total : 0,
      });
    },
  });
  /**
   * @param {ImageInput | ImageInput[]} images
   * @param {string[]} labels
   * @param {{hypothesis_template?: string}} [options]
   */
  const classify = async (images, labels, { hypothesis_template: template } = {}) => {
    const bare = (/** @type {Score[]} */ scores) => scores.map(({ label, score }) => ({ label, score }));
    return each(images, async (image) => bare(await siglip.classify(image, labels, { template })));
  };
  return Object.assign(classify, { dispose: () => siglip.dispose() });
}

/**
 * One answer for one thing, a list of answers for a list, one after another.
 * @template T, R
 * @param {T | T[]} things
 * @param {(thing: T) => Promise<R>} answer
 * @returns {Promise<any>}
 */
async function each(things, answer) {
  if (!Array.isArray(things)) return answer(things);
  const answers = [];
  for (const thing of things) answers.push(await answer(thing));
  return answers;
}

/**
 * @param {string[]} labels
 * @param {ScoreOptions} options
 */
function questionOf(labels, { template = DEFAULT_TEMPLATE, topK, threshold }) {
  if (typeof template !== 'string')
    throw new SiglipError('bad-input', 'The template is a string with {} in it.');
  if (topK !== undefined && !(Number.isInteger(topK) && topK >= 0)) {
    throw new SiglipError('bad-input', `topK is a whole number, not ${topK}.`);
  }
  if (threshold !== undefined && !(threshold >= 0 && threshold <= 1)) {
    throw new SiglipError('bad-input', `threshold is a probability from 0 to 1, not ${threshold}.`);
  }
  return { labels: listOf(labels), template, topK, threshold };
}

/** @param {unknown} strings */
function listOf(strings) {
  if (!Array.isArray(strings) || strings.some((string) => typeof string !== 'string')) {
    throw new SiglipError('bad-input', 'Labels and texts are strings; labels come as a list.');
  }
  return strings;
}

/**
 * A folder's URL, or files by name.
 * @param {unknown} model
 * @param {string | undefined} baseUrl
 */
function sourceOf(model, baseUrl) {
  if (typeof model === 'string') {
    try {
      return folderOf(model, baseUrl);
    } catch (error) {
      throw new SiglipError('bad-input', `"${model}" is neither a model's name nor a URL.`, error);
    }
  }
  const files = [model].flat();
  if (!files.length || !files.every((file) => file instanceof File)) {
    throw new SiglipError('bad-input', 'A model is a name, a URL, or the files of a checkpoint.');
  }
  return new Map(files.map((file) => [/** @type {File} */ (file).name, file]));
}

/** @param {string | File | File[]} model */
const nameOf = (model) =>
  typeof model === 'string'
    ? model
    : [model]
        .flat()
        .map((file) => file.name)
        .join(', ');
