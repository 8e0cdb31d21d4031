/**
 * Decoders of rare formats: a module of their own, which the first such picture has fetched; the worker imports this
 * script then. Its address is relative to www/, as in addresses.js.
 */

/** @typedef {typeof import('./wasm/rare-formats/siglip_rare.js') & {__wbg_reset_state: () => void}} Module */

/** @type {Promise<Module> | undefined} */
let loading;

/**
 * @param {Uint8Array} bytes a file
 * @returns {Promise<import('./worker/protocol.js').Pixels & {damage?: string}>}
 */
export async function decodeRare(bytes) {
  loading ??= load();
  // A host or connection that fails now may be there for the next picture.
  loading.catch(() => (loading = undefined));
  const { decode, __wbg_reset_state: beginAnew } = await loading;
  try {
    const picture = decode(bytes);
    const { width, height, rgb, damage } = picture;
    picture.free();
    return { width, height, rgba: withAlpha(rgb), damage };
  } catch (error) {
    const { message } = /** @type {Error} */ (error);
    const failed = error instanceof WebAssembly.RuntimeError;
    // What a trap leaves in memory is of no use to the next picture.
    if (failed) beginAnew();
    const reason = failed ? `The decoder has failed: ${message}. Convert the picture to PNG.` : message;
    throw Object.assign(new Error(reason, { cause: error }), { code: 'bad-image' });
  }
}

/** Pixels of the longer side of a preview. */
const PREVIEW = 768;

/** The picture for the page to show, made small. @param {import('./worker/protocol.js').Pixels} pixels */
export function previewOf({ width, height, rgba }) {
  const scale = Math.min(1, PREVIEW / Math.max(width, height));
  return createImageBitmap(new ImageData(/** @type {ImageDataArray} */ (rgba), width, height), {
    resizeWidth: Math.ceil(scale * width),
    resizeHeight: Math.ceil(scale * height),
    resizeQuality: 'medium',
  });
}

/** The pixels as the engine takes them. @param {Uint8Array} rgb */
function withAlpha(rgb) {
  const rgba = new Uint8ClampedArray((rgb.length / 3) * 4).fill(255);
  for (let from = 0, to = 0; from < rgb.length; from += 3, to += 4) {
    rgba[to] = rgb[from];
    rgba[to + 1] = rgb[from + 1];
    rgba[to + 2] = rgb[from + 2];
  }
  return rgba;
}

/** @returns {Promise<Module>} */
async function load() {
  const address = new URL('./wasm/rare-formats/siglip_rare_bg.wasm', import.meta.url);
  try {
    const module = await import('./wasm/rare-formats/siglip_rare.js');
    const response = await fetch(address);
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
    await module.default({ module_or_path: await response.arrayBuffer() });
    return /** @type {Module} */ (module);
  } catch (error) {
    const reason = error instanceof Error ? error.message : error;
    const message = `The decoders of rare formats at ${address} could not be loaded: ${reason}. Try again, or convert the picture to PNG.`;
    throw Object.assign(new Error(message, { cause: error }), { code: 'network' });
  }
}
