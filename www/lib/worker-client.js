/** The page's end of the messages to and from worker.js. */
import { SiglipError, abortable, throwIfAborted } from './errors.js';
import { workerAt } from './start-worker.js';

/** @typedef {import('../worker/protocol.js').Call} Call */
/** @typedef {import('../worker/protocol.js').Calls} Calls */
/** @typedef {import('../worker/protocol.js').FromWorker} FromWorker */
/** @typedef {import('../worker/protocol.js').CallEvent} CallEvent */
/** @typedef {import('../worker/protocol.js').ToWorker} ToWorker */
/** @typedef {{resolve: (result: any) => void, reject: (error: unknown) => void, onEvent?: (event: CallEvent) => void}} Pending */

/** A worker and the calls to it. An aborted call is rejected at once, without waiting for the worker. */
export class WorkerClient {
  #worker;
  /** @type {Map<number, Pending>} */
  #pending = new Map();
  #lastId = 0;
  /** Is told when the model moves to another device. @type {((event: import('../worker/protocol.js').DeviceEvent) => void) | undefined} */
  onDevice;
  /** Fires, with the reason, when the worker has ended. */
  #life = new AbortController();

  /** @param {Worker} worker that runs worker.js */
  constructor(worker) {
    this.#worker = worker;
    this.#worker.onmessage = (/** @type {MessageEvent<FromWorker>} */ { data }) => this.#receive(data);
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.end(diedOf(event.message, event.error));
    };
  }

  /**
   * @template {Call} C
   * @param {C} call
   * @param {AbortSignal} [signal]
   * @param {(event: CallEvent) => void} [onEvent]
   * @returns {Promise<Calls[C['method']]['result']>}
   */
  async call(call, signal, onEvent) {
    throwIfAborted(signal);
    throwIfAborted(this.#life.signal);
    const id = ++this.#lastId;
    const answer = new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject, onEvent });
      this.#send({ type: 'call', id, ...call });
    });
    try {
      return await this.whileAlive(answer, signal);
    } finally {
      this.#pending.delete(id);
      if (signal?.aborted) this.#send({ type: 'abort', id });
    }
  }

  /**
   * Settles as `work` does, or rejects at once when the caller aborts or the worker ends.
   * @template T
   * @param {Promise<T>} work
   * @param {AbortSignal} [signal]
   * @returns {Promise<T>}
   */
  whileAlive(work, signal) {
    return abortable(work, signal, this.#life.signal);
  }

  /** @param {SiglipError} [reason] */
  end(reason = new SiglipError('aborted', 'The model was disposed of.')) {
    this.#life.abort(reason);
    this.#worker.terminate();
  }

  /** @param {FromWorker} message */
  #receive(message) {
    const call = this.#pending.get(message.id);
    if (message.type === 'event') {
      const { event } = message;
      if (event.type === 'device') this.onDevice?.(event);
      else call?.onEvent?.(event);
    } else if (message.type === 'error') call?.reject(toError(message.error));
    else call?.resolve(message.result);
  }

  /** @param {ToWorker} message */
  #send(message) {
    this.#worker.postMessage(message);
  }
}

/** @param {import('../worker/protocol.js').ErrorMessage} message */
const toError = ({ code, message, ...about }) => Object.assign(new SiglipError(code, message), about);

/** @param {string} [workerUrl] of a copy of worker.js */
export async function startClient(workerUrl) {
  try {
    return new WorkerClient(await workerAt(workerUrl));
  } catch (error) {
    // WebKit throws where other browsers fire an event.
    throw diedOf(undefined, error);
  }
}

/**
 * @param {string | undefined} message of the exception that ended the worker; none if it did not start
 * @param {unknown} cause
 */
function diedOf(message, cause) {
  const reason =
    message ??
    "worker.js could not be started: check its URL and the page's policy (worker-src, trusted-types siglip-web)";
  return new SiglipError('wasm', `The worker has died: ${reason}. Load the model again.`, cause);
}
