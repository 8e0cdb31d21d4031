import { SiglipError } from './errors.js';

/** An encoded picture. @typedef {string | URL | Blob | ArrayBuffer | ArrayBufferView} Encoded */
/** Anything a page holds pictures in. @typedef {Encoded | ImageData | ImageBitmap | HTMLImageElement | HTMLCanvasElement | OffscreenCanvas | HTMLVideoElement} ImageInput */
/** What the worker takes. @typedef {{url: string} | {blob: Blob} | {width: number, height: number, rgba: Uint8ClampedArray}} Picture */

/**
 * @param {ImageInput} image
 * @returns {Promise<Picture>}
 */
export async function toPicture(image) {
  if (typeof image === 'string' || image instanceof URL) return { url: new URL(image, document.baseURI).href };
  if (image instanceof Blob) return { blob: image };
  if (image instanceof ArrayBuffer || (ArrayBuffer.isView(image) && !(image instanceof DataView))) {
    return { blob: new Blob([/** @type {BlobPart} */ (image)]) };
  }
  if (image instanceof ImageData) return { width: image.width, height: image.height, rgba: image.data };
  if (image instanceof HTMLImageElement) {
    await decoded(image);
    return draw(image, image.naturalWidth, image.naturalHeight);
  }
  if (image instanceof HTMLVideoElement) return draw(image, image.videoWidth, image.videoHeight);
  if (
    image instanceof ImageBitmap ||
    image instanceof HTMLCanvasElement ||
    (globalThis.OffscreenCanvas && image instanceof OffscreenCanvas)
  ) {
    return draw(image, image.width, image.height);
  }
  throw new SiglipError(
    'bad-input',
    'A picture is a URL, a Blob or File, bytes, ImageData, an ImageBitmap, <img>, <canvas> or <video>.',
  );
}

/**
 * What the engine's own decoder lacks (AVIF, HEIC, SVG), through the browser's.
 * @param {Encoded} image
 * @param {unknown} cause the engine's own refusal, told where the browser has no way either
 * @returns {Promise<Picture>}
 */
export async function rasterise(image, cause) {
  const picture = await toPicture(image);
  if (!('blob' in picture || 'url' in picture)) throw cause;
  const url = 'blob' in picture ? URL.createObjectURL(await typed(picture.blob)) : picture.url;
  try {
    const element = new Image();
    element.crossOrigin = 'anonymous';
    element.src = url;
    await element.decode().catch(() => {
      throw cause;
    });
    // An SVG without a size of its own has none to draw at.
    return draw(element, element.naturalWidth || 512, element.naturalHeight || 512);
  } finally {
    if ('blob' in picture) URL.revokeObjectURL(url);
  }
}

/**
 * An <img> sniffs the type of every picture but SVG.
 * @param {Blob} blob
 */
async function typed(blob) {
  if (blob.type) return blob;
  const start = await blob.slice(0, 256).text();
  return /^\s*<(\?xml|svg|!)/.test(start) ? new Blob([blob], { type: 'image/svg+xml' }) : blob;
}

/** @param {HTMLImageElement} image */
async function decoded(image) {
  try {
    await image.decode();
  } catch (error) {
    throw new SiglipError('bad-image', `The picture at ${image.currentSrc || image.src} cannot be shown.`, error);
  }
}

/**
 * @param {CanvasImageSource} image
 * @param {number} width
 * @param {number} height
 * @returns {Picture}
 */
function draw(image, width, height) {
  if (!width || !height) throw new SiglipError('bad-image', 'The picture has no pixels yet.');
  const canvas = document.createElement('canvas');
  Object.assign(canvas, { width, height });
  const context = canvas.getContext('2d', { willReadFrequently: true });
  if (!context) throw new SiglipError('out-of-memory', `There is no room for a canvas of ${width} x ${height}.`);
  try {
    context.drawImage(image, 0, 0, width, height);
    return { width, height, rgba: context.getImageData(0, 0, width, height).data };
  } catch (error) {
    const reason = 'The page may not read this picture: it is from another site; load it with crossorigin="anonymous".';
    throw new SiglipError('bad-image', reason, error);
  }
}
