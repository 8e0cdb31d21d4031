/** The choice of ONNX files. */
import { SiglipError } from './errors.js';

/** @typedef {import('./parameters.js').LoadOptions} LoadOptions */
/** @typedef {import('../worker/protocol.js').OnnxDtype} OnnxDtype */

/** @type {Record<string, OnnxDtype>} */
const dtypes = {
  auto: 'q8',
  f32: 'fp32',
  fp32: 'fp32',
  fp16: 'fp16',
  q8: 'q8',
  int8: 'int8',
  uint8: 'uint8',
  q4: 'q4',
  q4f16: 'q4f16',
  bnb4: 'bnb4',
};

/**
 * The options of a load with a dtype for each tower, by the names of the files.
 * @param {LoadOptions} options
 * @returns {LoadOptions}
 */
export function withDtype(options) {
  const { dtype } = options;
  const { vision_model = 'q8', text_model } = typeof dtype === 'object' ? dtype : { vision_model: dtype };
  const vision = named(vision_model);
  // The names of 4 bits have a 4 in them.
  const text = named(text_model ?? (vision.includes('4') ? 'q8' : vision));
  return { ...options, dtype: { vision_model: vision, text_model: text } };
}

/** @param {string} name */
function named(name) {
  if (Object.hasOwn(dtypes, name)) return dtypes[name];
  throw new SiglipError('bad-input', `dtype is one of ${Object.keys(dtypes).join(', ')}, not "${name}".`);
}
