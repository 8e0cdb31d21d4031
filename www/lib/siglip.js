/** A loaded model, as pages use it. */
import { each } from './each.js';
import { SiglipError, throwIfAborted } from './errors.js';
import { draw, toImageMessage } from './images.js';
import { listOf, loadParametersOf, modelNameOf, questionOf } from './parameters.js';
import { startClient } from './worker-client.js';

/** @typedef {import('../worker/protocol.js').Score} Score */
/** @typedef {import('../worker/protocol.js').Notice} Notice */
/** @typedef {import('../worker/protocol.js').ImageMessage} ImageMessage */
/** @typedef {import('./images.js').ImageInput} ImageInput */
/** @typedef {import('./parameters.js').LoadOptions} LoadOptions */
/** @typedef {import('./parameters.js').ScoreOptions} ScoreOptions */
/** @typedef {import('./parameters.js').ImageOptions} ImageOptions */
/** @typedef {import('./parameters.js').EmbedOptions} EmbedOptions */
/** @typedef {import('./parameters.js').ExplainOptions} ExplainOptions */
/** @typedef {ImageOptions & {normalize?: boolean}} PatchOptions */
/** @typedef {import('../worker/protocol.js').Patches} Patches */
/** Labels, or classes from {@link Siglip.classes}. @typedef {string[] | import('./classes.js').TaughtClasses} Labels */

/**
 * What is loaded, and what it runs on.
 * @typedef {object} LoadedModel
 * @property {string} model
 * @property {import('../worker/protocol.js').Precision} precision
 * @property {Notice[]} notices what came up during the load
 */
/** @typedef {LoadedModel & import('../worker/protocol.js').EngineInfo} Info */

/** A loaded model. @hideconstructor */
export class Siglip {
  #worker;
  /** @type {Info} */
  #info;

