import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { Siglip } from '../../www/siglip.js';
import { borrow } from '../../www/ui/pool.js';

/**
 * A load that the test settles.
 * @typedef {object} Load
 * @property {unknown} model
 * @property {import('../../www/siglip.js').LoadOptions} options
 * @property {() => void} finish
 * @property {(error: Error) => void} fail
 * @property {boolean} disposed
 */

/** @type {Load[]} */
let loads = [];
const { load } = Siglip;
/** Releases what a test has borrowed: the pool is shared by all tests. @type {(() => void)[]} */
let releases = [];

beforeEach(() => {
  [loads, releases] = [[], []];
  Siglip.load = (model, options = {}) =>
    new Promise((resolve, reject) => {
      /** @type {Load} */
      const started = { model, options, finish, fail: reject, disposed: false };
      function finish() {
        resolve(/** @type {Siglip} */ ({ dispose: () => void (started.disposed = true) }));
      }
      loads.push(started);
    });
});

afterEach(() => {
  releases.forEach((release) => release());
  Siglip.load = load;
});

/**
 * @param {string | File[]} model
 * @param {Parameters<typeof borrow>[1]} [options]
 * @param {Parameters<typeof borrow>[2]} [borrower]
 */
function take(model, options = {}, borrower = {}) {
  const loan = borrow(model, options, borrower);
  loan.siglip.catch(() => {});
  releases.push(loan.release);
  return loan;
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

test('borrowers that ask for the same model share one load and all its reports', () => {
  /** @type {string[]} */
  const heard = [];
  const hear = (/** @type {string} */ name) => ({
    onProgress: () => void heard.push(`${name} progress`),
    onNotice: () => void heard.push(`${name} notice`),
  });
  const [first, second] = [take('tiny', {}, hear('first')), take('tiny', {}, hear('second'))];
  assert.equal(loads.length, 1);
  assert.equal(first.siglip, second.siglip);
  loads[0].options.onProgress?.({ phase: 'download', loaded: 1, total: 2, file: 'a' });
  loads[0].options.onNotice?.({ code: 'quota', message: 'full' });
  assert.deepEqual(heard, ['first progress', 'second progress', 'first notice', 'second notice']);
});

test('another precision, number of workers or worker script is another model', () => {
  take('tiny', { precision: 'q8' });
  take('tiny', { precision: 'f32' });
  take('tiny', { precision: 'q8', workers: 2 });
  take('tiny', { precision: 'q8', workerUrl: '/copy/worker.js' });
  take('google/siglip-base-patch16-224', { precision: 'q8' });
  assert.equal(loads.length, 5);
});

test('models of files are never shared', () => {
  const files = [new File(['x'], 'model.gguf')];
  take(files);
  take(files);
  assert.equal(loads.length, 2);
});

test('the model is disposed of when the last borrower releases it, and only then', async () => {
  const [first, second] = [take('tiny'), take('tiny')];
  loads[0].finish();
  first.release();
  first.release();
  await settled();
  assert.equal(loads[0].disposed, false);
  second.release();
  await settled();
  assert.equal(loads[0].disposed, true);
  take('tiny');
  assert.equal(loads.length, 2);
});

test('a load is aborted when nobody waits for it', () => {
  const loan = take('tiny');
  assert.equal(loads[0].options.signal?.aborted, false);
  loan.release();
  assert.equal(loads[0].options.signal?.aborted, true);
});

test('a model that failed to load is loaded again for the next borrower', async () => {
  const loan = take('tiny');
  loads[0].fail(new Error('no network'));
  await assert.rejects(loan.siglip, /no network/);
  take('tiny');
  assert.equal(loads.length, 2);
});

test('a retired model is not lent again, and stays with its borrowers', async () => {
  const first = take('tiny');
  loads[0].finish();
  first.retire();
  take('tiny');
  assert.equal(loads.length, 2);
  await settled();
  assert.equal(loads[0].disposed, false);
  first.release();
  await settled();
  assert.equal(loads[0].disposed, true);
});
