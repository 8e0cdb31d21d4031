/**
 * The sha256 of a large file, which one worker computes while another reads the file and packs its weights: it would be two
 * fifths of that one's time.
 */
import { spawnWorker } from './spawn.js';

/** What the engine calls. @typedef {import('../wasm/simd128/siglip_web.js').DigestWorker} OfEngine */
/** @typedef {import('./protocol.js').DigestRequest} DigestRequest */
/** @typedef {import('./protocol.js').FollowMessage} FollowMessage */
/** @typedef {import('./protocol.js').FromDigestWorker} FromDigestWorker */

/** Bytes of a buffer for a message; almost every message fits. */
const BUFFER = 1 << 18;

/** The side that reads the file. @implements {OfEngine} */
export class DigestWorker {
  /** Whether it takes bytes. One that does not start never does. */
  isReady = false;
  #worker;
  /** Those that wait to be told, the longest first. @type {{resolve: (digest: string) => void, reject: (error: unknown) => void}[]} */
  #waiting = [];
  /** Buffers that were returned, to be sent again: new ones would pile up until they are collected. @type {ArrayBuffer[]} */
  #buffers = [];
  /** Why it is of no use any more. @type {unknown} */
  #failure;

  /** @param {import('./protocol.js').SharedModel} shared */
  constructor(shared) {
    /** @type {import('./protocol.js').Handlers<Exclude<FromDigestWorker, import('./protocol.js').FailedMessage>>} */
    const handlers = {
      'buffer-returned': ({ buffer }) => void this.#buffers.push(buffer),
      told: ({ digest }) => this.#waiting.shift()?.resolve(digest),
    };
    const fail = (/** @type {unknown} */ error) => {
      this.#failure ??= error;
      for (const { reject } of this.#waiting.splice(0)) reject(error);
    };
    this.#worker = spawnWorker('digest', handlers, fail);
    this.#worker.postMessage(
      /** @type {FollowMessage} */ ({ type: 'follow', index: 0, ports: [], ...shared }),
    );
    this.#ask('ready').then(
      () => (this.isReady = true),
      () => {},
    );
  }

  /** @param {string} all @param {string} settled */
  begin(all, settled) {
    this.#send({ ask: 'begin', all, settled });
  }

  /** @param {Uint8Array} bytes @param {number} settled */
  update(bytes, settled) {
    if (this.#failure) throw this.#failure;
    const kept = this.#buffers.pop();
    const { length } = bytes;
    const buffer = kept && kept.byteLength >= length ? kept : new ArrayBuffer(Math.max(length, BUFFER));
    new Uint8Array(buffer).set(bytes);
    this.#send({ ask: 'bytes', buffer, length, settled }, [buffer]);
  }

  settled() {
    return this.#ask('settled');
  }

  finish() {
    return this.#ask('finish');
  }

  end() {
    this.#worker.terminate();
  }

  /** @param {'ready' | 'settled' | 'finish'} ask @returns {Promise<string>} */
  #ask(ask) {
    const told = new Promise((resolve, reject) => {
      if (this.#failure) return reject(this.#failure);
      this.#waiting.push({ resolve, reject });
      this.#send({ ask });
    });
    // A load that has failed for another reason does not wait for it any more.
    told.catch(() => {});
    return told;
  }

  /** @param {DigestRequest} request @param {Transferable[]} [transferred] */
  #send(request, transferred = []) {
    const message = /** @type {import('./protocol.js').DigestMessage} */ ({ type: 'digest', request });
    this.#worker.postMessage(message, transferred);
  }
}

/** The digests of the file that is read. @type {import('../wasm/simd128/siglip_web.js').FileDigest | undefined} */
let digest;

/**
 * The other side.
 * @param {typeof import('../wasm/simd128/siglip_web.js').Engine} Engine
 * @param {DigestRequest} request
 */
export function answerDigest(Engine, request) {
  switch (request.ask) {
    case 'ready':
      return tell({ type: 'told', digest: '' });
    case 'begin':
      digest?.free();
      digest = Engine.resume_digest(request.all, request.settled);
      return;
    case 'bytes':
      digest?.update(new Uint8Array(request.buffer, 0, request.length), request.settled);
      return tell({ type: 'buffer-returned', buffer: request.buffer }, [request.buffer]);
    case 'settled':
      return tell({ type: 'told', digest: digest?.settled_state() ?? '' });
    case 'finish':
      tell({ type: 'told', digest: digest?.finish() ?? '' });
      digest = undefined;
  }
}

/** @param {FromDigestWorker} message @param {Transferable[]} [transfer] */
const tell = (message, transfer = []) => postMessage(message, { transfer });
