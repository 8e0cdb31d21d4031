import { SiglipError, throwIfAborted } from './errors.js';

/** @typedef {{resolve: (value: any) => void, reject: (error: unknown) => void, onEvent?: (event: any) => void}} Call */

/** Calls into a worker.js: each is answered, rejected, or aborted at once. */
export class WorkerClient {
  #worker;
  /** @type {Map<number, Call>} */
  #calls = new Map();
  #lastId = 0;
  /** Why there will be no more answers. @type {SiglipError | undefined} */
  #ended;

  /** @param {string} [workerUrl] */
  constructor(workerUrl) {
    this.#worker = start(workerUrl ?? new URL('./worker.js', import.meta.url).href);
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
    if (this.#ended) throw this.#ended;
    const id = ++this.#lastId;
    const abort = () => {
      this.#worker.postMessage({ abort: id });
      this.#calls.get(id)?.reject(new SiglipError('aborted', 'The call was aborted.', signal?.reason));
    };
    signal?.addEventListener('abort', abort);
    try {
      return await new Promise((resolve, reject) => {
        this.#calls.set(id, { resolve, reject, onEvent });
        this.#worker.postMessage({ id, method, parameters });
      });
    } finally {
      this.#calls.delete(id);
      signal?.removeEventListener('abort', abort);
    }
  }

  /** @param {SiglipError} [reason] */
  end(reason = new SiglipError('aborted', 'The model was disposed of.')) {
    this.#ended ??= reason;
    this.#worker.terminate();
    for (const { reject } of this.#calls.values()) reject(this.#ended);
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
