/**
 * A model that several workers share on any page: each holds a shard of the towers' weights. The leader answers the
 * page's calls; the followers do as it says. All take every pass step by step together and add up their partial sums
 * after each step that needs it (all-reduce.js).
 */
import { AllReduce } from './all-reduce.js';
import { DigestWorker, answerDigest } from './digest.js';
import { dispatch } from './protocol.js';
import { reportFailure } from './errors.js';
import { sleep } from './sleep.js';
import { spawnWorker } from './spawn.js';
import { loadWasm } from './wasm.js';
import { yieldToMessages } from './yield.js';

/** @typedef {import('../wasm/simd128/siglip_web.js').Engine} Engine */
/** @typedef {import('./protocol.js').FollowMessage} FollowMessage */
/** @typedef {import('./protocol.js').FromFollower} FromFollower */
/** @typedef {import('./protocol.js').PassInput} PassInput */
/** @typedef {import('./protocol.js').SharedModel} SharedModel */
/** @typedef {import('./protocol.js').ToFollower} ToFollower */

/** Most messages with weights that are on their way to a follower: it bounds the memory they take. */
const MOST_IN_FLIGHT = 4;
/** Bytes of a buffer for such a message; almost every message fits. */
const BUFFER = 1 << 19;

/** The leader's side. */
export class Followers {
  /** @type {Worker[]} */
  #workers = [];
  #allReduce;
  #pass = 0;
  /** The bytes of each follower that has loaded its shard. @type {number[]} */
  #loaded = [];
  /** Wakes {@link finishLoading}. */
  #onLoaded = () => {};
  /** Why the followers are of no use any more. @type {unknown} */
  #failure;
  /** Messages with weights on their way, to all followers together. */
  #inFlight = 0;
  /** Buffers that followers have returned, to be sent again: new ones would pile up until they are collected. @type {ArrayBuffer[]} */
  #buffers = [];
  /** Wakes {@link sendWeights}. */
  #onBufferReturned = () => {};
  #shared;
  /** @type {DigestWorker | undefined} */
  #digestWorker;

