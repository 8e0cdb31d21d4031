/**
 * Workers that share one model: the leader answers calls, followers hold the rest of the towers. All take every pass
 * step by step together and exchange, after each, what their parts of it add up to.
 */
import { turn } from './breathe.js';
import { Exchange } from './exchange.js';
import { nap } from './nap.js';
import { loadWasm } from './wasm.js';

/** @typedef {import('./wasm/simd128/siglip_web.js').Engine} Engine */
/** A picture as the model sees it: [3, height, width]. @typedef {{values: Float32Array, height: number}} Pixels */
/** @typedef {import('./exchange.js').Ports} Ports */

/** Messages with weights that are on their way to a follower at most: what bounds the memory they take. */
const UNDERWAY = 4;
/** Bytes of a buffer for such a message, which takes almost every one of them. */
const BUFFER = 1 << 19;

/** The leader's side. */
export class Peers {
  #workers;
  #exchange;
  #pass = 0;
  /** Resolves to the bytes that the followers hold. @type {Promise<number>} */
  #arrived;
  /** Why the followers are of no use any more. @type {unknown} */
  #failure;
  /** Messages with weights on their way, to all followers together. */
  #underway = 0;
  /** Buffers that have come back from a follower: a whole model in new ones would pile up. @type {ArrayBuffer[]} */
  #buffers = [];
  /** Lets the one who waits for a buffer look again. */
  #lookAgain = () => {};

  /**
   * Starts the followers of a model that `count` workers share.
   * @param {number} count
   * @param {{module: WebAssembly.Module, options: object}} shared
   */
  constructor(count, shared) {
    const links = Exchange.links(count);
    this.#exchange = new Exchange(0, links[0]);
    this.#workers = links.slice(1).map((link, i) => {
      // The same script as this worker's, be that worker.js or a blob that imports it.
      const worker = new Worker(self.location.href, { type: 'module', name: `siglip ${i + 1}` });
      const transfer = link.ports.filter((port) => port !== undefined);
      worker.postMessage({ follow: { ...shared, index: i + 1, link } }, transfer);
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
   * @param {Uint8Array} batches of the engine's memory: gone when this has returned
   */
  async hand(batches) {
    if (this.#failure) throw this.#failure;
    for (const worker of this.#workers) {
      const spare = this.#buffers.pop();
      const buffer =
        spare && spare.byteLength >= batches.length
          ? spare
          : new ArrayBuffer(Math.max(batches.length, BUFFER));
      new Uint8Array(buffer).set(batches);
      worker.postMessage({ batches: buffer, length: batches.length }, [buffer]);
      this.#underway++;
    }
    while (this.#underway >= UNDERWAY * this.#workers.length && !this.#failure) {
      if (nap) {
        nap();
        await turn();
      } else await new Promise((resolve) => (this.#lookAgain = () => resolve(undefined)));
    }
  }

  /**
   * Begins a pass with every follower.
   * @param {{pixels: Pixels} | {inputIds: Uint32Array}} input
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

  /** Ends the followers. */
  end() {
    for (const worker of this.#workers) worker.terminate();
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
          this.#underway--;
          this.#buffers.push(data.taken);
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

  /** @param {{module: WebAssembly.Module, options: object, index: number, link: Ports}} shared */
  constructor(shared) {
    this.#shared = shared;
    this.#exchange = new Exchange(shared.index, shared.link);
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
  async #take({ config, batches, length, arrived, begin, pass }) {
    if (config) {
      const { Engine } = await loadWasm(this.#shared.module);
      // Where the weights begin anew, the memory of those so far is needed for them.
      this.#engine?.free();
      this.#engine = Engine.follow(config, this.#shared.options, this.#shared.index);
    } else if (batches) {
      this.#engine?.push(new Uint8Array(batches, 0, length));
      postMessage({ taken: batches }, { transfer: [batches] });
    } else if (arrived) {
      this.#engine?.arrived();
      postMessage({ bytes: this.#engine?.info().bytes });
    } else if (begin && this.#engine) {
      this.#exchange.begin(pass);
      if ('pixels' in begin) this.#engine.begin_image(begin.pixels.values, begin.pixels.height);
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
      // The leader's `stop` is heard while its next part is waited for, which does not come then.
      while (this.#stopped < pass && engine.step() !== 2) await this.#exchange.sum(engine);
    } catch (error) {
      if (this.#stopped < pass) throw error;
    }
  }
}
