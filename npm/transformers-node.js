/** The names of transformers.js in Node.js: www/transformers.js with the models and pictures of this entry. */
import { modelsOf } from '../www/lib/transformers.js';
import { Siglip, pipeline } from './node.js';

export { Tensor } from '../www/lib/tensor.js';
export { AutoProcessor, AutoTokenizer, RawImage } from '../www/lib/transformers.js';
export { pipeline };
export const { AutoModel, SiglipModel, SiglipTextModel, SiglipVisionModel } = modelsOf((model, options) =>
  Siglip.load(model, options),
);
