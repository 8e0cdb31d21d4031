/** Classes taught by example pictures. */
import { SiglipError, throwIfAborted } from './errors.js';

/** @typedef {import('../worker/protocol.js').Score} Score */
/** @typedef {import('../worker/protocol.js').TaughtSummary} TaughtSummary */
/** @typedef {import('./images.js').ImageInput} ImageInput */
/** @typedef {import('./parameters.js').ScoreOptions} ScoreOptions */
/** @typedef {import('./siglip.js').Siglip} Siglip */
/** A picture, or its embedding from `embedImage`. @typedef {ImageInput | Float32Array} Example */
/**
 * What a class is taught by. `images` show it, `not` are easily taken for it; `text` is put into `template`. `mix` is the share of
 * the pictures in a mixture with the text, from 0 to 1.
 * @typedef {object} Lesson
 * @property {string} [text]
 * @property {Example | Example[]} [images]
 * @property {Example | Example[]} [not]
 * @property {number} [mix]
 * @property {string | string[]} [template]
 * @property {AbortSignal} [signal]
 */
/** Taught classes as a file: its text or what JSON.parse makes of it, a Blob, or an address to fetch it from. @typedef {string | object | Blob | URL} ClassesFile */
/** @typedef {{text?: Float32Array, images: Float32Array[], not: Float32Array[], mix: number}} Taught */

/** The number of the last set. */
let last = 0;

/**
 * @param {Siglip} siglip
 * @param {import('./worker-client.js').WorkerClient} worker
 * @param {ClassesFile} [file]
 */
export async function openClasses(siglip, worker, file) {
  const id = ++last;
  const ask = (/** @type {any} */ request, /** @type {AbortSignal | undefined} */ signal) =>
    worker.call({ method: 'classes', parameters: { ...request, id } }, signal);
  await ask({ ask: 'open', model: siglip.info.model }, undefined);
  const classes = new TaughtClasses(siglip, ask);
  if (file !== undefined) await classes.import(file);
  return classes;
}

/** Classes taught by example, from `siglip.classes()`. `siglip.classify` takes them in place of labels. */
export class TaughtClasses {
  #siglip;
  #ask;
  /** @type {Map<string, Taught>} */
  #taught = new Map();
  /** What the worker has made; undefined if examples have come since. @type {TaughtSummary | undefined} */
  #made;
  /** @type {WeakMap<object, Float32Array>} */
  #embedded = new WeakMap();

  /**
   * @param {Siglip} siglip
   * @param {(request: any, signal?: AbortSignal) => Promise<any>} ask
   */
  constructor(siglip, ask) {
    this.#siglip = siglip;
    this.#ask = ask;
  }

  /** The names, in the order they were added. */
  get names() {
    return this.#taught.size ? [...this.#taught.keys()] : (this.#made?.classes ?? []).map(({ name }) => name);
  }

