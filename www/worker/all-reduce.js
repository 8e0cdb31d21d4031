/** All-reduce between the workers of a sharded model: each adds up all workers' partial sums. */

/** @typedef {import('../wasm/simd128/siglip_web.js').Engine} Engine */
/** @typedef {import('./protocol.js').PeerMessage} PeerMessage */
/** @typedef {{promise: Promise<Uint32Array>, resolve: (partial: Uint32Array) => void, reject: (error: unknown) => void}} Slot */
/** A port to each other worker, by index; undefined at this worker's own. @typedef {(MessagePort | undefined)[]} Ports */

export class AllReduce {
  #index;
  #ports;
  /** Partial sums that have arrived early or are waited for, by {@link keyOf}. @type {Map<string, Slot>} */
  #slots = new Map();
  #pass = 0;
  #step = 0;
  /** Arrays received in this pass, to be sent again: new ones would pile up until they are collected. @type {Uint32Array[]} */
  #spare = [];

  /**
   * Connects so many workers, each with each other.
   * @param {number} count
   * @returns {Ports[]} by worker
   */
  static connect(count) {
    /** @type {Ports[]} */
    const ports = Array.from({ length: count }, () => Array(count).fill(undefined));
    for (let a = 0; a < count; a++) {
      for (let b = a + 1; b < count; b++) {
        const { port1, port2 } = new MessageChannel();
        [ports[a][b], ports[b][a]] = [port1, port2];
      }
    }
    return ports;
  }

  /**
   * @param {number} index of this worker
   * @param {Ports} ports
   */
  constructor(index, ports) {
    this.#index = index;
    this.#ports = ports;
    ports.forEach((port, from) => {
      if (port)
        port.onmessage = (/** @type {MessageEvent<PeerMessage>} */ { data }) => this.#receive(from, data);
    });
  }

  /**
   * Begins a pass. What came for earlier passes, which were given up, is dropped.
   * @param {number} pass
   */
  begin(pass) {
    [this.#pass, this.#step, this.#spare] = [pass, 0, []];
    for (const key of this.#slots.keys()) if (passOf(key) < pass) this.#slots.delete(key);
  }

  /**
   * Adds up the partial sums of one step. All workers add in the same order, so all get the same bits.
   * @param {Engine} engine
   */
  async sum(engine) {
    const [pass, step] = [this.#pass, this.#step++];
    for (const port of this.#ports) {
      if (!port) continue;
      const partial = this.#array(engine.partial_sums_length());
      engine.copy_partial_sums(partial);
      port.postMessage(/** @type {PeerMessage} */ ({ pass, step, partial }), [partial.buffer]);
    }
    for (let from = 0; from < this.#ports.length; from++) {
      if (from === this.#index) engine.add_own_partial_sums();
      else {
        const key = keyOf(from, pass, step);
        const partial = await this.#slot(key).promise;
        this.#slots.delete(key);
        engine.add_partial_sums(partial);
        this.#spare.push(partial);
      }
    }
  }

  /**
   * Gives up the present pass. Partial sums that have arrived already are not affected.
   * @param {unknown} reason
   */
  stop(reason) {
    for (const { reject } of this.#slots.values()) reject(reason);
  }

  /** @param {number} length */
  #array(length) {
    const at = this.#spare.findIndex((array) => array.length === length);
    return at < 0 ? new Uint32Array(length) : this.#spare.splice(at, 1)[0];
  }

  /** @param {string} key */
  #slot(key) {
    const known = this.#slots.get(key);
    if (known) return known;
    const slot = /** @type {Slot} */ ({});
    slot.promise = new Promise((resolve, reject) => Object.assign(slot, { resolve, reject }));
    this.#slots.set(key, slot);
    return slot;
  }

  /**
   * @param {number} from
   * @param {PeerMessage} message
   */
  #receive(from, { pass, step, partial }) {
    if (pass >= this.#pass) this.#slot(keyOf(from, pass, step)).resolve(partial);
  }
}

/** @param {number} worker @param {number} pass @param {number} step */
const keyOf = (worker, pass, step) => `${worker} ${pass} ${step}`;

/** @param {string} key */
const passOf = (key) => +key.split(' ')[1];