  /**
   * @param {import('./worker-client.js').WorkerClient} worker
   * @param {Info} info
   * @param {LoadOptions['onNotice']} onNotice
   * @param {Promise<void> | undefined} whole
   * @param {string | File | File[]} origin
   */
  constructor(worker, info, onNotice, whole, origin) {
    this.#worker = worker;
    this.#info = info;
    /** Settles when the download of a later text tower has ended, even by a failure, of which a notice tells. */
    this.whole = whole;
    /** What the model was loaded from. */
    this.origin = origin;
    worker.onDevice = ({ place, notice }) => {
      Object.assign(this.#info, place, { notices: [...this.#info.notices, notice] });
      onNotice?.(notice);
    };
  }

  /**
   * Loads a model in a worker of its own.
   * @param {string | File | File[]} [model] `tiny`, the small demonstration model that comes with the page; a hub
   *   id, also one for transformers.js; the URL of a folder, of a .gguf or of an .onnx; or a checkpoint's files
   * @param {LoadOptions} [options]
   * @returns {Promise<Siglip>}
   */
  static async load(model = 'tiny', options = {}) {
    const { signal, onProgress, onNotice } = options;
    if (options.source) model = await (await import('./source.js')).sourced(model, options);
    if (options.dtype || options.engine) options = (await import('./engine.js')).withChoices(options);
    throwIfAborted(signal);
    const parameters = loadParametersOf(model, options);
    const worker = await startClient(options.workerUrl);
    /** @type {Notice[]} */
    const notices = [];
    let reached = { loaded: 0, total: 0, file: '' };
    try {
      const info = await worker.call({ method: 'load', parameters }, signal, (event) => {
        if (event.type === 'notice') {
          notices.push(event.notice);
          onNotice?.(event.notice);
        } else if (event.type === 'progress') {
          const { loaded, total, file, cached } = event;
          reached = { loaded, total, file };
          onProgress?.({ phase: loaded < total && !cached ? 'download' : 'prepare', ...reached });
        }
      });
      onProgress?.({ phase: 'ready', ready: info.ready, ...reached });
      const { precision } = parameters.options;
      const loaded = { model: modelNameOf(model), precision, ...info, notices };
      const whole =
        info.ready === info.towers
          ? undefined
          : import('./later-text.js').then(({ loadText }) => loadText(worker, options, reached, loaded));
      return new Siglip(worker, loaded, onNotice, whole, model);
    } catch (error) {
      worker.end();
      throw error;
    }
  }

  /** What is loaded, and what it runs on. */
  get info() {
    return this.#info;
  }

  /**
   * The probabilities of the labels for one image or several, best first. Without labels: those of a bundle, imported
   * ones, or the classes of a fine-tuned classifier.
   * @overload
   * @param {ImageInput[]} images
   * @param {Labels} [labels]
   * @param {ScoreOptions} [options]
   * @returns {Promise<Score[][]>}
   */
  /**
   * @overload
   * @param {ImageInput} images
   * @param {Labels} [labels]
   * @param {ScoreOptions} [options]
   * @returns {Promise<Score[]>}
   */
  /**
   * @param {ImageInput | ImageInput[]} images
   * @param {Labels} [labels]
   * @param {ScoreOptions} [options]
   * @returns {Promise<Score[] | Score[][]>}
   */
  async classify(images, labels, options = {}) {
    if (isList(labels)) {
      const parameters = questionOf(labels, options);
      await this.#worker.call({ method: 'checkPrompts', parameters }, options.signal);
    }
    const one = async (/** @type {ImageInput} */ image) =>
      this.score(await this.#embed(image, options), labels, options);
    return each(images, one, this.#info);
  }

  /**
   * The probabilities of the labels for the embedding of an image, from {@link embedImage}, best first.
   * @param {Float32Array} embedding
   * @param {Labels} [labels]
   * @param {ScoreOptions} [options]
   * @returns {Promise<Score[]>}
   */
  async score(embedding, labels, options = {}) {
    if (!isList(labels)) return labels.score(embedding, options);
    const parameters = { embedding, ...questionOf(labels, options) };
    return this.#worker.call({ method: 'score', parameters }, options.signal);
  }

  /**
   * The embedding of one image or several, of L2 norm 1. Of a classifier: the mean over the patches that its last layer
   * takes, as it is. `pooling: "mean"` asks for the mean of any model, "head" for the one that is compared with texts;
   * `normalize: false` leaves it as it is.
   * @overload
   * @param {ImageInput[]} images
   * @param {EmbedOptions} [options]
   * @returns {Promise<Float32Array[]>}
   */
  /**
   * @overload
   * @param {ImageInput} images
   * @param {EmbedOptions} [options]
   * @returns {Promise<Float32Array>}
   */
  /**
   * @param {ImageInput | ImageInput[]} images
   * @param {EmbedOptions} [options]
   * @returns {Promise<Float32Array | Float32Array[]>}
   */
  async embedImage(images, options = {}) {
    return each(images, (image) => this.#embed(image, options), this.#info);
  }

  /**
   * A vector of each patch of one image or several, of L2 norm 1 unless `normalize` is false: transformers'
   * `last_hidden_state`.
   * @overload
   * @param {ImageInput[]} images
   * @param {PatchOptions} [options]
   * @returns {Promise<Patches[]>}
   */
  /**
   * @overload
   * @param {ImageInput} images
   * @param {PatchOptions} [options]
   * @returns {Promise<Patches>}
   */
  /**
   * @param {ImageInput | ImageInput[]} images
   * @param {PatchOptions} [options]
   * @returns {Promise<Patches | Patches[]>}
   */
  async embedPatches(images, options = {}) {
    const { normalize } = options;
    return each(images, (image) => this.#ask('embedPatches', image, options, { normalize }));
  }

  /**
   * A map of what in an image speaks for a label, as logits: "fast" of what the patches say by themselves, "occlusion" of what the
   * model needs to see.
   * @param {ImageInput} image
   * @param {string} label
   * @param {ExplainOptions} [options]
   * @returns {Promise<import('../worker/protocol.js').Explanation>}
   */
  async explain(image, label, options = {}) {
    const { labelSet, template } = questionOf([label], options);
    return this.#ask('explain', image, options, {
      label,
      labelSet,
      template,
      method: options.method ?? 'fast',
    });
  }

  /**
   * The embedding of one text or several, without a template, of L2 norm 1 unless `normalize` is false.
   * @overload
   * @param {string[]} texts
   * @param {{normalize?: boolean, signal?: AbortSignal}} [options]
   * @returns {Promise<Float32Array[]>}
   */
  /**
   * @overload
   * @param {string} texts
   * @param {{normalize?: boolean, signal?: AbortSignal}} [options]
   * @returns {Promise<Float32Array>}
   */
  /**
   * @param {string | string[]} texts
   * @param {{normalize?: boolean, signal?: AbortSignal}} [options]
   * @returns {Promise<Float32Array | Float32Array[]>}
   */
  async embedText(texts, { normalize, signal } = {}) {
    const parameters = { texts: listOf([texts].flat()), normalize };
    const list = await this.#worker.call({ method: 'embedTexts', parameters }, signal);
    return Array.isArray(texts) ? list : list[0];
  }

  /**
   * Fits scale and bias to examples that a person has judged, at least a true and a false one: `classify` takes the result
   * as its options.
   * @param {import('./calibrate.js').Example[]} examples
   * @param {{template?: string | string[], labelSet?: string, signal?: AbortSignal}} [options]
   * @returns {Promise<import('../worker/protocol.js').Calibration>}
   */
  async calibrate(examples, options = {}) {
    return (await import('./calibrate.js')).calibrate(this, this.#worker, examples, options);
  }

  /**
   * Labels with their embeddings, as JSON for {@link importLabels} and for `siglip bundle`.
   * @param {string[]} [labels] those of a bundle, or imported ones, if they are left out
   * @param {{template?: string | string[], name?: string, signal?: AbortSignal}} [options] the mean is taken of several
   *   templates; `name` is that of the label set
   * @returns {Promise<string>}
   */
  async exportLabels(labels, { template, name = 'labels', signal } = {}) {
    const { model } = this.#info;
    const parameters = { ...questionOf(labels, { template }), name, model };
    return this.#worker.call({ method: 'exportLabels', parameters }, signal);
  }

  /**
   * Adds label sets, which then need no text tower: `classify(image)` scores the first one, `labelSet` names another.
   * @param {string | object} json what {@link exportLabels} has returned, of this model
   */
  async importLabels(json) {
    this.#info.labelSets = await this.#worker.call({ method: 'importLabels', parameters: { json } });
  }

  /**
   * Opens an index of pictures: search by text and by picture.
   * @param {string | Blob} [from] the name of one that is kept on this device for this model, or a file that `siglip index`
   *   or `index.export()` has written, which is searched and not kept
   */
  async index(from) {
    return (await import('./search-index.js')).openIndex(this, this.#worker, from);
  }

  /**
   * Classes taught by example pictures: empty, or those of a file.
   * @param {import('./classes.js').ClassesFile} [file]
   */
  async classes(file) {
    return (await import('./classes.js')).openClasses(this, this.#worker, file);
  }

  /** Ends the worker and frees its memory. Calls that have not ended are rejected as aborted. */
  dispose() {
    this.#worker.end();
  }

  /** @param {ImageInput} image @param {EmbedOptions} options */
  #embed(image, options) {
    return this.#ask('embedImage', image, options, {
      pooling: options.pooling,
      normalize: options.normalize,
    });
  }

  /**
   * Makes a call about an image.
   * @template {'embedImage' | 'embedPatches' | 'explain'} M
   * @param {M} method
   * @param {ImageInput} image
   * @param {ExplainOptions} options
   * @param {Omit<import('../worker/protocol.js').Calls[M]['parameters'], 'image'>} parameters
   * @returns {Promise<import('../worker/protocol.js').Calls[M]['result']>}
   */
  async #ask(method, image, { signal, onNotice, onPreview, onProgress }, parameters) {
    const ask = (/** @type {ImageMessage} */ image) =>
      this.#worker.call(
        /** @type {any} */ ({ method, parameters: { ...parameters, image } }),
        signal,
        (event) => {
          if (event.type === 'notice') onNotice?.(event.notice);
          else if (event.type === 'preview') onPreview?.(event.preview);
          else if (event.type === 'passes') onProgress?.(event);
        },
      );
    const message = await this.#worker.whileAlive(toImageMessage(image, signal), signal);
    try {
      return await ask(message);
    } catch (error) {
      if (!('blob' in message && error instanceof SiglipError)) throw error;
      if (!error.unsupportedFormat && !error.broken) throw error;
      const otherwise = await this.#worker.whileAlive(
        import('./other-decoders.js').then(({ decodedOtherwise }) =>
          decodedOtherwise(message.blob, error, !!onPreview, draw, onNotice),
        ),
        signal,
      );
      return ask(otherwise);
    }
  }
}

/** Whether labels are no taught classes. @param {any} labels @returns {labels is string[] | undefined} */
const isList = (labels) => !labels?.score;
