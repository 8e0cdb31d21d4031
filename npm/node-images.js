/** In Node.js this file takes the place of www/lib/images.js: there is no browser that decodes or draws. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { SiglipError } from '../www/lib/errors.js';
import { fetchImage } from '../www/lib/images.js';

export { draw } from '../www/lib/images.js';

/** @typedef {import('../www/worker/protocol.js').ImageMessage} ImageMessage */
/** Raw pixels, as `sharp` or a canvas gives them. @typedef {{width: number, height: number, data: Uint8ClampedArray | Uint8Array}} Pixels */

/**
 * @param {string | URL | Blob | ArrayBuffer | ArrayBufferView | Pixels} image a path, a URL, the bytes of a file, or pixels in RGBA
 * @param {AbortSignal} [signal]
 * @returns {Promise<ImageMessage>}
 */
export async function toImageMessage(image, signal) {
  if (typeof image === 'string' || image instanceof URL) {
    const path = String(image).startsWith('file:') ? fileURLToPath(String(image)) : String(image);
    return { blob: existsSync(path) ? new Blob([await readFile(path)]) : await fetchImage(image, signal) };
  }
  if (image instanceof Blob) return { blob: image };
  if (image instanceof ArrayBuffer || (ArrayBuffer.isView(image) && !(image instanceof DataView))) {
    return { blob: new Blob([/** @type {BlobPart} */ (image)]) };
  }
  const { width, height, data } = /** @type {Pixels} */ (image ?? {});
  if (data?.length === width * height * 4) return { width, height, rgba: new Uint8ClampedArray(data) };
  throw new SiglipError(
    'bad-input',
    'A picture is a path, a URL, a Blob, the bytes of a file, or {width, height, data} with RGBA pixels.',
  );
}
