/** Images that the engine does not decode. Few are such: the code is fetched when the first one comes. */
/** @typedef {import('../worker/protocol.js').ImageMessage} ImageMessage */
/** @typedef {import('./errors.js').SiglipError} SiglipError */
/** Passed in, so that bundlers leave it in one script with the library. @typedef {typeof import('./images.js').draw} Draw */

/**
 * An image that the engine does not decode: as the browser draws it, or else for the decoders of rare formats.
 * @param {Blob} blob
 * @param {SiglipError} error the engine's, thrown if nothing else decodes the image
 * @param {boolean} withPreview whether the decoders of rare formats are to make one
 * @param {Draw} draw
 * @param {import('./parameters.js').LoadOptions['onNotice']} onNotice is told of a damaged image
 * @returns {Promise<ImageMessage>}
 */
export async function decodedOtherwise(blob, error, withPreview, draw, onNotice) {
  /** @type {ImageMessage} */
  let image;
  try {
    image = await rasterise(blob, error, draw);
  } catch (failure) {
    if (!error.rareFormat) throw failure;
    image = { blob, isRare: true, withPreview };
  }
  if (error.broken) {
    onNotice?.({ code: 'damaged', message: `Shown as far as the browser reads it: ${error.message}.` });
  }
  return image;
}

/**
 * Decodes an image with the browser, if its format (AVIF, HEIC, SVG) is none of the engine's.
 * @param {Blob} blob
 * @param {unknown} cause the engine's error, thrown if the browser cannot decode the image either
 * @param {Draw} draw
 * @returns {Promise<ImageMessage>}
 */
async function rasterise(blob, cause, draw) {
  // A worker has no <img>, and therefore no SVG; Node.js decodes nothing.
  if (!globalThis.document) {
    if (!globalThis.createImageBitmap) throw cause;
    const bitmap = await createImageBitmap(blob).catch(() => {
      throw cause;
    });
    return draw(bitmap, bitmap.width, bitmap.height);
  }
  const image = await typed(blob);
  // Chromium and WebKit do not let a page read an SVG with HTML in it (foreignObject) that comes from a blob: address.
  const url = image.type === 'image/svg+xml' ? await dataAddress(image) : URL.createObjectURL(image);
  try {
    const element = new Image();
    element.src = url;
    await element.decode().catch(() => {
      throw cause;
    });
    // An SVG may have no size of its own.
    return draw(element, element.naturalWidth || 512, element.naturalHeight || 512);
  } finally {
    URL.revokeObjectURL(url);
  }
}

/** @param {Blob} blob @returns {Promise<string>} */
const dataAddress = (blob) =>
  new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });

/**
 * The image with its type. An <img> detects every type but SVG by itself.
 * @param {Blob} blob
 */
async function typed(blob) {
  if (blob.type.startsWith('image/')) return blob;
  const start = await blob.slice(0, 256).text();
  return /^\s*<(\?xml|svg|!)/.test(start) ? new Blob([blob], { type: 'image/svg+xml' }) : blob;
}
