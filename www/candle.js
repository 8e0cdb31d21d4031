/**
 * The engine on candle's towers, for comparison: a module of its own, which only `engine: 'candle'` has fetched. Its address is
 * relative to www/, as in addresses.js.
 */

/** Loads a model. @type {(parameters: import('./worker/protocol.js').Calls['load']['parameters'], signal: AbortSignal, tell: (event: import('./worker/protocol.js').LoadEvent) => void) => Promise<import('./worker/gpu.js').Loaded>} */
export async function loadOnCandle({ source, options: chosen }, signal, tell) {
  const { Engine } = await started();
  const options = { ...chosen, workers: 1 };
  /** @type {import('./wasm/simd128/siglip_web.js').LoadCallbacks} */
  const callbacks = {
    onProgress: (file, loaded, total, cached) => tell({ type: 'progress', file, loaded, total, cached }),
    onNotice: (code, message) => tell({ type: 'notice', notice: { code, message } }),
    onConfig: () => {},
  };
  const engine = await Engine.load(source, options, signal, callbacks);
  // Of a model that is cached by towers, the image tower comes first.
  if (engine.expects_text()) {
    const text = { ...options, towers: 'text', later: true };
    engine.add_text_tower(await Engine.load(source, text, signal, callbacks));
  }
  const place = { workers: 1, device: /** @type {const} */ ('cpu'), engine: /** @type {const} */ ('candle') };
  return { engine, gpu: undefined, place, bytesElsewhere: 0 };
}

/** @returns {Promise<typeof import('./wasm/simd128/siglip_web.js')>} */
async function started() {
  try {
    // @ts-ignore -- a host may lack this build.
    const loading = import('./wasm/candle/siglip_web.js');
    // It lacks what workers that share a model exchange, and what a GPU needs: it is asked for neither.
    const bindings = /** @type {any} */ (await loading);
    await bindings.default({ module_or_path: new URL('./wasm/candle/siglip_web_bg.wasm', import.meta.url) });
    return bindings;
  } catch (cause) {
    const reason =
      "candle's engine (wasm/candle) could not be loaded from this host; leave out the option engine.";
    throw Object.assign(new Error(reason, { cause }), { code: 'wasm' });
  }
}
