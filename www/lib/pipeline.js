/** The API of transformers.js, for code that was written for it. */
import { each } from './each.js';
import { SiglipError } from './errors.js';
import { Siglip } from './siglip.js';

/** @typedef {import('../worker/protocol.js').Score} Score */
/** @typedef {import('./images.js').ImageInput} ImageInput */
/** @typedef {import('./parameters.js').LoadOptions} LoadOptions */

/**
 * Loads a model and returns a function that classifies, as transformers.js does.
 *
 *     const classifier = await pipeline('zero-shot-image-classification', 'google/siglip-base-patch16-224');
 *     const scores = await classifier('cat.jpg', ['cat', 'dog'], { hypothesis_template: 'a photo of {}' });
 *
 * @param {string} task
 * @param {string} [model]
 * @param {{progress_callback?: (event: object) => void} & LoadOptions} [options] `dtype` chooses the files where there
 *   are ONNX files; "fp32" and "fp16" compute in single precision, all others in 8 bits
 */
export async function pipeline(task, model, { progress_callback, ...options } = {}) {
  if (task !== 'zero-shot-image-classification') {
    throw new SiglipError('bad-input', `The only task is "zero-shot-image-classification", not "${task}".`);
  }
  const siglip = await Siglip.load(model, {
    ...options,
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
    const bare = (/** @type {Score[]} */ scores) =>
      scores.map(({ label, score, unknown }) => (unknown ? { label, score, unknown } : { label, score }));
    return each(images, async (image) => bare(await siglip.classify(image, labels, { template })));
  };
  return Object.assign(classify, { dispose: () => siglip.dispose() });
}
