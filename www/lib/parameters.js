/** What callers pass to the API, checked and made into the parameters of the worker's calls. */
import { folderOf, isOnnxRepository, originalOf } from './checkpoints.js';
import { SiglipError } from './errors.js';

/** @typedef {import('../worker/protocol.js').Calls} Calls */
/**
 * Bytes of all files; `total` is 0 where it is not known. `ready` names the towers that can be used: with `ready: 'image'` there
 * is a `ready` phase for each, and the total grows when the text tower's file begins.
 * @typedef {{phase: 'download' | 'prepare' | 'ready', loaded: number, total: number, file: string, ready?: 'image' | 'text' | 'both'}} Progress
 */
/**
 * What a call for an image tells besides its answer.
 * @typedef {object} ImageOptions
 * @property {AbortSignal} [signal]
 * @property {(notice: import('../worker/protocol.js').Notice) => void} [onNotice] such as that the file is damaged
 * @property {(preview: ImageBitmap) => void} [onPreview] gets a picture that the browser does not show, such as a TIFF,
 *   made small
 */
/** @typedef {ImageOptions & {pooling?: 'head' | 'mean', normalize?: boolean}} EmbedOptions */
/**
 * "occlusion" takes some fifty passes over the image; `onProgress` hears of each.
 * @typedef {ImageOptions & {method?: 'fast' | 'occlusion', template?: string | string[], labelSet?: string, onProgress?: (progress: {done: number, total: number}) => void}} ExplainOptions
 */
/**
 * `labelSet` names one of the label sets of a bundle, or of imported ones. Their labels are in sentences already, so that
 * `template` has no effect on them. Of several templates the mean is taken; "imagenet" names a set of eight. "canonicalize"
 * and "verbatim" beside them decide whether the texts are canonicalized; by default the model's files do.
 *
 * `bias` is a person's own summand of the model's bias, `scale` a factor of its scale: scores are then `adjusted`. `relative`
 * adds each label's share among all labels.
 * @typedef {{template?: string | string[], labelSet?: string} & import('../worker/protocol.js').Ranking & ImageOptions} ScoreOptions
 */

/**
 * @typedef {object} LoadOptions
 * @property {import('../worker/protocol.js').Precision} [precision] weights in memory: 8-bit integers or 32-bit floats.
 *   "q8-exact" gives the same integer sums on every machine
 * @property {Dtype | {vision_model?: Dtype, text_model?: Dtype}} [dtype] which ONNX files to load, by the names of
 *   transformers.js; "q8" if it is not given. In 4 bits the text tower differs much, so "q4", "q4f16" and "bnb4" are for
 *   the image tower alone, unless they are given for `text_model`
 * @property {'auto' | 'original' | 'small'} [source] "small" loads one of google's checkpoints from the files in 8 bits that
 *   others have published of it, where such are known: a quarter of the bytes. "auto" asks which, where such are known, neither is on the
 *   device, and the connection is metered or slow; otherwise it is "original", as without `source`
 * @property {(choice: import('./source.js').SourceChoice) => Source | undefined | Promise<Source | undefined>} [chooseSource] asks for
 *   `source: "auto"`, in place of the browser's `confirm`; nothing gives the load up
 * @property {'auto' | number} [workers] how many workers share the work
 * @property {import('../worker/protocol.js').Device} [device] what runs the towers' blocks: "cpu", or "gpu" where it computes what
 *   the CPU does; "auto" takes the GPU where it is faster, too
 * @property {'auto' | 'candle'} [engine] "candle" runs candle-transformers' SigLIP, for comparison: in single precision, in one
 *   worker, on the CPU
 * @property {number} [imageSize] side of the images that a model of fixed resolution sees, in pixels: a multiple of its patches'
 *   side. The position embeddings are interpolated
 * @property {number} [maxPatches] the most patches of an image, of a model that keeps the aspect (NaFlex): up to 1024
 * @property {boolean} [cache] whether to keep the model, and the labels it has scored, in the browser for the next visit
 * @property {AbortSignal} [signal]
 * @property {(progress: Progress) => void} [onProgress] its `loaded` never decreases
 * @property {(notice: import('../worker/protocol.js').Notice) => void} [onNotice] gets what is worth knowing and does not stop the load
 * @property {string} [baseUrl] the address of another hub
 * @property {'image' | 'text' | 'both'} [towers] the towers to load; the other one takes no memory, and is not
 *   downloaded if the server supports range requests
 * @property {'image' | 'both'} [ready] "image" downloads the image tower first and has the load end when it is there, if the
 *   server keeps the towers in a file each or supports range requests. The text tower follows meanwhile: calls that need it
 *   wait for it. Of a single file for both the sha256 is then not checked, unless `sha256` asks for it
 * @property {Record<string, string>} [headers] sent with requests for the model, for example Authorization. They are
 *   never stored. The browser drops Authorization when the server redirects to another origin.
 * @property {string | Record<string, string>} [sha256] the expected hash of model.safetensors, or of each file by name
 * @property {number} [stallTimeout] milliseconds without a byte after which a connection is given up
 * @property {number} [retryDelay] milliseconds before the second attempt; doubled before each further one
 * @property {string} [workerUrl] a copy of worker.js on the page's own origin, for a page whose policy forbids blob:
 */

