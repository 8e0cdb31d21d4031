/** Workers as browsers have them, made of Node.js's worker threads. In Node.js this file takes the place of www/lib/start-worker.js. */
import { Worker as Thread } from 'node:worker_threads';

/** The part of a browser's Worker that this library uses. */
export class Worker {
  /** @type {((event: {data: any}) => void) | undefined} */
  onmessage;
  /** @type {((event: {message: string, error: unknown, preventDefault(): void}) => void) | undefined} */
  onerror;
  #thread;
  /** Calls without an answer: only they keep the process from ending. */
  #calls = 0;

  constructor() {
    this.#thread = new Thread(new URL('./node-worker.js', import.meta.url));
    this.#thread.unref();
    this.#thread.on('message', (data) => {
      if (data.type === 'result' || data.type === 'error') this.#count(-1);
      this.onmessage?.({ data });
    });
    this.#thread.on('error', (error) =>
      this.onerror?.({ message: error.message, error, preventDefault() {} }),
    );
  }

  /**
   * @param {any} message
   * @param {Transferable[]} [transfer]
   */
  postMessage(message, transfer) {
    if (message.type === 'call') this.#count(1);
    this.#thread.postMessage(message, /** @type {any} */ (transfer));
  }

  terminate() {
    void this.#thread.terminate();
  }

  /** @param {1 | -1} change */
  #count(change) {
    this.#calls += change;
    if (this.#calls) this.#thread.ref();
    else this.#thread.unref();
  }
}

export const workerAt = () => new Worker();
