/**
 * The text tower of a model that works without it until then. It is read from the cache when a call needs it, or it is
 * downloaded while images are embedded.
 */

/** @typedef {import('../wasm/simd128/siglip_web.js').Engine} Engine */
/** @typedef {import('./protocol.js').Calls} Calls */
/** @typedef {import('./protocol.js').LoadEvent} LoadEvent */
/** A load of the tower, the number of calls that wait for it, and what gives it up. @typedef {{done: Promise<void>, waiting: number, stop: () => void}} Arrival */

export class LaterText {
  #load;
  #engine;
  #followers;
  /** Bytes of the model in other workers. */
  #bytesElsewhere = 0;
  /** @type {Arrival | undefined} */
  #arrival;
  /** Settles when the newest load has ended: two at a time would write to the same place in the cache. */
  #last = Promise.resolve();

  /**
   * @param {(signal: AbortSignal, tell: (event: LoadEvent) => void) => Promise<Engine>} load
   * @param {() => Engine} engine the one that waits for the tower
   * @param {import('./sharded-model.js').Followers | undefined} followers that share the model
   */
  constructor(load, engine, followers) {
    this.#load = load;
    this.#engine = engine;
    this.#followers = followers;
  }

  /** What is new in a model's info after the tower has arrived. */
  info() {
    return {
      bytes: this.#engine().info().bytes + this.#bytesElsewhere,
      ready: /** @type {const} */ ('both'),
    };
  }

  /**
   * Waits before a call takes its turn, if it needs the tower. Nothing is returned if it does not.
   * @template {import('./protocol.js').Method} M
   * @param {M} method
   * @param {Calls[M]['parameters']} parameters
   * @param {AbortSignal} signal
   * @param {(event: LoadEvent) => void} tell
   */
  beforehand(method, parameters, signal, tell) {
    const engine = this.#engine();
    if (!engine?.expects_text()) return;
    const { labels, labelSet, template } = /** @type {Partial<Calls['score']['parameters']>} */ (parameters);
    if (method === 'score' && labels) {
      if (engine.check_labels(labels, labelSet, template ?? [])) return;
      return this.forLabels(labels, template ?? [], signal, tell);
    }
    if ((method === 'exportLabels' && labels) || method === 'embedTexts' || method === 'loadText') {
      return this.arrive(signal, tell);
    }
  }

  /**
   * Waits for the tower, if one of the labels needs it.
   * @param {string[]} labels
   * @param {string[]} template
   * @param {AbortSignal} signal
   * @param {(event: LoadEvent) => void} tell
   */
  async forLabels(labels, template, signal, tell) {
    if (this.#engine().needs_text_tower(labels, template)) await this.arrive(signal, tell);
  }

  /**
   * Waits until the tower is in the model, if it is not yet. All calls wait for the same load. It ends when all of them are aborted; after a
   * failure the next call begins another one, which goes on where that stopped.
   * @param {AbortSignal} signal
   * @param {(event: LoadEvent) => void} tell is told about the load if it is the first to wait for it
   */
  async arrive(signal, tell) {
    if (!this.#engine().expects_text()) return;
    const arrival = (this.#arrival ??= this.#begin(tell));
    arrival.waiting++;
    /** @type {Promise<never>} */
    const aborted = new Promise((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    });
    try {
      signal.throwIfAborted();
      await Promise.race([arrival.done, aborted]);
    } finally {
      if (!--arrival.waiting) {
        arrival.stop();
        if (this.#arrival === arrival) this.#arrival = undefined;
      }
    }
  }

  /** @param {(event: LoadEvent) => void} tell @returns {Arrival} */
  #begin(tell) {
    const controller = new AbortController();
    const done = this.#last.then(async () => {
      controller.signal.throwIfAborted();
      const text = await this.#load(controller.signal, tell);
      this.#bytesElsewhere = (await this.#followers?.finishLoading()) ?? 0;
      this.#engine().add_text_tower(text);
    });
    this.#last = done.catch(() => {});
    return { done, waiting: 0, stop: () => controller.abort() };
  }
}
