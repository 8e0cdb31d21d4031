/** Images in every form that a page holds them, made into what the worker takes. */
import { SiglipError, throwIfAborted } from './errors.js';

/** An encoded image, or its address. @typedef {string | URL | Blob | ArrayBuffer | ArrayBufferView} Encoded */
/** Any image that a page can hold. @typedef {Encoded | ImageData | ImageBitmap | HTMLImageElement | HTMLCanvasElement | OffscreenCanvas | HTMLVideoElement} ImageInput */
/** @typedef {import('../worker/protocol.js').ImageMessage} ImageMessage */

/**
 * @param {ImageInput} image
 * @param {AbortSignal} [signal]
 * @returns {Promise<ImageMessage>}
 */
export async function toImageMessage(image, signal) {
  if (typeof image === 'string' || image instanceof URL) return { blob: await fetchImage(image, signal) };
  if (image instanceof Blob) return { blob: image };
  if (image instanceof ArrayBuffer || (ArrayBuffer.isView(image) && !(image instanceof DataView))) {
    return { blob: new Blob([/** @type {BlobPart} */ (image)]) };
  }
  if (isA('ImageData', image)) return { width: image.width, height: image.height, rgba: image.data };
  if (isA('HTMLImageElement', image)) {
    await decoded(image);
    return draw(image, image.naturalWidth, image.naturalHeight, image.currentSrc || image.src);
  }
  if (isA('HTMLVideoElement', image)) return draw(image, image.videoWidth, image.videoHeight);
  if (isA('ImageBitmap', image) || isA('HTMLCanvasElement', image) || isA('OffscreenCanvas', image)) {
    return draw(image, image.width, image.height);
  }
  throw new SiglipError(
    'bad-input',
    'A picture is a URL, a Blob or File, bytes, ImageData, an ImageBitmap, <img>, <canvas> or <video>.',
  );
}

/**
 * Whether an image is of a class, which a worker or an older browser may lack.
 * @template {'ImageData' | 'HTMLImageElement' | 'HTMLVideoElement' | 'ImageBitmap' | 'HTMLCanvasElement' | 'OffscreenCanvas'} Name
 * @param {Name} name
 * @param {unknown} image
 * @returns {image is InstanceType<(typeof globalThis)[Name]>}
 */
const isA = (name, image) => !!globalThis[name] && image instanceof globalThis[name];

/**
 * @param {string | URL} address
 * @param {AbortSignal} [signal]
 */
export async function fetchImage(address, signal) {
  const text = String(address);
  const shown = text.length > 100 ? `${text.slice(0, 100)}…` : text;
  let response;
  try {
    response = await fetch(text, { signal });
    if (response.ok) return await response.blob();
  } catch (error) {
    throwIfAborted(signal);
    const reason = `${shown} could not be fetched. Check the address and the connection, and whether its site lets this page read it.`;
    throw new SiglipError('network', reason, error);
  }
  const { status } = response;
  const code = [404, 410].includes(status) ? 'not-found' : 'network';
  throw new SiglipError(code, `${shown}: the server answers HTTP ${status}.`);
}

/** @param {HTMLImageElement} image */
async function decoded(image) {
  try {
    await image.decode();
  } catch (error) {
    throw new SiglipError(
      'bad-image',
      `The picture at ${image.currentSrc || image.src} cannot be decoded.`,
      error,
    );
  }
}

/**
 * Safari has had OffscreenCanvas only since 16.4, so a page takes a <canvas>, and a worker what it has.
 * @param {number} width
 * @param {number} height
 */
function canvasOf(width, height) {
  if (!globalThis.document) return new OffscreenCanvas(width, height);
  return Object.assign(document.createElement('canvas'), { width, height });
}

/**
 * @param {CanvasImageSource} image
 * @param {number} width
 * @param {number} height
 * @param {string} [address] where the image is from, if that is known
 * @returns {Promise<ImageMessage>}
 */
export async function draw(image, width, height, address) {
  if (!width || !height) throw new SiglipError('bad-image', 'The picture has no pixels yet.');
  const context = canvasOf(width, height).getContext('2d', { willReadFrequently: true });
  if (!context)
    throw new SiglipError('out-of-memory', `There is no room for a canvas of ${width} x ${height}.`);
  try {
    context.drawImage(image, 0, 0, width, height);
    return { width, height, rgba: context.getImageData(0, 0, width, height).data };
  } catch (error) {
    throw (await import('./unreadable.js')).unreadable(address, error);
  }
}
