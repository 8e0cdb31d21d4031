/** How workers that share a model add up what each has made of a step: through messages, which every page has. */

/** @typedef {import('../wasm/simd128/siglip_web.js').Engine} Engine */
/** @typedef {{pass: number, step: number, part: Uint32Array}} Part */
/** A port to every other worker. @typedef {{ports: (MessagePort | undefined)[]}} Ports */

export class Exchange {
  #index;
  /** By worker; nothing at this one's own place. @type {(MessagePort | undefined)[]} */
  #ports;
  /** What came before it was asked for, by worker, pass and step. @type {Map<string, Uint32Array>} */
  #early = new Map();
  /** Who waits for what has not come yet. @type {Map<string, {resolve: (part: Uint32Array) => void, reject: (error: unknown) => void}>} */
  #waiting = new Map();
  #pass = 0;
  #step = 0;
  /** Arrays that came from others in this pass, for what is sent next: new ones would pile up. @type {Uint32Array[]} */
  #spare = [];

  /**
   * What each of so many workers is given.
   * @param {number} count
   * @returns {Ports[]}
   */
  static links(count) {
    /** @type {Ports[]} */
    const links = Array.from({ length: count }, () => ({ ports: Array(count).fill(undefined) }));
    for (let a = 0; a < count; a++) {
      for (let b = a + 1; b < count; b++) {
        const { port1, port2 } = new MessageChannel();
        [links[a].ports[b], links[b].ports[a]] = [port1, port2];
      }
    }
    return links;
  }

  /**
   * @param {number} index this worker's
   * @param {Ports} link
   */
  constructor(index, { ports }) {
    this.#index = index;
    this.#ports = ports;
    ports.forEach((port, from) => {
      if (port) port.onmessage = ({ data }) => this.#receive(from, data);
    });
  }

  /**
   * Begins a pass; what came for earlier ones, given up half-way, is dropped.
   * @param {number} pass
   */
  begin(pass) {
    [this.#pass, this.#step, this.#spare] = [pass, 0, []];
    for (const key of this.#early.keys()) if (+key.split(' ')[1] < pass) this.#early.delete(key);
  }

  /**
   * Adds up one step's parts.
   * @param {Engine} engine
   */
  async sum(engine) {
    const [pass, step] = [this.#pass, this.#step++];
    const others = this.#ports.filter((port) => port !== undefined);
    for (const port of others) {
      const part = this.#array(engine.partial_sums_length());
      engine.copy_partial_sums(part);
      port.postMessage({ pass, step, part }, [part.buffer]);
    }
    for (let from = 0; from < this.#ports.length; from++) {
      if (from === this.#index) engine.add_own_partial_sums();
      else {
        const part = await this.#take(`${from} ${pass} ${step}`);
        engine.add_partial_sums(part);
        this.#spare.push(part);
      }
    }
  }

  /**
   * An array of so many words.
   * @param {number} length
   */
  #array(length) {
    const at = this.#spare.findIndex((array) => array.length === length);
    return at < 0 ? new Uint32Array(length) : this.#spare.splice(at, 1)[0];
  }

  /**
   * Gives up the pass under way.
   * @param {unknown} reason
   */
  stop(reason) {
    for (const { reject } of this.#waiting.values()) reject(reason);
    this.#waiting.clear();
  }

  /**
   * @param {string} key
   * @returns {Promise<Uint32Array>}
   */
  #take(key) {
    const early = this.#early.get(key);
    if (early) {
      this.#early.delete(key);
      return Promise.resolve(early);
    }
    return new Promise((resolve, reject) => this.#waiting.set(key, { resolve, reject }));
  }

  /**
   * @param {number} from
   * @param {Part} message
   */
  #receive(from, { pass, step, part }) {
    const key = `${from} ${pass} ${step}`;
    const waiting = this.#waiting.get(key);
    if (waiting) {
      this.#waiting.delete(key);
      waiting.resolve(part);
    } else if (pass >= this.#pass) this.#early.set(key, part);
  }
}