  /**
   * Adds a class, or examples to one. A picture is embedded once.
   * @param {string} name
   * @param {Lesson} lesson
   */
  async add(name, { text, images = [], not = [], mix, template, signal } = {}) {
    if (typeof name !== 'string') throw new SiglipError('bad-input', 'The name of a class is a string.');
    if (mix !== undefined && !(mix >= 0 && mix <= 1)) {
      throw new SiglipError('bad-input', `mix is a number from 0 to 1, not ${mix}.`);
    }
    // All of it first, so that an example that cannot be read changes nothing.
    const vector = text === undefined ? undefined : await this.#embedText(text, template, signal);
    const shown = await this.#embedAll(images, signal);
    const others = await this.#embedAll(not, signal);
    const before = this.#taught.get(name) ?? { images: [], not: [], mix: 0.5 };
    this.#taught.set(name, {
      text: vector ?? before.text,
      images: [...before.images, ...shown],
      not: [...before.not, ...others],
      mix: mix ?? before.mix,
    });
    this.#made = undefined;
  }

  /** Removes a class. Returns whether it was there. @param {string} name */
  remove(name) {
    this.#made = undefined;
    return this.#taught.delete(name);
  }

  /** What the classes are and how they were made. @returns {Promise<TaughtSummary>} */
  async info() {
    return this.#make();
  }

  /**
   * Trains a linear probe, for 10 pictures a class or more. Returns its cross-validated accuracy, from 0 to 1. An example that is
   * added later ends it: the classes are means of their pictures again.
   * @param {{c?: number, signal?: AbortSignal}} [options] `c` is the inverse of the penalty's strength
   * @returns {Promise<TaughtSummary>}
   */
  async train({ c = 1, signal } = {}) {
    if (!this.#taught.size) {
      const reason = 'There are no examples to train with; add classes with pictures. A file has none in it.';
      throw new SiglipError('bad-input', reason);
    }
    return (this.#made = await this.#ask({ ask: 'make', classes: this.#examples(), c }, signal));
  }

  /**
   * The scores of the classes for one image or several, best first. Those of a probe add up to 1.
   * @param {ImageInput | ImageInput[]} images
   * @param {ScoreOptions} [options]
   * @returns {Promise<any>} Score[], or one such list an image
   */
  async classify(images, options = {}) {
    const scores = [];
    for (const image of [images].flat()) {
      const embedding = await this.#siglip.embedImage(/** @type {ImageInput} */ (image), options);
      scores.push(await this.score(embedding, options));
    }
    return Array.isArray(images) ? scores : scores[0];
  }

  /**
   * The scores of the classes for an image's embedding, best first.
   * @param {Float32Array} embedding
   * @param {ScoreOptions} [options]
   * @returns {Promise<Score[]>}
   */
  async score(embedding, options = {}) {
    const { topK, threshold, scale, bias, relative, signal } = options;
    await this.#make(signal);
    const ranking = { topK, threshold, scale, bias, relative: !!relative };
    return this.#ask({ ask: 'scores', embedding, ranking }, signal);
  }

  /** The classes as JSON, which `siglip probe apply` and an element read too. It has no pictures in it. */
  async export() {
    await this.#make();
    return /** @type {Promise<string>} */ (this.#ask({ ask: 'file' }));
  }

  /**
   * Takes the classes of a file in place of those at hand, which stay if it cannot be used. Such classes are as they are: a file
   * has no examples.
   * @param {ClassesFile} file
   * @returns {Promise<TaughtSummary>}
   */
  async import(file) {
    const given = file instanceof URL ? await fetched(file) : file;
    const json =
      given instanceof Blob ? await given.text() : typeof given === 'string' ? given : JSON.stringify(given);
    this.#made = await this.#ask({ ask: 'read', json });
    this.#taught.clear();
    return /** @type {TaughtSummary} */ (this.#made);
  }

  /** Frees what the worker holds of them. */
  async close() {
    await this.#ask({ ask: 'close' });
  }

  /** @param {AbortSignal} [signal] */
  async #make(signal) {
    return (this.#made ??= /** @type {TaughtSummary} */ (
      await this.#ask({ ask: 'make', classes: this.#examples() }, signal)
    ));
  }

  #examples() {
    return [...this.#taught].map(([name, { text, images, not, mix }]) => ({
      name,
      text,
      images: joined(images),
      not: joined(not),
      mix,
    }));
  }

  /**
   * @param {Example | Example[]} examples
   * @param {AbortSignal | undefined} signal
   */
  async #embedAll(examples, signal) {
    const embeddings = [];
    for (const example of [examples].flat()) {
      throwIfAborted(signal);
      embeddings.push(await this.#embed(/** @type {Example} */ (example), signal));
    }
    return embeddings;
  }

  /**
   * @param {Example} example
   * @param {AbortSignal | undefined} signal
   */
  async #embed(example, signal) {
    if (example instanceof Float32Array) {
      const { embeddingSize } = this.#siglip.info;
      if (example.length === embeddingSize) return example;
      const reason = `An embedding has ${embeddingSize} values here, not ${example.length}.`;
      throw new SiglipError('bad-input', reason);
    }
    // Only a Blob never changes.
    const known = example instanceof Blob && this.#embedded.get(example);
    if (known) return known;
    const embedding = await this.#siglip.embedImage(example, { signal });
    if (example instanceof Blob) this.#embedded.set(example, embedding);
    return embedding;
  }

  /**
   * @param {string} text
   * @param {string | string[] | undefined} template
   * @param {AbortSignal | undefined} signal
   */
  async #embedText(text, template, signal) {
    const json = await this.#siglip.exportLabels([text], { template, signal });
    const [{ embeddings, unknown = {} }] = JSON.parse(json).sets;
    const [words] = /** @type {string[][]} */ (Object.values(unknown));
    if (words) {
      const reason = `The model cannot read ${words.join(', ')}: use other words, or pictures without a text.`;
      throw new SiglipError('bad-input', reason);
    }
    const bytes = Uint8Array.from(atob(embeddings), (character) => character.charCodeAt(0));
    return new Float32Array(bytes.buffer);
  }
}

/** @param {Float32Array[]} vectors */
function joined(vectors) {
  const all = new Float32Array(vectors.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const vector of vectors) {
    all.set(vector, at);
    at += vector.length;
  }
  return all;
}

/** @param {URL} address */
async function fetched(address) {
  let response;
  try {
    response = await fetch(address);
    if (response.ok) return await response.text();
  } catch (error) {
    const advice = 'Check the connection, and whether its site lets this page read it.';
    throw new SiglipError('network', `The classes at ${address} could not be fetched. ${advice}`, error);
  }
  const code = response.status === 404 || response.status === 410 ? 'not-found' : 'network';
  throw new SiglipError(
    code,
    `There are no classes at ${address}: the server answers HTTP ${response.status}.`,
  );
}
