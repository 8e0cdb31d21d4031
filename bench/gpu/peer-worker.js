/** transformers.js on onnxruntime's WebGPU, in a worker. */
import { serve } from './contest.js';

/**
 * `script` is the address of transformers.min.js; `wasm` that of the folder with onnxruntime's module, where it is not fetched
 * from a CDN. `host` is the address of a folder of models in place of the hub's.
 * @typedef {{script: string, wasm?: string, host?: string, model: string, dtype: 'fp32' | 'fp16', subfolder: string, towers: 'image' | 'both'}} Options
 */

serve(async (/** @type {Options} */ { script, wasm, host, model, dtype, subfolder, towers }) => {
  const { env, AutoTokenizer, SiglipTextModel, SiglipVisionModel, Tensor } = await import(script);
  // The hub's weights are downloaded once.
  Object.assign(env, { useBrowserCache: !host, useWasmCache: false });
  env.allowLocalModels = false;
  if (host) Object.assign(env, { remoteHost: host, remotePathTemplate: '{model}/' });
  const { wasm: wasmOptions, webgpu } = env.backends.onnx;
  if (wasm) {
    const name = `${wasm}ort-wasm-simd-threaded.asyncify`;
    wasmOptions.wasmPaths = { mjs: `${name}.mjs`, wasm: `${name}.wasm` };
  }
  // What is left to the CPU is little.
  wasmOptions.numThreads = 1;
  if (webgpu) webgpu.powerPreference = 'high-performance';
  const options = { dtype, device: 'webgpu', subfolder };
  const vision = await SiglipVisionModel.from_pretrained(model, options);
  const text = towers === 'both' && (await SiglipTextModel.from_pretrained(model, options));
  const tokenizer = text && (await AutoTokenizer.from_pretrained(model));
  const imageSize = vision.config.image_size ?? vision.config.vision_config?.image_size ?? 224;
  const length =
    text && (text.config.max_position_embeddings ?? text.config.text_config?.max_position_embeddings ?? 64);
  /** Rows of the pooled output, in the CPU's memory. @param {{pooler_output: any}} output */
  const rowsOf = async ({ pooler_output }) => {
    const [count, width] = pooler_output.dims;
    const data = pooler_output.data ?? (await pooler_output.getData());
    return Array.from({ length: count }, (_, i) =>
      Float32Array.from(data.subarray(i * width, (i + 1) * width)),
    );
  };
  return {
    imageSize,
    async embedImages(pictures) {
      const values = new Float32Array(pictures.length * pictures[0].length);
      pictures.forEach((picture, i) => values.set(picture, i * picture.length));
      const shape = [pictures.length, 3, imageSize, imageSize];
      return rowsOf(await vision({ pixel_values: new Tensor('float32', values, shape) }));
    },
    embedTexts:
      text &&
      (async (texts) => {
        const { input_ids } = tokenizer(texts, {
          padding: 'max_length',
          truncation: true,
          max_length: length,
        });
        return rowsOf(await text({ input_ids }));
      }),
    info: { version: env.version },
  };
});
