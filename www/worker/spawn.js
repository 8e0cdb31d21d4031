/** Workers that a worker starts to help it. */

/**
 * Starts one, with this worker's own script, be that worker.js or a blob that imports it.
 * @param {number} index
 * @param {(data: any) => void} receive is given what it says
 * @param {(error: unknown) => void} fail is told why it is of no use any more
 */
export function startCompanion(index, receive, fail) {
  const worker = new Worker(self.location.href, { type: 'module', name: `siglip ${index}` });
  worker.onmessage = ({ data }) => {
    if (data.error) fail(Object.assign(new Error(data.error.message), data.error));
    else receive(data);
  };
  worker.onerror = (event) => {
    event.preventDefault();
    fail(new Error(`one of the workers has died: ${event.message}`));
  };
  return worker;
}

/**
 * The other side: tells the one who has started this worker what has failed.
 * @param {any} error
 */
export function tellFailure(error) {
  const { code, message = String(error) } = error ?? {};
  postMessage({ error: { code, message } });
}
