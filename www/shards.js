/**
 * Workers that share one model: the leader answers calls, followers hold the rest of the towers. All take every pass
 * step by step together and exchange, after each, what their parts of it add up to.
 */
import { loadWasm } from './wasm.js';

/** @typedef {import('./wasm/simd128/siglip_web.js').Engine} Engine */
/** @typedef {{pass: number, step: number, partial: Float32Array}} Partial */

/** Partial sums of the other workers: one port to each. */
class Exchange {
  #index;
  /** By worker; nothing at this one's own place. @type {(MessagePort | undefined)[]} */
  #ports;
  /** What came before it was asked for, by worker, pass and step. @type {Map<string, Float32Array>} */
  #early = new Map();
  /** Who waits for what has not come yet. @type {Map<string, {resolve: (partial: Float32Array) => void, reject: (error: unknown) => void}>} */
  #waiting = new Map();
  #pass = 0;
  #step = 0;

  /**
   * @param {number} index this worker's
   * @param {(MessagePort | undefined)[]} ports
   */
  constructor(index, ports) {
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
    [this.#pass, this.#step] = [pass, 0];
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
      const partial = engine.partial();
      port.postMessage({ pass, step, partial }, [partial.buffer]);
    }
    for (let from = 0; from < this.#ports.length; from++) {
      if (from === this.#index) engine.add_own_partial();
      else engine.add_partial(await this.#take(`${from} ${pass} ${step}`));
    }
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
   * @returns {Promise<Float32Array>}
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
   * @param {Partial} message
   */
  #receive(from, { pass, step, partial }) {
    const key = `${from} ${pass} ${step}`;
    const waiting = this.#waiting.get(key);
    if (waiting) {
      this.#waiting.delete(key);
      waiting.resolve(partial);
    } else if (pass >= this.#pass) this.#early.set(key, partial);
  }
}

/** Messages with weights that a follower may have before it: what bounds the memory they take on their way. */
const UNTAKEN = 4;

/** The leader's side. */
export class Peers {
  #workers;
  #exchange;
  #pass = 0;
  /** Resolves to the bytes that the followers hold. @type {Promise<number>} */
  #arrived;
  /** Why the followers are of no use any more. @type {unknown} */
  #failure;
  /** Messages with weights that have not been taken, by all followers together. */
  #untaken = 0;
  /** Lets the one who waits for that to change look again. */
  #lookAgain = () => {};

  /**
   * Starts the followers of a model that `count` workers share.
   * @param {number} count
   * @param {{module: WebAssembly.Module, options: object}} shared
   */
  constructor(count, shared) {
    const table = Array.from(
      { length: count },
      () => /** @type {(MessagePort | undefined)[]} */ (Array(count).fill(undefined)),
    );
    for (let a = 0; a < count; a++) {
      for (let b = a + 1; b < count; b++) {
        const { port1, port2 } = new MessageChannel();
        [table[a][b], table[b][a]] = [port1, port2];
      }
    }
    this.#exchange = new Exchange(0, table[0]);
    this.#workers = table.slice(1).map((ports, i) => {
      // The same script as this worker's, be that worker.js or a blob that imports it.
      const worker = new Worker(self.location.href, { type: 'module', name: `siglip ${i + 1}` });
      const transfer = /** @type {MessagePort[]} */ (ports.filter(Boolean));
      worker.postMessage({ follow: { ...shared, index: i + 1, ports } }, transfer);
      return worker;
    });
    const arrivals = this.#workers.map((worker) => this.#listen(worker));
    this.#arrived = Promise.all(arrivals).then((bytes) => bytes.reduce((sum, one) => sum + one));
    // It is looked at when the leader's own part is there; until then a failure is no unhandled one.
    this.#arrived.catch(() => {});
  }

  /**
   * Tells every follower.
   * @param {object} message
   */
  send(message) {
    for (const worker of this.#workers) worker.postMessage(message);
  }

  /**
   * Hands weights to every follower, and waits while they have enough before them.
   * @param {Uint8Array} batches
   */
  async hand(batches) {
    if (this.#failure) throw this.#failure;
    this.send({ batches });
    this.#untaken += this.#workers.length;
    while (this.#untaken > UNTAKEN * this.#workers.length && !this.#failure) {
      await new Promise((resolve) => (this.#lookAgain = () => resolve(undefined)));
    }
  }

  /**
   * Begins a pass with every follower.
   * @param {{pixelValues: Float32Array} | {inputIds: Uint32Array}} input
   */
  begin(input) {
    if (this.#failure) throw this.#failure;
    this.#exchange.begin(++this.#pass);
    this.send({ begin: input, pass: this.#pass });
  }

  /** @param {Engine} engine */
  sum(engine) {
    if (this.#failure) throw this.#failure;
    return this.#exchange.sum(engine);
  }

  /** Gives up the pass under way. */
  stop() {
    this.send({ stop: this.#pass });
  }

  /** Waits for the followers' weights; the bytes they hold. */
  arrived() {
    this.send({ arrived: true });
    return this.#arrived;
  }

  /**
   * @param {Worker} worker
   * @returns {Promise<number>}
   */
  #listen(worker) {
    return new Promise((resolve, reject) => {
      const fail = (/** @type {unknown} */ error) => {
        this.#failure ??= error;
        reject(error);
        this.#exchange.stop(error);
        this.#lookAgain();
      };
      worker.onmessage = ({ data }) => {
        if (data.error) fail(Object.assign(new Error(data.error.message), data.error));
        else if (data.taken) {
          this.#untaken--;
          this.#lookAgain();
        } else resolve(data.bytes);
      };
      worker.onerror = (event) => {
        event.preventDefault();
        fail(new Error(`one of the workers has died: ${event.message}`));
      };
    });
  }
}

/** The side of a worker that holds a part of the leader's model. */
export class Follower {
  /** @type {Engine | undefined} */
  #engine;
  #exchange;
  #shared;
  /** Passes given up. */
  #stopped = 0;
  /** Messages are taken one after another. @type {Promise<void>} */
  #last;

  /** @param {{module: WebAssembly.Module, options: object, index: number, ports: (MessagePort | undefined)[]}} shared */
  constructor(shared) {
    this.#shared = shared;
    this.#exchange = new Exchange(shared.index, shared.ports);
    this.#last = loadWasm(shared.module).then(() => undefined);
  }

  /** @param {any} message the leader's */
  receive(message) {
    if (message.stop) {
      this.#stopped = message.stop;
      this.#exchange.stop(new Error('stopped'));
      return;
    }
    this.#last = this.#last
      .then(() => this.#take(message))
      .catch((error) => {
        const { code = 'wasm', message = String(error) } = error ?? {};
        postMessage({ error: { code, message } });
      });
  }

  /** @param {any} message */
  async #take({ config, batches, arrived, begin, pass }) {
    if (config) {
      const { Engine } = await loadWasm(this.#shared.module);
      // Where the weights begin anew, the memory of those so far is needed for them.
      this.#engine?.free();
      this.#engine = Engine.follow(config, this.#shared.options, this.#shared.index);
    } else if (batches) {
      this.#engine?.push(batches);
      postMessage({ taken: true });
    } else if (arrived) {
      this.#engine?.arrived();
      postMessage({ bytes: this.#engine?.info().bytes });
    } else if (begin && this.#engine) {
      this.#exchange.begin(pass);
      if ('pixelValues' in begin) this.#engine.begin_image(begin.pixelValues);
      else this.#engine.begin_texts(begin.inputIds);
      await this.#run(this.#engine, pass);
    }
  }

  /**
   * @param {Engine} engine
   * @param {number} pass
   */
  async #run(engine, pass) {
    try {
      while (this.#stopped < pass && engine.step() !== 2) await this.#exchange.sum(engine);
    } catch (error) {
      if (this.#stopped < pass) throw error;
    }
  }
}
