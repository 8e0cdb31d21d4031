/** The choice of another engine or of ONNX files. Few callers make it: its checks are fetched with the first. */
import { withDtype } from './dtype.js';
import { SiglipError } from './errors.js';

/** @typedef {import('./parameters.js').LoadOptions} LoadOptions */

/**
 * The options of a load, checked and completed.
 * @param {LoadOptions} options with an engine or a dtype
 */
export const withChoices = (options) => withEngine(options.dtype ? withDtype(options) : options);

/**
 * The options of a load with the engine that they name. candle's computes in single precision, in one worker, on the CPU; to the
 * worker it is a device.
 * @param {LoadOptions} options
 * @returns {LoadOptions}
 */
function withEngine(options) {
  const { engine = 'auto', precision = 'f32', workers = 'auto', device = 'cpu' } = options;
  if (engine === 'auto') return options;
  if (engine !== 'candle')
    throw new SiglipError('bad-input', `engine is "auto" or "candle", not "${engine}".`);
  /** @type {[string, boolean][]} */
  const choices = [
    [`precision is "f32", not "${precision}"`, precision === 'f32'],
    [`workers is 1, not ${workers}`, workers === 'auto' || workers === 1],
    [`device is "cpu", not "${device}"`, device !== 'gpu'],
  ];
  const refused = choices.find(([, isFine]) => !isFine);
  if (refused) {
    throw new SiglipError('bad-input', `With candle's engine ${refused[0]}; or take the default engine.`);
  }
  return { ...options, precision: 'f32', workers: 1, device: 'candle', ready: 'both' };
}
