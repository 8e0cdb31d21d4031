/**
 * The worker, in each of its three roles. The first message decides which:
 *
 * - `call`: the page's worker. It answers calls one after another, and hears `abort` between the steps of a pass.
 * - `follow`: a follower. It holds a shard of another worker's model, and from then on gets that worker's messages.
 * - `join`: a thread. It works for another worker's engine and gets no more messages.
 *
 * worker/protocol.js defines the messages; worker/calls.js handles the calls.
 */
import { beforehand, calls, shardedModel, threadPool } from './worker/calls.js';
import { errorMessageOf, reportFailure } from './worker/errors.js';
import { dispatch } from './worker/protocol.js';

/** @typedef {import('./worker/protocol.js').FromWorker} FromWorker */
/** @typedef {import('./worker/protocol.js').ToWorker} ToWorker */
/** @typedef {import('./worker/protocol.js').ToFollower} ToFollower */

/** Of the calls not answered yet, by id. @type {Map<number, AbortController>} */
const controllers = new Map();
/** Those that wait for their turn, the oldest first. @type {import('./worker/protocol.js').WaitingCall[]} */
const waiting = [];
/** Resolves when the newest call has had its turn: the next one waits for it. @type {Promise<unknown>} */
let last = Promise.resolve();
/** In the role of a follower. @type {Promise<import('./worker/sharded-model.js').Follower> | undefined} */
let follower;

/** @type {import('./worker/protocol.js').Handlers<ToWorker>} */
const handlers = {
  call: (message) => void answer(message),
  abort: ({ id }) => controllers.get(id)?.abort(),
  follow: (message) => {
    follower = shardedModel().then(({ Follower }) => new Follower(message));
    follower.catch(reportFailure);
  },
  join: ({ engine }) => {
    threadPool()
      .then(({ joinThreadPool }) => joinThreadPool(engine))
      .catch(reportFailure);
  },
};

onmessage = (/** @type {MessageEvent} */ { data }) => {
  if (follower) void follower.then((follower) => follower.receive(/** @type {ToFollower} */ (data)));
  else dispatch(handlers, /** @type {ToWorker} */ (data));
};

/**
 * A trap outside of a call's own promise, such as between two pieces of a download, would leave the calls without an
 * answer. An exception reaches the one who started this worker by itself, but without the reason.
 * @param {unknown} reason
 */
function failCalls(reason) {
  const error = errorMessageOf(reason);
  if (follower) reportFailure(reason);
  else for (const id of controllers.keys()) send({ type: 'error', id, error });
}
addEventListener('error', (event) => {
  if (!(event.error instanceof WebAssembly.RuntimeError)) return;
  event.preventDefault();
  failCalls(event.error);
});
addEventListener('unhandledrejection', ({ reason }) => {
  if (reason instanceof WebAssembly.RuntimeError) failCalls(reason);
});

/**
 * @template {import('./worker/protocol.js').Method} M
 * @param {{id: number} & import('./worker/protocol.js').Call<M>} message
 */
async function answer({ id, method, parameters }) {
  const controller = new AbortController();
  const { signal } = controller;
  controllers.set(id, controller);
  const tell = (/** @type {import('./worker/protocol.js').CallEvent} */ event) =>
    send({ type: 'event', id, event });
  try {
    // While one waits for the text tower, others have their turn.
    const text = beforehand(method, parameters, signal, tell);
    if (text) await text;
    const call = /** @type {import('./worker/protocol.js').WaitingCall} */ ({
      method,
      parameters,
      signal,
      tell,
    });
    waiting.push(call);
    const turn = last.then(() => {
      waiting.shift();
      signal.throwIfAborted();
      return call.answer ?? calls[method](parameters, signal, tell, waiting);
    });
    last = turn.catch(() => {});
    send({ type: 'result', id, result: await turn });
  } catch (error) {
    send({ type: 'error', id, error: errorMessageOf(error) });
  } finally {
    controllers.delete(id);
  }
}

/** @param {FromWorker} message */
const send = (message) => postMessage(message);
