/** The API of transformers.js, for code that was written for it. */
import { each } from './each.js';
import { SiglipError } from './errors.js';
import { Siglip } from './siglip.js';

/** @typedef {import('../worker/protocol.js').Score} Score */
/** @typedef {import('./images.js').ImageInput} ImageInput */
/** @typedef {import('../worker/protocol.js').Device} Device */
/** @typedef {import('./parameters.js').LoadOptions} LoadOptions */
/** @typedef {{label: string, score: number, unknown?: string[]}} Answer */
/** @typedef {{hypothesis_template?: string}} ZeroShotOptions */
/** @typedef {{(images: ImageInput[], labels: string[], options?: ZeroShotOptions): Promise<Answer[][]>, (image: ImageInput, labels: string[], options?: ZeroShotOptions): Promise<Answer[]>}} ZeroShotPipeline */
/** All classes where `top_k` is null. @typedef {{top_k?: number | null}} FixedOptions */
/** @typedef {{(images: ImageInput[], options?: FixedOptions): Promise<Answer[][]>, (image: ImageInput, options?: FixedOptions): Promise<Answer[]>}} FixedPipeline */

/** What transformers.js calls them. @type {Record<string, Device>} */
const devices = { webgpu: 'gpu', wasm: 'cpu' };

/**
 * Loads a model and returns a function that classifies, as transformers.js does.
 *
 *     const classifier = await pipeline('zero-shot-image-classification', 'google/siglip-base-patch16-224');
 *     const scores = await classifier('cat.jpg', ['cat', 'dog'], { hypothesis_template: 'a photo of {}' });
 *
 * With `image-classification` the model has classes of its own, as fine-tuned classifiers and bundles do:
 *
 *     const classifier = await pipeline('image-classification', 'prithivMLmods/Fire-Detection-Siglip2');
 *     const scores = await classifier('cat.jpg', { top_k: 3 });
 *
 * @template {string} Task
 * @param {Task} task
 * @param {string} [model]
 * @param {{progress_callback?: (event: object) => void, device?: Device | 'webgpu' | 'wasm'} & Omit<LoadOptions, 'device'>} [options] `dtype` chooses the files where there
 *   are ONNX files; "fp32" and "fp16" compute in single precision, all others in 8 bits. `device` is "webgpu",
 *   "wasm" or one of Siglip.load's
 * @returns {Promise<(Task extends 'image-classification' ? FixedPipeline : ZeroShotPipeline) & {dispose: () => void}>}
 */
export async function pipeline(task, model, { progress_callback, device = 'cpu', ...options } = {}) {
  const isFixed = task === 'image-classification';
  if (!isFixed && task !== 'zero-shot-image-classification') {
    throw new SiglipError(
      'bad-input',
      `The tasks are "zero-shot-image-classification" and "image-classification", not "${task}".`,
    );
  }
  const siglip = await Siglip.load(model, {
    ...options,
    device: devices[device] ?? /** @type {Device} */ (device),
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
  const { kind, labelSets } = siglip.info;
  if (isFixed && kind !== 'classifier' && !labelSets) {
    siglip.dispose();
    throw new SiglipError(
      'bad-input',
      'This model has no classes of its own; take the task "zero-shot-image-classification" and give labels.',
    );
  }
  const bare = (/** @type {Score[]} */ scores) =>
    scores.map(({ label, score, unknown }) => (unknown ? { label, score, unknown } : { label, score }));
  /**
   * @param {ImageInput | ImageInput[]} images
   * @param {string[]} labels
   * @param {ZeroShotOptions} [options]
   */
  const zeroShot = async (images, labels, { hypothesis_template: template } = {}) =>
    each(images, async (image) => bare(await siglip.classify(image, labels, { template })));
  /**
   * @param {ImageInput | ImageInput[]} images
   * @param {FixedOptions} [options]
   */
  const fixed = async (images, { top_k = 5 } = {}) =>
    each(images, async (image) =>
      bare(await siglip.classify(image, undefined, { topK: top_k ?? undefined })),
    );
  const dispose = () => siglip.dispose();
  return /** @type {any} */ (Object.assign(isFixed ? fixed : zeroShot, { dispose }));
}
