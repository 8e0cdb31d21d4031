/** The API of transformers.js, for code that was written for it. */
import { each } from './each.js';
import { SiglipError } from './errors.js';
import { Siglip } from './siglip.js';
import { Tensor } from './tensor.js';

/** @typedef {import('../worker/protocol.js').Score} Score */
/** @typedef {import('./images.js').ImageInput} ImageInput */
/** @typedef {import('../worker/protocol.js').Device} Device */
/** @typedef {import('./parameters.js').LoadOptions} LoadOptions */
/** @typedef {{label: string, score: number, unknown?: string[]}} Answer */
/** @typedef {{hypothesis_template?: string}} ZeroShotOptions */
/** @typedef {{(images: ImageInput[], labels: string | string[], options?: ZeroShotOptions): Promise<Answer[][]>, (image: ImageInput, labels: string | string[], options?: ZeroShotOptions): Promise<Answer[]>}} ZeroShotPipeline */
/** All classes where `top_k` is null. @typedef {{top_k?: number | null}} FixedOptions */
/** @typedef {{(images: ImageInput[], options?: FixedOptions): Promise<Answer[][]>, (image: ImageInput, options?: FixedOptions): Promise<Answer[]>}} FixedPipeline */

/** All patches unless `pool` is set. @typedef {{pool?: boolean | null}} FeatureOptions */
/** @typedef {{(images: ImageInput | ImageInput[], options?: FeatureOptions): Promise<Tensor>}} ImageFeaturePipeline */
/** @typedef {{(texts: string | string[], options?: {pooling?: string, normalize?: boolean}): Promise<Tensor>}} TextFeaturePipeline */
/**
 * @template {string} Task
 * @typedef {Task extends 'image-classification' ? FixedPipeline : Task extends 'image-feature-extraction' ? ImageFeaturePipeline : Task extends 'feature-extraction' ? TextFeaturePipeline : ZeroShotPipeline} PipelineOf
 */
/** @typedef {{progress_callback?: (event: object) => void, device?: Device | 'webgpu' | 'wasm'} & Omit<LoadOptions, 'device'>} TransformersOptions */

/** What transformers.js calls them. @type {Record<string, Device>} */
const devices = { webgpu: 'gpu', wasm: 'cpu' };

/**
 * Loads a model and returns a function that answers, as transformers.js does.
 *
 *     const classifier = await pipeline('zero-shot-image-classification', 'google/siglip-base-patch16-224');
 *     const scores = await classifier('cat.jpg', ['cat', 'dog'], { hypothesis_template: 'a photo of {}' });
 *
 * With `image-classification` the model has classes of its own, as fine-tuned classifiers and bundles do:
 *
 *     const classifier = await pipeline('image-classification', 'prithivMLmods/Fire-Detection-Siglip2');
 *     const scores = await classifier('cat.jpg', { top_k: 3 });
 *
 * `image-feature-extraction` gives a vector of each patch, or with `pool` one of the image; `feature-extraction` one of each
 * text:
 *
 *     const extractor = await pipeline('image-feature-extraction', 'google/siglip-base-patch16-224');
 *     const { dims, data } = await extractor('cat.jpg', { pool: true });
 *
 * @template {string} Task
 * @param {Task} task
 * @param {string} [model]
 * @param {TransformersOptions} [options] `dtype` chooses the files where there are ONNX files; "fp32" and "fp16" compute in
 *   single precision, all others in 8 bits. `device` is "webgpu", "wasm" or one of Siglip.load's
 * @returns {Promise<PipelineOf<Task> & {dispose: () => void}>}
 */
export async function pipeline(task, model, options) {
  const answer = tasks[task];
  if (!answer) {
    const known = Object.keys(tasks).map((name) => `"${name}"`);
    throw new SiglipError('bad-input', `The tasks are ${known.join(', ')}, not "${task}".`);
  }
  const siglip = await Siglip.load(model, optionsFor(model, options, task));
  const { kind, labelSets } = siglip.info;
  if (task === 'image-classification' && kind !== 'classifier' && !labelSets) {
    siglip.dispose();
    throw new SiglipError(
      'bad-input',
      'This model has no classes of its own; take the task "zero-shot-image-classification" and give labels.',
    );
  }
  const dispose = () => siglip.dispose();
  return /** @type {any} */ (
    Object.assign((/** @type {any[]} */ ...asked) => answer(siglip, ...asked), { dispose })
  );
}

