/** The classes of transformers.js that the model cards of SigLIP show, over this library. */
import { SiglipError } from './errors.js';
import { optionsFor } from './pipeline.js';
import { Tensor } from './tensor.js';

/** @typedef {import('./images.js').ImageInput} ImageInput */
/** @typedef {import('./pipeline.js').TransformersOptions} TransformersOptions */
/** An image as transformers.js holds it. @typedef {{data: ArrayLike<number>, width: number, height: number, channels: number}} RawPixels */
/** What a tokenizer returns for {@link Models}. @typedef {{texts: string[]}} TextInputs */
/** What a processor returns for {@link Models}. @typedef {{images: ImageInput[]}} ImageInputs */
/** @typedef {import('./siglip.js').Siglip} Siglip */
/** @typedef {(model?: string | File | File[], options?: import('./parameters.js').LoadOptions) => Promise<Siglip>} Load */

/** Pictures from wherever transformers.js reads them. They are decoded by the model that gets them, with Pillow's pixels. */
export class RawImage {
  /** @param {ImageInput | RawPixels} image */
  static async read(image) {
    return pictureOf(image);
  }
  static fromURL = RawImage.read;
  static fromBlob = RawImage.read;
  static fromCanvas = RawImage.read;
}

/** Prepares texts. The model that gets them holds the tokenizer, so nothing is loaded here. */
export class AutoTokenizer {
  /** @param {string} _model @param {object} [_options] */
  static async from_pretrained(_model, _options) {
    return (
      /** @type {string | string[]} */ texts,
      /** @type {{padding?: unknown, truncation?: unknown}} */ _options = {},
    ) => /** @type {TextInputs} */ ({ texts: [texts].flat() });
  }
}

/** Prepares pictures. The model that gets them holds the preprocessing, so nothing is loaded here. */
export class AutoProcessor {
  /** @param {string} _model @param {object} [_options] */
  static async from_pretrained(_model, _options) {
    return async (/** @type {ImageInput | RawPixels | (ImageInput | RawPixels)[]} */ images) =>
      /** @type {ImageInputs} */ ({ images: [images].flat().map(pictureOf) });
  }
}

/**
 * The models. Those of one name and options share one engine, which ends when each has been disposed of.
 * @param {Load} load
 */
export function modelsOf(load) {
  const shared = sharedBy(load);

  /**
   * @template I, O
   * @param {(siglip: Siglip, inputs: I) => Promise<O>} forward
   */
  const modelWith = (forward) => ({
    /**
     * @param {string} [model]
     * @param {TransformersOptions} [options]
     */
    async from_pretrained(model, options = {}) {
      const { siglip, dispose } = await shared(model, options);
      return Object.assign((/** @type {I} */ inputs) => forward(siglip, inputs), { dispose });
    },
  });

  /** The text tower: `pooler_output` is [texts, embedding size], as the tower returns it. */
  const SiglipTextModel = modelWith(async (siglip, /** @type {TextInputs} */ inputs) => ({
    pooler_output: Tensor.ofRows(await siglip.embedText(textsOf(inputs), { normalize: false })),
  }));

  /** The image tower: `pooler_output` is [images, embedding size], as the tower returns it. */
  const SiglipVisionModel = modelWith(async (siglip, /** @type {ImageInputs} */ inputs) => ({
    pooler_output: Tensor.ofRows(await siglip.embedImage(imagesOf(inputs), { normalize: false })),
  }));

  /** Both towers: embeddings of L2 norm 1 and the logits of every pair. */
  const SiglipModel = modelWith(async (siglip, /** @type {TextInputs & ImageInputs} */ inputs) => {
    const text_embeds = Tensor.ofRows(await siglip.embedText(textsOf(inputs)));
    const image_embeds = Tensor.ofRows(await siglip.embedImage(imagesOf(inputs)));
    const { logitScale = 1, logitBias = 0 } = siglip.info;
    const logits = (/** @type {Tensor} */ rows, /** @type {Tensor} */ columns) => {
      const logit = (/** @type {Tensor} */ a, /** @type {Tensor} */ b) =>
        logitScale * a.data.reduce((sum, value, i) => sum + value * b.data[i], 0) + logitBias;
      return Tensor.ofRows(
        [...rows].map((row) => Float32Array.from([...columns], (column) => logit(row, column))),
      );
    };
    return {
      logits_per_image: logits(image_embeds, text_embeds),
      logits_per_text: logits(text_embeds, image_embeds),
      text_embeds,
      image_embeds,
    };
  });

  return { AutoModel: SiglipModel, SiglipModel, SiglipTextModel, SiglipVisionModel };
}

/**
 * Loads each model once for all that ask for it with the same options.
 * @param {Load} load
 */
function sharedBy(load) {
  /** @type {Map<string, {loaded: Promise<Siglip>, users: number}>} */
  const models = new Map();
  return async (/** @type {string | undefined} */ model, /** @type {TransformersOptions} */ options) => {
    const key = JSON.stringify([model, options]);
    const entry = models.get(key) ?? { loaded: load(model, optionsFor(model, options)), users: 0 };
    models.set(key, entry);
    entry.users++;
    const leave = () => {
      if (--entry.users || models.get(key) !== entry) return false;
      return models.delete(key);
    };
    const siglip = await entry.loaded.catch((error) => {
      leave();
      throw error;
    });
    let isDisposed = false;
    const dispose = async () => {
      if (isDisposed) return;
      isDisposed = true;
      if (leave()) siglip.dispose();
    };
    return { siglip, dispose };
  };
}

/** @param {Partial<TextInputs>} inputs */
function textsOf({ texts }) {
  if (texts) return texts;
  throw new SiglipError('bad-input', 'There are no texts: pass what the tokenizer has returned.');
}

/** @param {Partial<ImageInputs>} inputs */
function imagesOf({ images }) {
  if (images) return images;
  throw new SiglipError('bad-input', 'There are no pictures: pass what the processor has returned.');
}

/**
 * Pixels of transformers.js with an alpha channel; any other picture as it is.
 * @param {ImageInput | RawPixels} image
 * @returns {ImageInput}
 */
export function pictureOf(image) {
  if (!(typeof image === 'object' && 'channels' in image && 'data' in image)) return image;
  const { data, width, height, channels } = image;
  const rgba = new Uint8ClampedArray(width * height * 4).fill(255);
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 3; c++) rgba[4 * i + c] = data[channels * i + (channels < 3 ? 0 : c)];
    if (channels % 2 === 0) rgba[4 * i + 3] = data[channels * (i + 1) - 1];
  }
  // Node.js has no ImageData; there the same fields will do.
  return globalThis.ImageData
    ? new ImageData(rgba, width, height)
    : /** @type {ImageData} */ ({ data: rgba, width, height, colorSpace: 'srgb' });
}
