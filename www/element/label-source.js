/** Labels, or classes taught by example, that a site keeps in a file. */
import { SiglipError } from '../lib/errors.js';
import { fetched } from './fetched.js';

/** @typedef {import('../siglip.js').Siglip} Siglip */
/** @typedef {import('../siglip.js').TaughtClasses} TaughtClasses */

/** What each address has. A failure is not kept, so that a later try can succeed. @type {Map<string, Promise<string[]>>} */
const known = new Map();

/**
 * The labels at an address, or for a model the classes.
 * @param {string | undefined} address
 * @param {Siglip | string | undefined} siglip
 */
export function labelsAt(address = '', siglip) {
  const { href } = new URL(address, document.baseURI);
  return typeof siglip === 'object' ? classesFrom(href, siglip) : labelsFrom(href);
}

/**
 * The labels in a JSON file: an array of texts, or an object that has one as `labels`.
 * @param {string} url
 */
function labelsFrom(url) {
  const labels = known.get(url) ?? read(url);
  known.set(url, labels);
  labels.catch(() => known.delete(url));
  return labels;
}

/** The classes of each model, by address. @type {WeakMap<Siglip, Map<string, Promise<TaughtClasses>>>} */
const taught = new WeakMap();

/**
 * The classes in a file of `siglip probe train`, for one model.
 * @param {string} url
 * @param {Siglip} siglip
 */
function classesFrom(url, siglip) {
  const ofModel = taught.get(siglip) ?? new Map();
  taught.set(siglip, ofModel);
  /** @type {Promise<TaughtClasses>} */
  const classes = ofModel.get(url) ?? siglip.classes(new URL(url));
  ofModel.set(url, classes);
  classes.catch(() => ofModel.delete(url));
  return classes;
}

/** @param {string} url */
async function read(url) {
  const response = await fetched(url, 'list of labels');
  const content = await response.json().catch(() => undefined);
  const labels = Array.isArray(content) ? content : content?.labels;
  if (!Array.isArray(labels) || !labels.length || labels.some((label) => typeof label !== 'string'))
    throw new SiglipError('bad-input', `${url} has no labels: it must be JSON like ["a cat", "a dog"]`);
  return labels;
}