/**
 * The options of Siglip.load for those of transformers.js.
 * @param {string | undefined} model
 * @param {TransformersOptions} [options]
 * @param {string} [task] of a pipeline
 * @returns {LoadOptions}
 */
export function optionsFor(model, { progress_callback, device = 'cpu', ...options } = {}, task) {
  const tell = progress_callback && eventsOf(progress_callback, model, task);
  return {
    ...options,
    device: devices[device] ?? /** @type {Device} */ (device),
    onProgress: (progress) => {
      options.onProgress?.(progress);
      tell?.(progress);
    },
  };
}

/**
 * Tells of a load in transformers.js's events: each file is initiated, downloaded and done, then the model is ready. Bytes are
 * those of all files.
 * @param {(event: object) => void} tell
 * @param {string | undefined} model
 * @param {string | undefined} task
 * @returns {(progress: import('./parameters.js').Progress) => void}
 */
function eventsOf(tell, model, task) {
  let open = '';
  const done = () => open && tell({ status: 'done', name: model, file: open });
  return ({ phase, loaded, total, file }) => {
    const bytes = { name: model, file, loaded, total, progress: total ? (100 * loaded) / total : 0 };
    if (phase === 'ready') {
      done();
      open = '';
      tell({ status: 'ready', task, model, ...bytes });
      return;
    }
    if (file && file !== open) {
      done();
      open = file;
      for (const status of ['initiate', 'download']) tell({ status, name: model, file });
    }
    tell({ status: 'progress', ...bytes });
  };
}

/** What each task answers. @type {Record<string, (siglip: Siglip, ...asked: any[]) => Promise<any>>} */
const tasks = {
  /**
   * @param {Siglip} siglip
   * @param {ImageInput | ImageInput[]} images
   * @param {string | string[]} labels
   * @param {ZeroShotOptions} [options]
   */
  'zero-shot-image-classification': async (siglip, images, labels, { hypothesis_template } = {}) =>
    each(
      images,
      async (image) => bare(await siglip.classify(image, listOf(labels), { template: hypothesis_template })),
      siglip.info,
    ),

  /**
   * @param {Siglip} siglip
   * @param {ImageInput | ImageInput[]} images
   * @param {FixedOptions} [options]
   */
  'image-classification': async (siglip, images, { top_k = 5 } = {}) =>
    each(
      images,
      async (image) => bare(await siglip.classify(image, undefined, { topK: top_k ?? undefined })),
      siglip.info,
    ),

  /**
   * @param {Siglip} siglip
   * @param {ImageInput | ImageInput[]} images
   * @param {FeatureOptions} [options]
   */
  'image-feature-extraction': async (siglip, images, { pool } = {}) => {
    const list = [images].flat();
    if (pool) return Tensor.ofRows(await siglip.embedImage(list, { normalize: false }));
    const patches = await siglip.embedPatches(list, { normalize: false });
    const [{ rows, columns, size }] = patches;
    const vectors = patches.map(({ vectors }) => vectors);
    if (vectors.some(({ length }) => length !== rows * columns * size)) {
      const reason = 'These pictures have different numbers of patches. Ask for one picture at a time.';
      throw new SiglipError('bad-input', reason);
    }
    return Tensor.ofRows(vectors, [rows * columns, size]);
  },

  /**
   * @param {Siglip} siglip
   * @param {string | string[]} texts
   * @param {{pooling?: string, normalize?: boolean}} [options]
   */
  'feature-extraction': async (siglip, texts, { pooling, normalize = false } = {}) => {
    if (pooling) {
      throw new SiglipError(
        'bad-input',
        `SigLIP's text tower pools by itself, into one vector per text. Leave out \`pooling: "${pooling}"\`.`,
      );
    }
    return Tensor.ofRows(await siglip.embedText([texts].flat(), { normalize }));
  },
};

/** Labels; in one string they are between commas. @param {string | string[]} labels */
const listOf = (labels) =>
  typeof labels === 'string' ? labels.split(',').map((label) => label.trim()) : labels;

/** Scores with the fields of transformers.js. @param {Score[]} scores */
const bare = (scores) =>
  scores.map(({ label, score, unknown }) => (unknown ? { label, score, unknown } : { label, score }));
