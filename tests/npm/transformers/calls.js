/** The calls of SigLIP's model cards for transformers.js, in the words that work with either package. */

/** @typedef {typeof import('../../../www/transformers.js')} Library */
/**
 * What is asked, so that both packages find it.
 * @typedef {object} Asked
 * @property {string} towers a checkpoint in single precision
 * @property {string} combined one in 8 bits, with both towers in a file
 * @property {string} fitting a picture of the size that the model takes
 * @property {string} photo a larger one
 */

/**
 * @param {Library} library
 * @param {Asked} asked
 */
export async function answers(library, { towers, combined, fitting, photo }) {
  const { AutoModel, AutoProcessor, AutoTokenizer, RawImage, SiglipTextModel, SiglipVisionModel, pipeline } =
    library;
  const plain = (/** @type {import('../../../www/lib/tensor.js').Tensor} */ { dims, data }) => ({
    dims,
    data: [...data],
  });

  const tokenizer = await AutoTokenizer.from_pretrained(towers);
  const textModel = await SiglipTextModel.from_pretrained(towers, { dtype: 'fp32' });
  const texts = ['a photo of a cat', 'a photo of a dog'];
  const text = await textModel(tokenizer(texts, { padding: 'max_length', truncation: true }));

  const processor = await AutoProcessor.from_pretrained(towers);
  const visionModel = await SiglipVisionModel.from_pretrained(towers, { dtype: 'fp32' });
  const vision = await visionModel(await processor(await RawImage.read(fitting)));
  const resized = await visionModel(await processor(await RawImage.read(photo)));

  const extractor = await pipeline('image-feature-extraction', towers, { dtype: 'fp32' });
  const patches = await extractor(fitting);
  const pooled = await extractor(fitting, { pool: true });

  const both = await AutoModel.from_pretrained(combined, { dtype: 'q8' });
  const inputs = (await AutoTokenizer.from_pretrained(combined))(['a cat', 'a dog', 'a boat'], {
    padding: 'max_length',
    truncation: true,
  });
  const pixels = await (await AutoProcessor.from_pretrained(combined))(await RawImage.read(photo));
  const { logits_per_image, logits_per_text, image_embeds, text_embeds } = await both({
    ...inputs,
    ...pixels,
  });

  const classifier = await pipeline('zero-shot-image-classification', combined, { dtype: 'q8' });
  const scores = await classifier(photo, ['a cat', 'a dog'], { hypothesis_template: 'a photo of {}' });

  for (const model of [textModel, visionModel, extractor, both, classifier]) await model.dispose();
  return {
    text: plain(text.pooler_output),
    vision: plain(vision.pooler_output),
    resized: plain(resized.pooler_output),
    patches: plain(patches),
    pooled: plain(pooled),
    logits_per_image: plain(logits_per_image),
    logits_per_text: plain(logits_per_text),
    image_embeds: plain(image_embeds),
    text_embeds: plain(text_embeds),
    scores,
  };
}
