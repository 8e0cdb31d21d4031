/** The sha256 of a large file, which another worker computes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { browserOfTests } from '../browsers.js';
import { Harness, openIn } from '../harness.js';
import { WEIGHTS, sha256, withVocabulary } from './checkpoint.js';
import { FakeHub, load, patient, small } from './fake-hub.js';

const harness = new Harness();
const blank = '/tests/browser/pages/blank.html';
/** 38 MB. */
const large = withVocabulary(small, 200_000);
const right = sha256(large[WEIGHTS]);
/** Slow enough for another worker to start before the end. */
const behaviour = { pace: 2 };

/** @param {FakeHub} hub */
async function open(hub) {
  const page = await harness.open({ path: blank });
  harness.server.intercept = hub.at('/model/');
  return page;
}

/** @param {string} name of a script among the pages */
const script = (name) => ({ workers: 2, workerUrl: `/tests/browser/pages/${name}-digest-worker.js` });
/** How often another worker was started for it, with the script `noted`. */
const started = () => harness.server.requestsOf('/digest-worker').length;

test('a large file of a shared model is held against its sha256 in another worker, others in the same', async () => {
  const hub = new FakeHub(large, behaviour);
  const page = await open(hub);
  for (const [workers, expected] of [
    [2, 2],
    [1, 0],
  ]) {
    const before = started();
    const options = { ...patient, ...script('noted'), workers, cache: false };
    const found = await load(page, '/model/', { ...options, sha256: right });
    assert.ok(found.embeddings, found.message);
    const other = sha256(Buffer.from('other'));
    const { code, message } = await load(page, '/model/', { ...options, sha256: other });
    assert.equal(code, 'integrity');
    assert.match(message ?? '', new RegExp(right));
    assert.equal(started() - before, expected);
  }
  const before = started();
  // Nothing says what its sha256 should be.
  assert.ok((await load(page, '/model/', { ...patient, ...script('noted'), cache: false })).embeddings);
  hub.files = small;
  const options = { ...script('noted'), cache: false, sha256: sha256(small[WEIGHTS]) };
  assert.ok((await load(page, '/model/', options)).embeddings);
  assert.equal(started(), before);
});

test(
  'a download that goes on in another visit has the digest of the first',
  { skip: !browserOfTests.hasFiles && 'a partial download is not kept' },
  async () => {
    for (const flip of [undefined, 0.55]) {
      const hub = new FakeHub(large, behaviour);
      const page = await open(hub);
      hub.faults[WEIGHTS] = [{ flip, cut: 0.9 }, ...Array.from({ length: 20 }, () => ({ status: 503 }))];
      const cut = await load(page, '/model/', { ...patient, workers: 2, sha256: right });
      assert.equal(cut.code, 'network', cut.message);
      hub.faults = {};
      hub.log = [];
      const visit = await openIn(page.context(), page.url());
      const { embeddings, message } = await load(visit, '/model/', { ...patient, workers: 2, sha256: right });
      assert.ok(embeddings, message);
      const [part, ...more] = hub.log.filter((line) => line.includes(WEIGHTS));
      const from = Number(/bytes=(\d+)-/.exec(part)?.[1]);
      assert.ok(from > 0.7 * large[WEIGHTS].length, part);
      // What was damaged in the first visit is noticed in the second, which begins anew.
      assert.deepEqual(more, flip ? [`GET ${WEIGHTS}`] : []);
    }
  },
);

test(
  'a download that began when no sha256 was asked for begins anew when one is',
  { skip: !browserOfTests.hasFiles && 'a partial download is not kept' },
  async () => {
    const hub = new FakeHub(large, behaviour);
    const page = await open(hub);
    hub.faults[WEIGHTS] = [{ cut: 0.9 }, ...Array.from({ length: 20 }, () => ({ status: 503 }))];
    assert.equal((await load(page, '/model/', patient)).code, 'network');
    hub.faults = {};
    for (const [options, expected] of /** @type {const} */ ([
      [{ sha256: sha256(Buffer.from('other')) }, 'integrity'],
      [{ sha256: right }, undefined],
      // What is cached with its sha256 is compared once more, what is cached without is downloaded again.
      [{ sha256: right }, undefined],
    ])) {
      hub.log = [];
      const { code, message } = await load(page, '/model/', { ...patient, ...options });
      assert.equal(code, expected, message);
      if (expected)
        assert.deepEqual(
          hub.log.filter((line) => line.includes(WEIGHTS)),
          [`GET ${WEIGHTS}`],
        );
    }
    assert.ok(!hub.log.some((line) => line.startsWith('GET')), hub.log.join());
  },
);

test('a worker that does not start is done without, and one that dies ends the load', async () => {
  const page = await open(new FakeHub(large, behaviour));
  const options = { ...patient, workers: 2, cache: false, sha256: right };
  const without = await load(page, '/model/', { ...options, ...script('dead') });
  assert.ok(without.embeddings, without.message);
  const { code, message } = await load(page, '/model/', { ...options, ...script('dying') });
  assert.equal(code, 'wasm');
  assert.match(message ?? '', /this worker dies.*Load the model again/);
  assert.ok((await load(page, '/model/', options)).embeddings);
});
