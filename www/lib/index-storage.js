/** Where indexes of pictures are kept: in the origin's private file system, or in the Cache API where that is absent. */
import { SiglipError } from './errors.js';

const FOLDER = 'siglip-indexes';

/** The folder; none where the browser cannot write to it from a page. */
async function folder() {
  try {
    const root = await navigator.storage.getDirectory();
    const folder = await root.getDirectoryHandle(FOLDER, { create: true });
    return 'createWritable' in FileSystemFileHandle.prototype ? folder : undefined;
  } catch {
    return undefined;
  }
}

/** The address of an index in the Cache API. @param {string} key */
const addressOf = (key) => new URL(`/${FOLDER}/${key}`, location.href);

/**
 * @param {string} key
 * @returns {Promise<Blob | undefined>}
 */
export async function load(key) {
  const handle = await (await folder())?.getFileHandle(key).catch(() => undefined);
  if (handle) return handle.getFile();
  const kept = await globalThis.caches?.match(addressOf(key), { cacheName: FOLDER });
  return kept?.blob();
}

/**
 * Replaces what is kept, as a whole or not at all.
 * @param {string} key
 * @param {Blob} blob
 */
export async function save(key, blob) {
  try {
    const handle = await (await folder())?.getFileHandle(key, { create: true });
    if (handle) {
      // The file itself is replaced when the stream is closed.
      const stream = await handle.createWritable();
      try {
        await stream.write(blob);
      } catch (error) {
        await stream.abort().catch(() => undefined);
        throw error;
      }
      await stream.close();
    } else if (globalThis.caches) {
      await (await caches.open(FOLDER)).put(addressOf(key), new Response(blob));
    }
  } catch (error) {
    const reason =
      'The index could not be stored. It stays usable until the page is closed, and index.export() saves it as a file.';
    throw new SiglipError('quota', reason, error);
  }
}

/** @param {string} key */
export async function forget(key) {
  await (await folder())?.removeEntry(key).catch(() => undefined);
  await (await globalThis.caches?.open(FOLDER))?.delete(addressOf(key));
}
