import { workerScript } from '../addresses.js';
import { SiglipError, abortable, throwIfAborted } from './errors.js';

/** @typedef {{resolve: (value: any) => void, reject: (error: unknown) => void, onEvent?: (event: any) => void}} Call */

/** Calls into a worker.js: each is answered, rejected, or aborted at once. */
export class WorkerClient {
  #worker;
  /** @type {Map<number, Call>} */
  #calls = new Map();
  #lastId = 0;
  /** Fires, with the reason, when there will be no more answers. */
  #life = new AbortController();

  /** @param {string} [workerUrl] */
  constructor(workerUrl) {
    this.#worker = start(workerUrl ?? workerScript());
    this.#worker.onmessage = ({ data }) => this.#receive(data);
    this.#worker.onerror = (event) => {
      event.preventDefault();
      const reason =
        event.message ?? "worker.js could not be started: check its URL and the page's policy (worker-src)";
      this.end(new SiglipError('wasm', `The worker has died: ${reason}. Load the model again.`, event.error));
    };
  }

  /**
   * @param {string} method
   * @param {object} parameters
   * @param {AbortSignal} [signal]
   * @param {(event: any) => void} [onEvent]
   * @returns {Promise<any>}
   */
  async call(method, parameters, signal, onEvent) {
    throwIfAborted(signal);
    throwIfAborted(this.#life.signal);
    const id = ++this.#lastId;
    const answer = new Promise((resolve, reject) => {
      this.#calls.set(id, { resolve, reject, onEvent });
      this.#worker.postMessage({ id, method, parameters });
    });
    try {
      return await this.whileAlive(answer, signal);
    } finally {
      this.#calls.delete(id);
      if (signal?.aborted) this.#worker.postMessage({ abort: id });
    }
  }

  /**
   * Settles as `work` for a call does, or at once when the caller aborts or the worker ends.
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

  /** @param {{id: number, event?: object, error?: any, result?: unknown}} message */
  #receive({ id, event, error, result }) {
    const call = this.#calls.get(id);
    if (event) call?.onEvent?.(event);
    else if (error) call?.reject(toError(error));
    else call?.resolve(result);
  }
}

/** @param {{code: import('./errors.js').ErrorCode, message: string, unsupportedFormat?: boolean}} error */
function toError({ code, message, unsupportedFormat }) {
  const made = new SiglipError(code, message);
  made.unsupportedFormat = unsupportedFormat;
  return made;
}

/**
 * Browsers start no worker from another site's script; one from a blob that imports it, they do.
 * @param {string} url
 */
function start(url) {
  const foreign = new URL(url, document.baseURI).origin !== location.origin;
  const script = foreign
    ? URL.createObjectURL(new Blob([`import '${url}';`], { type: 'text/javascript' }))
    : url;
  return new Worker(script, { type: 'module', name: 'siglip' });
}
