/**
 * The same API in Node.js: the engine runs in worker threads. Models and pictures may also be paths.
 *
 *     import { Siglip } from 'siglip-web/node';
 *     const siglip = await Siglip.load('./models/siglip-base-patch16-224');
 *     const scores = await siglip.classify('cat.jpg', ['a cat', 'a dog']);
 */
import { existsSync, statSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { pipeline as pipelineOf } from '../www/lib/pipeline.js';
import { Siglip as Base } from '../www/lib/siglip.js';
import './tiny.js';

export { checkpoints } from '../www/lib/checkpoints.js';
export { SiglipError } from '../www/lib/errors.js';
export { DEFAULT_TEMPLATE } from '../www/lib/parameters.js';

/** A loaded model. */
export class Siglip extends Base {
  /** Models of {@link load} are of the base class. @param {unknown} value */
  static [Symbol.hasInstance](value) {
    return value instanceof Base;
  }

  /**
   * Loads a model. Nothing is kept for the next run: keep the files yourself, and give their folder.
   * @param {string | File | File[]} [model] as in a browser, or the path of a folder, of a .gguf or of an .onnx
   * @param {import('../www/lib/parameters.js').LoadOptions} [options]
   */
  static async load(model = 'tiny', options = {}) {
    return Base.load(onDisk(model), withoutCache(options));
  }
}

/** The API of transformers.js; the model as in {@link Siglip.load}. @type {typeof pipelineOf} */
export const pipeline = async (task, model = 'tiny', options = {}) =>
  pipelineOf(task, onDisk(model), withoutCache(options));

/** Nothing is kept for the next run. @type {<O extends object>(options: O) => O} */
const withoutCache = (options) => ({ ...options, cache: false });

/**
 * The address of a model on the disk; any other model is left as it is.
 * @template {string | File | File[]} Model
 * @param {Model} model
 * @returns {string | Model}
 */
function onDisk(model) {
  if (typeof model !== 'string' || !existsSync(model)) return model;
  return `${pathToFileURL(model)}${statSync(model).isDirectory() ? '/' : ''}`;
}
