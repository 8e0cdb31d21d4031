/**
 * The names of transformers.js, for code that was written for it: only the import changes.
 *
 *     import { AutoTokenizer, SiglipTextModel } from './transformers.js';
 *     const tokenizer = await AutoTokenizer.from_pretrained('Xenova/siglip-base-patch16-224');
 *     const model = await SiglipTextModel.from_pretrained('Xenova/siglip-base-patch16-224');
 *     const { pooler_output } = await model(tokenizer(['a photo of 2 cats'], { padding: 'max_length' }));
 *
 * docs/migration.md compares call by call.
 */
import { Siglip } from './lib/siglip.js';
import { modelsOf } from './lib/transformers.js';

export { pipeline } from './lib/pipeline.js';
export { Tensor } from './lib/tensor.js';
export { AutoProcessor, AutoTokenizer, RawImage } from './lib/transformers.js';
export const { AutoModel, SiglipModel, SiglipTextModel, SiglipVisionModel } = modelsOf((model, options) =>
  Siglip.load(model, options),
);
