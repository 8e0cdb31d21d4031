import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SiglipError } from '../../www/siglip.js';
import { startClient } from '../../www/lib/worker-client.js';
import { define, definePage } from './page-globals.js';

/** @typedef {import('../../www/worker/protocol.js').FromWorker} FromWorker */
/** @typedef {import('../../www/worker/protocol.js').ToWorker} ToWorker */

/** A worker whose messages the test sends. */
class FakeWorker {
  /** @type {FakeWorker[]} */
  static all = [];
  /** @type {ToWorker[]} */
  received = [];
  terminated = false;
  /** @type {((event: {data: FromWorker}) => void) | undefined} */
  onmessage;
  /** @type {((event: {message?: string, error?: Error, preventDefault(): void}) => void) | undefined} */
  onerror;

  /** @param {string} url */
  constructor(url) {
    this.url = url;
    FakeWorker.all.push(this);
  }

  /** @param {ToWorker} message */
  postMessage(message) {
    this.received.push(structuredClone(message));
  }

  terminate() {
    this.terminated = true;
  }

  /** @param {FromWorker} message */
  send(message) {
    this.onmessage?.({ data: message });
  }
}

/**
 * @param {import('node:test').TestContext} context
 * @param {string} [workerUrl]
 */
async function start(context, workerUrl = 'https://example.org/worker.js') {
  definePage(context);
  define(context, { Worker: FakeWorker });
  const client = await startClient(workerUrl);
  return { client, worker: /** @type {FakeWorker} */ (FakeWorker.all.at(-1)) };
}

/** @returns {import('../../www/worker/protocol.js').Call<'embedTexts'>} */
const embed = (/** @type {string} */ text) => ({ method: 'embedTexts', parameters: { texts: [text] } });

test('each call gets its own answer, in whatever order they come', async (context) => {
  const { client, worker } = await start(context);
  const calls = [client.call(embed('a')), client.call(embed('b'))];
  assert.deepEqual(worker.received, [
    { type: 'call', id: 1, ...embed('a') },
    { type: 'call', id: 2, ...embed('b') },
  ]);
  worker.send({ type: 'result', id: 2, result: [Float32Array.of(2)] });
  worker.send({ type: 'result', id: 1, result: [Float32Array.of(1)] });
  assert.deepEqual(await Promise.all(calls), [[Float32Array.of(1)], [Float32Array.of(2)]]);
});

test('an error arrives as a SiglipError with its code', async (context) => {
  const { client, worker } = await start(context);
  const call = client.call(embed('a'));
  const error = { code: /** @type {const} */ ('bad-image'), message: 'no image', unsupportedFormat: true };
  worker.send({ type: 'error', id: 1, error });
  await assert.rejects(call, (thrown) => {
    assert.ok(thrown instanceof SiglipError);
    assert.deepEqual(
      [thrown.code, thrown.message, thrown.unsupportedFormat],
      ['bad-image', 'no image', true],
    );
    return true;
  });
});

test('events reach the call they are for, until it is answered', async (context) => {
  const { client, worker } = await start(context);
  /** @type {string[]} */
  const heard = [];
  const call = client.call(embed('a'), undefined, (event) => void heard.push(event.type));
  const notice = { type: /** @type {const} */ ('notice'), notice: { code: 'quota', message: 'full' } };
  worker.send({ type: 'event', id: 1, event: notice });
  worker.send({ type: 'event', id: 7, event: notice });
  worker.send({ type: 'result', id: 1, result: [] });
  await call;
  worker.send({ type: 'event', id: 1, event: notice });
  assert.deepEqual(heard, ['notice']);
});

test('an aborted call is rejected at once and the worker is told; other calls go on', async (context) => {
  const { client, worker } = await start(context);
  const controller = new AbortController();
  const [aborted, other] = [client.call(embed('a'), controller.signal), client.call(embed('b'))];
  controller.abort();
  await assert.rejects(aborted, { name: 'AbortError', code: 'aborted' });
  assert.deepEqual(worker.received.at(-1), { type: 'abort', id: 1 });
  // The late answer of the aborted call changes nothing.
  worker.send({ type: 'result', id: 1, result: [Float32Array.of(1)] });
  worker.send({ type: 'result', id: 2, result: [Float32Array.of(2)] });
  assert.deepEqual(await other, [Float32Array.of(2)]);
});

test('a call with a signal that has fired is not sent', async (context) => {
  const { client, worker } = await start(context);
  await assert.rejects(client.call(embed('a'), AbortSignal.abort()), { code: 'aborted' });
  assert.deepEqual(worker.received, []);
});

test('when the worker dies, all calls are rejected, and later ones too', async (context) => {
  const { client, worker } = await start(context);
  const call = client.call(embed('a'));
  let prevented = false;
  worker.onerror?.({ message: 'out of stack', preventDefault: () => (prevented = true) });
  await assert.rejects(call, { code: 'wasm', message: /out of stack.*Load the model again/ });
  await assert.rejects(client.call(embed('b')), { code: 'wasm' });
  assert.ok(worker.terminated && prevented);
});

test('the error for a worker that does not start names the policy that may forbid it', async (context) => {
  const { client, worker } = await start(context);
  const call = client.call(embed('a'));
  worker.onerror?.({ preventDefault() {} });
  await assert.rejects(call, { code: 'wasm', message: /worker-src/ });
});

test('after `end`, calls are rejected as aborted', async (context) => {
  const { client, worker } = await start(context);
  const call = client.call(embed('a'));
  client.end();
  await assert.rejects(call, { code: 'aborted' });
  assert.ok(worker.terminated);
});

test('a script of another site starts through a blob, one of this site directly', async (context) => {
  assert.equal((await start(context)).worker.url, 'https://example.org/worker.js');
  const { worker } = await start(context, 'https://cdn.example.net/www/worker.js');
  assert.match(worker.url, /^blob:/);
  const { resolveObjectURL } = await import('node:buffer');
  const blob = /** @type {import('node:buffer').Blob} */ (resolveObjectURL(worker.url));
  assert.equal(await blob.text(), `import 'https://cdn.example.net/www/worker.js';`);
});
