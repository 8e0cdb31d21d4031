/**
 * SigLIP in a web page: images and labels in, probabilities out, and nothing leaves the browser. This is the public API;
 * lib/ holds what is behind it.
 *
 *     import { Siglip } from './siglip.js';
 *     const siglip = await Siglip.load();
 *     const scores = await siglip.classify(file, ['a cat', 'a dog']);
 */
export { checkpoints } from './lib/checkpoints.js';
export { SiglipError } from './lib/errors.js';
export { DEFAULT_TEMPLATE } from './lib/parameters.js';
export { Siglip } from './lib/siglip.js';

/**
 * The API of transformers.js. Its code is fetched when it is first called.
 * @type {typeof import('./lib/pipeline.js').pipeline}
 */
export const pipeline = async (...parameters) => (await import('./lib/pipeline.js')).pipeline(...parameters);

/** What the browser keeps. The code is fetched when one of these is first called. */
const cache = () => import('./lib/model-cache.js');
/** @type {typeof import('./lib/model-cache.js').cachedModels} */
export const cachedModels = async () => (await cache()).cachedModels();
/** @type {typeof import('./lib/model-cache.js').deleteModel} */
export const deleteModel = async (...parameters) => (await cache()).deleteModel(...parameters);
/** @type {typeof import('./lib/model-cache.js').deleteAllModels} */
export const deleteAllModels = async () => (await cache()).deleteAllModels();
/** @type {typeof import('./lib/model-cache.js').persistModels} */
export const persistModels = async () => (await cache()).persistModels();

/** @typedef {import('./lib/calibrate.js').Example} Example */
/** @typedef {import('./lib/checkpoints.js').Checkpoint} Checkpoint */
/** @typedef {import('./lib/classes.js').TaughtClasses} TaughtClasses */
/** @typedef {import('./lib/errors.js').ErrorCode} ErrorCode */
/** @typedef {import('./lib/images.js').ImageInput} ImageInput */
/** @typedef {import('./lib/model-cache.js').CachedModel} CachedModel */
/** @typedef {import('./lib/parameters.js').LoadOptions} LoadOptions */
/** @typedef {import('./lib/parameters.js').Progress} Progress */
/** @typedef {import('./lib/parameters.js').ScoreOptions} ScoreOptions */
/** @typedef {import('./lib/siglip.js').Info} Info */
/** @typedef {import('./worker/protocol.js').Calibration} Calibration */
/** @typedef {import('./worker/protocol.js').LabelSet} LabelSet */
/** @typedef {import('./worker/protocol.js').Notice} Notice */
/** @typedef {import('./worker/protocol.js').Patches} Patches */
/** @typedef {import('./worker/protocol.js').Explanation} Explanation */
/** @typedef {import('./worker/protocol.js').Score} Score */
