/** Scale and bias of a person's own, from examples that the person has judged. */
import { SiglipError } from './errors.js';

/** @typedef {import('./images.js').ImageInput} ImageInput */
/** @typedef {import('./siglip.js').Siglip} Siglip */
/**
 * An image, or its embedding, with a label and whether the label is true of it.
 * @typedef {({image: ImageInput} | {embedding: Float32Array}) & {label: string, truth: boolean}} Example
 */

/**
 * Embeds every image once, then has the engine fit.
 * @param {Siglip} siglip
 * @param {import('./worker-client.js').WorkerClient} worker the model's
 * @param {Example[]} examples
 * @param {{template?: string | string[], labelSet?: string, signal?: AbortSignal}} options
 */
export async function calibrate(siglip, worker, examples, { template, labelSet, signal }) {
  if (!Array.isArray(examples) || !examples.every(isExample)) {
    throw new SiglipError(
      'bad-input',
      'Examples are a list of {image, label, truth} or {embedding, label, truth}, where truth is true or false.',
    );
  }
  /** @type {Map<unknown, Float32Array>} */
  const embeddings = new Map();
  const logits = [];
  for (const example of examples) {
    const image = 'image' in example ? example.image : example.embedding;
    const embedding =
      embeddings.get(image) ??
      ('image' in example ? await siglip.embedImage(example.image, { signal }) : example.embedding);
    embeddings.set(image, embedding);
    const [{ logit, unknown }] = await siglip.score(embedding, [example.label], {
      template,
      labelSet,
      signal,
    });
    if (unknown) {
      throw new SiglipError(
        'bad-input',
        `The model cannot read ${unknown.join(', ')} in "${example.label}"; leave that example out.`,
      );
    }
    logits.push(logit);
  }
  const parameters = { logits, truths: examples.map(({ truth }) => +truth) };
  return worker.call({ method: 'calibrate', parameters }, signal);
}

/** @param {any} example */
const isExample = (example) =>
  !!example &&
  ('image' in example || 'embedding' in example) &&
  typeof example.label === 'string' &&
  typeof example.truth === 'boolean';
