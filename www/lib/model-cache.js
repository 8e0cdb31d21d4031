/** The models in the browser's storage. The engine writes them (crates/siglip-web/src/store); they are listed and deleted here. */
import { folderOf } from './checkpoints.js';
import { SiglipError } from './errors.js';

/** The folder of the engine. Its name stands for the format of the files. */
const FOLDER = 'siglip-web-2';
/** The end of the name of the labels that a model has embedded; before it stands the name of the model. */
const LABELS = '.labels';
/** Bytes of a record before its JSON value; the last four are the length of that value. */
const HEAD = 16;
/** How often a locked file is tried again, and after how many milliseconds: a second in all. */
const [LOCKED_TRIES, LOCKED_MS] = [20, 50];

/**
 * @typedef {object} CachedModel
 * @property {string} model the URL of its folder, .gguf or .onnx
 * @property {import('../worker/protocol.js').Precision} precision
 * @property {'image' | 'text' | 'both'} towers `both` also of a model whose towers came one after the other
 * @property {string} [onnx] the dtypes of the ONNX files that were asked for, such as `q8/q8`
 * @property {number} bytes of storage
 * @property {boolean} complete false after an interrupted download, which the next load continues
 */

/** A cached model with a function that deletes it. @typedef {CachedModel & {remove: () => Promise<unknown>}} Entry */

/** The models in the cache. @returns {Promise<CachedModel[]>} */
export async function cachedModels() {
  return (await entries()).map(({ remove, ...model }) => model);
}

/** The properties that identify an entry of {@link cachedModels}. */
const identity = /** @type {const} */ (['model', 'precision', 'towers', 'onnx', 'complete']);

/**
 * Deletes a model from the cache.
 * @param {string | CachedModel} model its name, as it was loaded, for all its precisions; or an entry of
 *   {@link cachedModels}
 * @param {{baseUrl?: string}} [options]
 */
export async function deleteModel(model, { baseUrl } = {}) {
  const named = typeof model === 'string' && folderOf(model, baseUrl);
  await remove(
    (await entries()).filter((entry) =>
      typeof model === 'string' ? entry.model === named : identity.every((key) => entry[key] === model[key]),
    ),
  );
}

/** Deletes all models from the cache. */
export async function deleteAllModels() {
  await remove(await entries());
}

/**
 * Asks the browser to keep the models even when storage is scarce. The browser may ask the visitor, so call it in
 * response to a click or a key press.
 * @returns {Promise<boolean>} whether the browser agrees
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
  // A frame or a private window may have no storage, and then no models.
  const [files, cached] = await Promise.all([fromFiles().catch(() => []), fromCache().catch(() => [])]);
  return joined([...files, ...cached]);
}

/**
 * The entries, where a model whose towers came one after the other is one.
 * @param {Entry[]} list
 */
function joined(list) {
  /** @type {Entry[]} */
  const models = [];
  // "image" sorts before "text".
  for (const text of list.sort((a, b) => a.towers.localeCompare(b.towers))) {
    const at = models.findIndex(
      (image) =>
        image.towers + text.towers === 'imagetext' &&
        image.model === text.model &&
        image.precision === text.precision &&
        image.onnx === text.onnx,
    );
    const image = models[at];
    if (!image) models.push(text);
    else {
      models[at] = {
        ...image,
        towers: 'both',
        bytes: image.bytes + text.bytes,
        complete: image.complete && text.complete,
        remove: async () => {
          await image.remove();
          await text.remove();
        },
      };
    }
  }
  return models;
}

async function fromFiles() {
  const root = await navigator.storage.getDirectory();
  const folder = await root.getDirectoryHandle(FOLDER);
  /** @type {Entry[]} */
  const list = [];
  for await (const handle of folder.values()) {
    const { name } = handle;
    if (!(handle instanceof FileSystemFileHandle) || name.endsWith(LABELS)) continue;
    const file = await handle.getFile();
    // A download that has just begun has no manifest yet.
    const manifest = await manifestOf(file).catch(() => ({ model: '', precision: 'q8', towers: 'both' }));
    const complete = !name.endsWith('.part');
    const remove = async () => {
      await removeFile(folder, name + LABELS);
      await removeFile(folder, name);
    };
    list.push({ ...manifest, bytes: file.size, complete, remove });
  }
  return list;
}

/**
 * Removes a file if it exists. A browser can lock a file for a moment after its writer has closed it.
 * @param {FileSystemDirectoryHandle} folder
 * @param {string} name
 */
async function removeFile(folder, name) {
  for (let tries = 0; ; tries++) {
    try {
      return await folder.removeEntry(name);
    } catch (error) {
      const { name: cause } = /** @type {Error} */ (error);
      if (cause === 'NotFoundError') return;
      if (cause !== 'NoModificationAllowedError' || tries === LOCKED_TRIES) throw error;
      await new Promise((resolve) => setTimeout(resolve, LOCKED_MS));
    }
  }
}

async function fromCache() {
  /** @type {Entry[]} */
  const list = [];
  if (!(await caches.has(FOLDER))) return list;
  const cache = await caches.open(FOLDER);
  for (const request of await cache.keys()) {
    if (request.url.endsWith(LABELS)) continue;
    const file = await (await cache.match(request))?.blob();
    if (!file) continue;
    const manifest = await manifestOf(file);
    const remove = async () => {
      await cache.delete(request.url + LABELS);
      await cache.delete(request);
    };
    list.push({ ...manifest, bytes: file.size, complete: true, remove });
  }
  return list;
}

/**
 * The manifest, which is the first record of a file.
 * @param {Blob} file
 */
async function manifestOf(file) {
  const head = new DataView(await file.slice(0, HEAD).arrayBuffer());
  return JSON.parse(await file.slice(HEAD, HEAD + head.getUint32(12, true)).text());
}
