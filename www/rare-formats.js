/**
 * Decoders of rare formats: a module of their own, which the first such picture has fetched; the worker imports this
 * script then. Its address is relative to www/, as in addresses.js.
 */

/** @typedef {typeof import('./wasm/rare-formats/siglip_rare.js').decode} Decode */

/** @type {Promise<Decode> | undefined} */
let decoder;

/**
 * @param {Uint8Array} bytes a file
 * @returns {Promise<{width: number, height: number, rgba: Uint8ClampedArray, damage?: string}>}
 */
export async function decodeRare(bytes) {
  decoder ??= load();
  // A host or connection that fails now may be there for the next picture.
  decoder.catch(() => (decoder = undefined));
  const decode = await decoder;
  try {
    const picture = decode(bytes);
    const { width, height, rgb, damage } = picture;
    picture.free();
    return { width, height, rgba: withAlpha(rgb), damage };
  } catch (error) {
    const { message } = /** @type {Error} */ (error);
    const failed = error instanceof WebAssembly.RuntimeError;
    const reason = failed ? `The decoder has failed: ${message}. Convert the picture to PNG.` : message;
    throw Object.assign(new Error(reason, { cause: error }), { code: 'bad-image' });
  }
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

/** @returns {Promise<Decode>} */
async function load() {
  const address = new URL('./wasm/rare-formats/siglip_rare_bg.wasm', import.meta.url);
  try {
    const { default: init, decode } = await import('./wasm/rare-formats/siglip_rare.js');
    const response = await fetch(address);
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
    await init({ module_or_path: await response.arrayBuffer() });
    return decode;
  } catch (error) {
    const reason = error instanceof Error ? error.message : error;
    const message = `The decoders of rare formats at ${address} could not be loaded: ${reason}. Try again, or convert the picture to PNG.`;
    throw Object.assign(new Error(message, { cause: error }), { code: 'network' });
  }
}
