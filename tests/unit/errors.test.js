import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SiglipError, abortable, throwIfAborted } from '../../www/lib/errors.js';
import { errorMessageOf, wasmError } from '../../www/worker/errors.js';

test('an error with a code reaches the page unchanged', () => {
  const marks = { unsupportedFormat: true, rareFormat: false, broken: false };
  const error = Object.assign(new Error('no image'), { code: 'bad-image', ...marks });
  assert.deepEqual(errorMessageOf(error), {
    code: 'bad-image',
    message: 'no image',
    ...marks,
  });
  // A follower's error has been sent to another thread once already.
  assert.deepEqual(errorMessageOf(errorMessageOf(error)), errorMessageOf(error));
  assert.equal(errorMessageOf(wasmError('no SIMD')).code, 'wasm');
});

test('an abort, a lack of memory and any other error get their codes', () => {
  // A DOMException has a numeric code of its own.
  assert.equal(errorMessageOf(new DOMException('x', 'AbortError')).code, 'aborted');
  assert.equal(errorMessageOf(new RangeError('Array buffer allocation failed')).code, 'out-of-memory');
  for (const thrown of [new TypeError('x'), 'text', undefined, null, { code: 5 }]) {
    const { code, message } = errorMessageOf(thrown);
    assert.equal(code, 'wasm');
    assert.match(message, /Load the model again/);
  }
});

test('an abortable promise settles as it does, or rejects with the first signal', async () => {
  const never = new Promise(() => {});
  assert.equal(await abortable(Promise.resolve(5), undefined, new AbortController().signal), 5);
  await assert.rejects(abortable(Promise.reject(new Error('own')), undefined), /own/);
  const [first, second] = [new AbortController(), new AbortController()];
  const waiting = abortable(never, first.signal, second.signal);
  second.abort();
  await assert.rejects(waiting, { name: 'AbortError', code: 'aborted' });
  await assert.rejects(abortable(never, second.signal), { code: 'aborted' });
});

test('a signal whose reason is an error of the library rejects with that error', () => {
  const reason = new SiglipError('wasm', 'The worker has died.');
  assert.throws(
    () => throwIfAborted(AbortSignal.abort(reason)),
    (error) => error === reason,
  );
  assert.doesNotThrow(() => throwIfAborted(undefined));
});
