/** What callers pass to the API, checked and made into the parameters of the worker's calls. */
import { folderOf } from './checkpoints.js';
import { SiglipError } from './errors.js';

/** @typedef {import('../worker/protocol.js').Calls} Calls */
/** @typedef {import('../worker/protocol.js').Notice} Notice */
/** Bytes of all files; `total` is 0 where it is not known. @typedef {{phase: 'download' | 'prepare' | 'ready', loaded: number, total: number, file: string}} Progress */
/** What a call for an image tells besides its answer, such as that the file is damaged. @typedef {{signal?: AbortSignal, onNotice?: (notice: Notice) => void}} ImageOptions */
/** @typedef {{template?: string, topK?: number, threshold?: number} & ImageOptions} ScoreOptions */

/**
 * @typedef {object} LoadOptions
 * @property {import('../worker/protocol.js').Precision} [precision] weights in memory: 8-bit integers or 32-bit floats.
 *   "q8-exact" gives the same bits on every machine
 * @property {'auto' | number} [workers] how many workers share the work
 * @property {boolean} [cache] whether to keep the model in the browser for the next visit
 * @property {AbortSignal} [signal]
 * @property {(progress: Progress) => void} [onProgress] its `loaded` never decreases
 * @property {(notice: Notice) => void} [onNotice] gets what is worth knowing and does not stop the load
 * @property {string} [baseUrl] the address of another hub
 * @property {'image' | 'text' | 'both'} [towers] the towers to load; the other one takes no memory, and is not
 *   downloaded if the server supports range requests
 * @property {Record<string, string>} [headers] sent with requests for the model, for example Authorization. They are
 *   never stored. The browser drops Authorization when the server redirects to another origin.
 * @property {string | Record<string, string>} [sha256] the expected hash of model.safetensors, or of each file by name
 * @property {number} [stallTimeout] milliseconds without a byte after which a connection is given up
 * @property {number} [retryDelay] milliseconds before the second attempt; doubled before each further one
 * @property {string} [workerUrl] a copy of worker.js on the page's own origin, for a page whose policy forbids blob:
 */

/** The template of callers that give none. */
export const DEFAULT_TEMPLATE = 'This is a photo of {}.';

/**
 * @param {string | File | File[]} model
 * @param {LoadOptions} options
 * @returns {Calls['load']['parameters']}
 */
export function loadParametersOf(model, options) {
  const {
    precision = 'q8',
    workers = 'auto',
    cache = true,
    towers = 'both',
    headers = {},
    sha256 = {},
    stallTimeout = 30_000,
    retryDelay = 500,
  } = options;
  if (workers !== 'auto' && !(Number.isInteger(workers) && workers > 0)) {
    throw new SiglipError('bad-input', `workers is "auto" or a whole number from 1, not ${workers}.`);
  }
  const hashes = typeof sha256 === 'string' ? { 'model.safetensors': sha256 } : sha256;
  return {
    source: sourceOf(model, options.baseUrl),
    workers,
    options: { precision, cache, towers, headers, sha256: hashes, stallTimeout, retryDelay },
  };
}

/**
 * @param {string[]} labels
 * @param {ScoreOptions} options
 */
export function scoreParametersOf(labels, { template = DEFAULT_TEMPLATE, topK, threshold }) {
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
export function listOf(strings) {
  if (!Array.isArray(strings) || strings.some((string) => typeof string !== 'string')) {
    throw new SiglipError('bad-input', 'Labels and texts are strings; labels come as a list.');
  }
  return strings;
}

/**
 * What the engine loads: the URL of a folder or a .gguf, or files by name.
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

/** The name of a model in `info`. @param {string | File | File[]} model */
export const modelNameOf = (model) =>
  typeof model === 'string'
    ? model
    : [model]
        .flat()
        .map((file) => file.name)
        .join(', ');