  /**
   * Starts the followers of a model that `count` workers share.
   * @param {number} count
   * @param {SharedModel} shared
   */
  constructor(count, shared) {
    const [own, ...others] = AllReduce.connect(count);
    this.#allReduce = new AllReduce(0, own);
    this.#shared = shared;
    others.forEach((ports, i) => this.#start({ type: 'follow', ...shared, index: i + 1, ports }));
  }

  /** @param {ToFollower} message */
  #sendToAll(message) {
    for (const worker of this.#workers) worker.postMessage(message);
  }

  /**
   * Begins the transfer of weights, or begins it again.
   * @param {string} config contents of config.json
   * @param {string} towers that are loaded
   */
  sendConfig(config, towers) {
    this.#sendToAll({ type: 'config', config, towers });
  }

  /**
   * Sends weights to every follower. Waits while too many messages are on their way.
   * @param {Uint8Array} weights a view of the engine's memory, copied before the first await
   */
  async sendWeights(weights) {
    this.#throwIfFailed();
    for (const worker of this.#workers) {
      const buffer = this.#takeBuffer(weights.length);
      new Uint8Array(buffer).set(weights);
      worker.postMessage(/** @type {ToFollower} */ ({ type: 'weights', buffer, length: weights.length }), [
        buffer,
      ]);
      this.#inFlight++;
    }
    while (this.#inFlight >= MOST_IN_FLIGHT * this.#workers.length && !this.#failure) {
      if (sleep) {
        sleep();
        await yieldToMessages();
      } else await new Promise((resolve) => (this.#onBufferReturned = () => resolve(undefined)));
    }
  }

  /** Another worker for the digests of large files, once it has started: the first look starts it. */
  get digestWorker() {
    this.#digestWorker ??= new DigestWorker(this.#shared);
    return this.#digestWorker.isReady ? this.#digestWorker : undefined;
  }

  /** Waits until all followers have loaded their shards. @returns {Promise<number>} the bytes they hold */
  async finishLoading() {
    this.#digestWorker?.end();
    this.#digestWorker = undefined;
    this.#loaded = [];
    this.#sendToAll({ type: 'weights-sent' });
    for (;;) {
      this.#throwIfFailed();
      if (this.#loaded.length === this.#workers.length) return this.#loaded.reduce((sum, one) => sum + one);
      await new Promise((resolve) => (this.#onLoaded = () => resolve(undefined)));
    }
  }

  /**
   * Begins a pass with every follower.
   * @param {PassInput} input
   */
  begin(input) {
    this.#throwIfFailed();
    this.#allReduce.begin(++this.#pass);
    this.#sendToAll({ type: 'begin', pass: this.#pass, input });
  }

  /**
   * Adds up the partial sums of a step.
   * @param {Engine} engine
   */
  sum(engine) {
    this.#throwIfFailed();
    return this.#allReduce.sum(engine);
  }

  /** Gives up the present pass. */
  stop() {
    this.#sendToAll({ type: 'stop', pass: this.#pass });
  }

  /** Ends the followers. */
  end() {
    for (const worker of this.#workers) worker.terminate();
    this.#digestWorker?.end();
  }

  /**
   * Starts a follower.
   * @param {FollowMessage} message
   */
  #start(message) {
    const fail = (/** @type {unknown} */ error) => {
      this.#failure ??= error;
      this.#allReduce.stop(error);
      this.#onBufferReturned();
      this.#onLoaded();
    };
    /** @type {import('./protocol.js').Handlers<Exclude<FromFollower, import('./protocol.js').FailedMessage>>} */
    const handlers = {
      'buffer-returned': ({ buffer }) => {
        this.#inFlight--;
        this.#buffers.push(buffer);
        this.#onBufferReturned();
      },
      loaded: ({ bytes }) => {
        this.#loaded.push(bytes);
        this.#onLoaded();
      },
    };
    const worker = spawnWorker(message.index, handlers, fail);
    worker.postMessage(
      message,
      message.ports.filter((port) => port !== undefined),
    );
    this.#workers.push(worker);
  }

  /** @param {number} length */
  #takeBuffer(length) {
    const buffer = this.#buffers.pop();
    return buffer && buffer.byteLength >= length ? buffer : new ArrayBuffer(Math.max(length, BUFFER));
  }

  #throwIfFailed() {
    if (this.#failure) throw this.#failure;
  }
}

/** The side of a worker that holds a shard of the leader's model. */
export class Follower {
  /** @type {Engine | undefined} */
  #engine;
  /** The shard, or the text tower's share of it, whose weights are arriving. @type {Engine | undefined} */
  #loading;
  #allReduce;
  #shared;
  /** The newest pass that the leader has given up. */
  #stopped = 0;
  #wasm;
  /** Settles when the messages before are handled. @type {Promise<unknown>} */
  #last;

  /** @param {FollowMessage} shared */
  constructor(shared) {
    this.#shared = shared;
    this.#allReduce = new AllReduce(shared.index, shared.ports);
    this.#last = this.#wasm = loadWasm(shared.build);
  }

  /** @type {import('./protocol.js').Handlers<Exclude<ToFollower, import('./protocol.js').StopMessage>>} */
  #handlers = {
    config: async ({ config, towers }) => {
      const { Engine } = await this.#wasm;
      // If the weights begin again, they need the memory of those so far.
      this.#loading?.free();
      this.#loading = undefined;
      this.#loading = Engine.follow(config, { ...this.#shared.options, towers }, this.#shared.index);
    },
    weights: ({ buffer, length }) => {
      this.#loading?.push_weights(new Uint8Array(buffer, 0, length));
      tell({ type: 'buffer-returned', buffer }, [buffer]);
    },
    'weights-sent': () => {
      const loaded = this.#loading;
      if (!loaded) return;
      this.#loading = undefined;
      loaded.finish_weights();
      if (this.#engine) this.#engine.add_text_tower(loaded);
      else this.#engine = loaded;
      tell({ type: 'loaded', bytes: this.#engine.info().bytes });
    },
    digest: async ({ request }) => answerDigest((await this.#wasm).Engine, request),
    begin: async ({ pass, input }) => {
      if (!this.#engine) return;
      this.#allReduce.begin(pass);
      if ('pixels' in input) this.#engine.begin_image(input.pixels.values, input.pixels.height);
      else this.#engine.begin_texts(input.inputIds);
      await this.#run(this.#engine, pass);
    },
  };

  /**
   * Handles the leader's messages: `stop` at once, all others one after another.
   * @param {ToFollower} message
   */
  receive(message) {
    if (message.type === 'stop') {
      this.#stopped = message.pass;
      this.#allReduce.stop(new Error('stopped'));
    } else this.#last = this.#last.then(() => dispatch(this.#handlers, message)).catch(reportFailure);
  }

  /**
   * @param {Engine} engine
   * @param {number} pass
   */
  async #run(engine, pass) {
    try {
      // A `stop` arrives while this waits for the leader's next partial sums, which then do not come.
      while (this.#stopped < pass && engine.step() !== 'done') await this.#allReduce.sum(engine);
    } catch (error) {
      if (this.#stopped < pass) throw error;
    }
  }
}

/**
 * @param {FromFollower} message
 * @param {Transferable[]} [transfer]
 */
const tell = (message, transfer) => postMessage(message, { transfer });