/** @typedef {'small' | 'original'} Source */
/** How an ONNX stores its weights. @typedef {'fp32' | 'fp16' | 'q8' | 'int8' | 'uint8' | 'q4' | 'q4f16' | 'bnb4' | 'auto'} Dtype */

/** The template of callers that give none. */
export const DEFAULT_TEMPLATE = 'This is a photo of {}.';

/**
 * @param {string | File | File[]} model
 * @param {LoadOptions} options with the `dtype` of `withDtype`, if with any
 * @returns {Calls['load']['parameters']}
 */
export function loadParametersOf(model, options) {
  const onnx = onnxOf(model, options);
  const asksForFloats = onnx.vision.startsWith('fp');
  const {
    precision = asksForFloats ? 'f32' : 'q8',
    workers = 'auto',
    device = 'cpu',
    cache = true,
    towers = 'both',
    ready = 'both',
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
    // The demonstration model embeds an image in a few milliseconds: there is nothing to divide.
    workers: model === 'tiny' && workers === 'auto' ? 1 : workers,
    device: model === 'tiny' && device === 'auto' ? 'cpu' : device,
    options: {
      precision,
      imageSize: options.imageSize,
      maxPatches: options.maxPatches,
      cache,
      towers,
      ready,
      headers,
      sha256: hashes,
      onnx,
      stallTimeout,
      retryDelay,
    },
  };
}

/**
 * Which ONNX files a load takes, and whether before all others.
 * @param {string | File | File[]} model
 * @param {LoadOptions} options
 * @returns {import('../worker/protocol.js').OnnxChoice}
 */
function onnxOf(model, { dtype, baseUrl }) {
  const { vision_model: vision = 'q8', text_model: text = 'q8' } = /** @type {any} */ (dtype ?? {});
  const isName = typeof model === 'string';
  // google's repositories have no ONNX files: looking for them would cost a request.
  const first = isName
    ? isOnnxRepository(model) || (!!dtype && model !== 'tiny' && !model.startsWith('google/'))
    : !!dtype;
  return { vision, text, first, original: isName ? originalOf(model, baseUrl) : undefined };
}

/**
 * What is asked about an image: labels, or else those of a label set.
 * @param {string[] | undefined} labels
 * @param {ScoreOptions} options
 */
export function questionOf(labels, options) {
  const parameters = scoreParametersOf(labels ?? [], options);
  const { labelSet } = options;
  return { ...parameters, labels: labels && parameters.labels, labelSet: labelSet && String(labelSet) };
}

/**
 * @param {string[]} labels
 * @param {ScoreOptions} options
 */
export function scoreParametersOf(
  labels,
  { template = DEFAULT_TEMPLATE, topK, threshold, scale, bias, relative },
) {
  if (topK !== undefined && !(Number.isInteger(topK) && topK >= 0)) {
    throw new SiglipError('bad-input', `topK is a whole number, not ${topK}.`);
  }
  if (threshold !== undefined && !(threshold >= 0 && threshold <= 1)) {
    throw new SiglipError('bad-input', `threshold is a probability from 0 to 1, not ${threshold}.`);
  }
  const templates = listOf([template].flat());
  return { labels: listOf(labels), template: templates, topK, threshold, scale, bias, relative: !!relative };
}

/** @param {unknown} strings */
export function listOf(strings) {
  if (!Array.isArray(strings) || strings.some((string) => typeof string !== 'string')) {
    throw new SiglipError('bad-input', 'Labels, texts and templates are strings; labels come as a list.');
  }
  return strings;
}

/**
 * What the engine loads: the URL of a folder, a .gguf or an .onnx, or files by name.
 * @param {unknown} model
 * @param {string | undefined} baseUrl
 */
function sourceOf(model, baseUrl) {
  if (typeof model === 'string') {
    try {
      return folderOf(model, baseUrl);
    } catch (error) {
      const { message } = /** @type {Error} */ (error);
      const reason = model === 'tiny' ? message : `"${model}" is neither a model's name nor a URL.`;
      throw new SiglipError('bad-input', reason, error);
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
