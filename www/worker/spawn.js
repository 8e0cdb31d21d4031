/** Workers that a worker starts to help it. */
import { trusted } from '../lib/trusted.js';
import { dispatch } from './protocol.js';

/** @typedef {import('./protocol.js').FailedMessage} FailedMessage */

/**
 * Starts one with this worker's own script, which is worker.js or a blob that imports it.
 * @template {{type: string}} Message
 * @param {number | string} index
 * @param {import('./protocol.js').Handlers<Message>} handlers for the messages it sends
 * @param {(error: unknown) => void} fail is given the reason when the worker is of no use any more
 */
export function spawnWorker(index, handlers, fail) {
  const worker = new Worker(trusted(self.location.href), { type: 'module', name: `siglip ${index}` });
  worker.onmessage = (/** @type {MessageEvent} */ { data }) => {
    if (data.type === 'failed') fail(/** @type {FailedMessage} */ (data).error);
    else dispatch(handlers, /** @type {Message} */ (data));
  };
  worker.onerror = (event) => {
    event.preventDefault();
    fail(new Error(`one of the workers has died: ${event.message}`));
  };
  return worker;
}
