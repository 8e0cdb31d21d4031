/**
 * Workers that share one model: the leader answers calls, followers hold the rest of the towers. All take every pass
 * step by step together and exchange, after each, what their parts of it add up to.
 */
import { turn } from './yield.js';
import { startCompanion, tellFailure } from './spawn.js';
import { Exchange } from './all-reduce.js';
import { nap } from './sleep.js';
import { loadWasm } from './wasm.js';

/** @typedef {import('../wasm/simd128/siglip_web.js').Engine} Engine */
/** A picture as the model sees it: [3, height, width]. @typedef {{values: Float32Array, height: number}} Pixels */
/** @typedef {import('./all-reduce.js').Ports} Ports */

/** Messages with weights that are on their way to a follower at most: what bounds the memory they take. */
const UNDERWAY = 4;
/** Bytes of a buffer for such a message, which takes almost every one of them. */
const BUFFER = 1 << 19;

/** The leader's side. */
export class Peers {
  /** @type {Worker[]} */
  #workers = [];
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
    const [own, ...links] = Exchange.links(count);
    this.#exchange = new Exchange(0, own);
    const arrivals = links.map((link, i) => this.#start(i + 1, link, shared));
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
   * Starts a follower; the bytes it holds when its weights have arrived.
   * @param {number} index
   * @param {Ports} link
   * @param {{module: WebAssembly.Module, options: object}} shared
   * @returns {Promise<number>}
   */
  #start(index, link, shared) {
    return new Promise((resolve, reject) => {
      const fail = (/** @type {unknown} */ error) => {
        this.#failure ??= error;
        reject(error);
        this.#exchange.stop(error);
        this.#lookAgain();
      };
      const receive = (/** @type {any} */ data) => {
        if (data.taken) {
          this.#underway--;
          this.#buffers.push(data.taken);
          this.#lookAgain();
        } else resolve(data.bytes);
      };
      const worker = startCompanion(index, receive, fail);
      const transfer = link.ports.filter((port) => port !== undefined);
      worker.postMessage({ follow: { ...shared, index, link } }, transfer);
      this.#workers.push(worker);
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
    this.#last = this.#last.then(() => this.#take(message)).catch(tellFailure);
  }

  /** @param {any} message */
  async #take({ config, batches, length, arrived, begin, pass }) {
    if (config) {
      const { Engine } = await loadWasm(this.#shared.module);
      // Where the weights begin anew, the memory of those so far is needed for them.
      this.#engine?.free();
      this.#engine = Engine.follow(config, this.#shared.options, this.#shared.index);
    } else if (batches) {
      this.#engine?.push_weights(new Uint8Array(batches, 0, length));
      postMessage({ taken: batches }, { transfer: [batches] });
    } else if (arrived) {
      this.#engine?.finish_weights();
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
      while (this.#stopped < pass && engine.step() !== 'done') await this.#exchange.sum(engine);
    } catch (error) {
      if (this.#stopped < pass) throw error;
    }
  }
}
