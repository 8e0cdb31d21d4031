/** What is kept of models from visit to visit: written by the engine (crates/siglip-web/src/store), listed here. */
import { folderOf } from './checkpoints.js';
import { SiglipError } from './errors.js';

/** The engine's own name for it, and of this format. */
const FOLDER = 'siglip-web-2';
/** Bytes of a record before its contents, and of the length of the JSON value that they begin with. */
const HEAD = 16;

/**
 * @typedef {object} CachedModel
 * @property {string} model the URL of its folder
 * @property {'q8' | 'f32'} precision
 * @property {'image' | 'text' | 'both'} towers
 * @property {number} bytes that it takes
 * @property {boolean} complete whether it is all there, or what an interrupted download has left
 */

/** A model with the way to forget it. @typedef {CachedModel & {remove: () => Promise<unknown>}} Entry */

/** The models that are kept for the next visit. @returns {Promise<CachedModel[]>} */
export async function cachedModels() {
  return (await entries()).map(({ remove, ...model }) => model);
}

/** What tells one entry of {@link cachedModels} from another. */
const marks = /** @type {const} */ (['model', 'precision', 'towers', 'complete']);

/**
 * Forgets what is kept of a model.
 * @param {string | CachedModel} model as it was loaded, which means it in every precision, or one that
 *   {@link cachedModels} has listed
 * @param {{baseUrl?: string}} [options]
 */
export async function deleteModel(model, { baseUrl } = {}) {
  const named = typeof model === 'string' && folderOf(model, baseUrl);
  await remove(
    (await entries()).filter((entry) =>
      typeof model === 'string' ? entry.model === named : marks.every((mark) => entry[mark] === model[mark]),
    ),
  );
}

/** Forgets all models. */
export async function deleteAllModels() {
  await remove(await entries());
}

/**
 * Asks the browser to keep the models when it needs room, which it may ask the visitor about: call it after
 * something that they did.
 * @returns {Promise<boolean>} whether it will
 */
export const persistModels = async () => (await navigator.storage?.persist?.()) ?? false;

/** @param {Entry[]} list */
async function remove(list) {
  try {
    for (const entry of list) await entry.remove();
  } catch (error) {
    throw new SiglipError(
      'quota',
      'The model is being loaded, perhaps in another tab; it can be deleted after that.',
      error,
    );
  }
}

/** @returns {Promise<Entry[]>} */
async function entries() {
  // A frame or a private window without storage keeps nothing.
  const [files, cached] = await Promise.all([fromFiles().catch(() => []), fromCache().catch(() => [])]);
  return [...files, ...cached];
}

async function fromFiles() {
  const root = await navigator.storage.getDirectory();
  const folder = await root.getDirectoryHandle(FOLDER);
  /** @type {Entry[]} */
  const list = [];
  for await (const handle of folder.values()) {
    if (!(handle instanceof FileSystemFileHandle)) continue;
    const { name } = handle;
    const file = await handle.getFile();
    // One that has no manifest yet says nothing of itself.
    const manifest = await manifestOf(file).catch(() => ({ model: '', precision: 'q8', towers: 'both' }));
    const complete = !name.endsWith('.part');
    list.push({ ...manifest, bytes: file.size, complete, remove: () => folder.removeEntry(name) });
  }
  return list;
}

async function fromCache() {
  /** @type {Entry[]} */
  const list = [];
  if (!(await caches.has(FOLDER))) return list;
  const cache = await caches.open(FOLDER);
  for (const request of await cache.keys()) {
    const file = await (await cache.match(request))?.blob();
    if (!file) continue;
    const manifest = await manifestOf(file);
    list.push({ ...manifest, bytes: file.size, complete: true, remove: () => cache.delete(request) });
  }
  return list;
}

/**
 * The first record of a file.
 * @param {Blob} file
 */
async function manifestOf(file) {
  const head = new DataView(await file.slice(0, HEAD).arrayBuffer());
  return JSON.parse(await file.slice(HEAD, HEAD + head.getUint32(12, true)).text());
}
