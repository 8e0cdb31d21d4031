/** Several workers that share a model: on pages that are cross-origin isolated, and on all others. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Harness, assertClose, untilWorkers } from './harness.js';
import { FakeHub, small } from './weights/fake-hub.js';

const harness = new Harness();
const open = () => harness.open({ path: '/tests/browser/pages/blank.html' });
const labels = ['a cat', 'a dog', 'a boat', 'an insect', 'a coffee cup'];

// In 8 bits sums are of integers: the same in any order.
for (const { precision, tolerance } of /** @type {const} */ ([
  { precision: 'f32', tolerance: 1e-4 },
  { precision: 'q8', tolerance: 0 },
])) {
  test(`two or three workers give the scores of one, ${precision}`, async () => {
    const page = await open();
    const answers = await page.evaluate(
      async ({ precision, labels }) => {
        const { Siglip } = await import('/www/siglip.js');
        const images = ['boat', 'cat', 'coffee'].map((name) => `/www/samples/${name}.jpg`);
        const ask = async (/** @type {number} */ workers) => {
          const siglip = await Siglip.load('tiny', { precision, workers });
          const scores = (await siglip.classify(images, labels)).flat();
          return { workers: siglip.info.workers, bytes: siglip.info.bytes, scores };
        };
        return { isolated: crossOriginIsolated, one: await ask(1), several: [await ask(2), await ask(3)] };
      },
      { precision, labels },
    );
    assert.equal(answers.isolated, false);
    assert.deepEqual(
      answers.several.map(({ workers }) => workers),
      [2, 3],
    );
    for (const { workers, bytes, scores } of answers.several) {
      for (const [i, { label, score }] of scores.entries()) {
        assert.equal(label, answers.one.scores[i].label);
        assertClose(score, answers.one.scores[i].score, tolerance, `${label}, ${workers} workers`);
      }
      assert.ok(bytes < 1.2 * answers.one.bytes, 'memory is split, not multiplied');
    }
  });
}

test('a model with fewer attention heads than cores is held by one worker', async () => {
  const config = JSON.parse(String(small['config.json']));
  config.text_config.num_attention_heads = config.vision_config.num_attention_heads = 1;
  const page = await open();
  const hub = new FakeHub({ ...small, 'config.json': Buffer.from(JSON.stringify(config)) });
  harness.server.intercept = hub.at('/model/');
  const { workers, refused } = await page.evaluate(async () => {
    const { Siglip } = await import('/www/siglip.js');
    const { outcome } = await import('/tests/browser/pages/outcome.js');
    const refused = await outcome(Siglip.load('/model/', { workers: 2 }));
    return { workers: (await Siglip.load('/model/', { workers: 'auto' })).info.workers, refused };
  });
  assert.equal(workers, 1);
  assert.equal(refused.code, 'bad-input');
  assert.match(refused.message ?? '', /2 workers for 1 attention heads/);
});

test('passes aborted at any moment leave the workers in step', async () => {
  const page = await open();
  const { codes, before, after } = await page.evaluate(async (labels) => {
    const { Siglip } = await import('/www/siglip.js');
    const { outcome } = await import('/tests/browser/pages/outcome.js');
    const siglip = await Siglip.load('tiny', { precision: 'f32', workers: 2 });
    const ask = (/** @type {string[]} */ labels, /** @type {AbortSignal} */ signal) =>
      siglip.classify('/www/samples/cat.jpg', labels, { signal });
    const { signal } = new AbortController();
    const before = await ask(labels, signal);
    const codes = [];
    for (let i = 0; i < 12; i++) {
      const controller = new AbortController();
      const many = Array.from({ length: 500 }, (_, j) => `cat number ${i} ${j}`);
      const call = outcome(ask(many, controller.signal));
      await new Promise((resolve) => setTimeout(resolve, 3 * i));
      controller.abort();
      codes.push((await call).code);
    }
    return { codes: [...new Set(codes)], before, after: await ask(labels, signal) };
  }, labels);
  assert.deepEqual(codes, ['aborted']);
  assert.deepEqual(after, before);
});

test('when a follower dies, the running call and later ones fail, and the next load works', async () => {
  const page = await open();
  const { failed, next } = await page.evaluate(async (labels) => {
    const { Siglip } = await import('/www/siglip.js');
    const { outcome } = await import('/tests/browser/pages/outcome.js');
    const workerUrl = '/tests/browser/pages/dying-follower-worker.js';
    const dying = await Siglip.load('tiny', { workers: 3, workerUrl });
    const failed = [await outcome(dying.embedText('a cat')), await outcome(dying.embedText('a dog'))];
    dying.dispose();
    const siglip = await Siglip.load('tiny', { workers: 3 });
    return { failed, next: await siglip.classify('/www/samples/cat.jpg', labels) };
  }, labels);
  for (const { code, message } of failed) {
    assert.equal(code, 'wasm');
    assert.match(message, /one of the workers has died.*Load the model again/);
  }
  assert.equal(next[0].label, 'a cat');
});

test('more workers than the model has attention heads are refused', async () => {
  const page = await open();
  const { code, message } = await page.evaluate(async () => {
    const { Siglip } = await import('/www/siglip.js');
    const { outcome } = await import('/tests/browser/pages/outcome.js');
    return outcome(Siglip.load('tiny', { workers: 16 }));
  });
  assert.equal(code, 'bad-input');
  assert.match(message, /4 at most/);
});

test('dispose ends every worker', async () => {
  const page = await open();
  await page.evaluate(async () => {
    const { Siglip } = await import('/www/siglip.js');
    const workerUrl = '/tests/browser/pages/counted-worker.js';
    Object.assign(globalThis, { siglip: await Siglip.load('tiny', { workers: 3, workerUrl }) });
  });
  await untilWorkers(page, 3);
  await page.evaluate(() => /** @type {any} */ (globalThis).siglip.dispose());
  await untilWorkers(page, 0);
});

const isolation = {
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-embedder-policy': 'require-corp',
};
const openIsolated = () => harness.open({ path: '/tests/browser/pages/blank.html', headers: isolation });

test('on an isolated page workers are threads of one engine, with scores equal to the last bit', async () => {
  const page = await openIsolated();
  const { isolated, answers } = await page.evaluate(async (labels) => {
    const { Siglip } = await import('/www/siglip.js');
    const images = ['boat', 'cat', 'coffee'].map((name) => `/www/samples/${name}.jpg`);
    const answers = [];
    for (const precision of /** @type {const} */ (['f32', 'q8'])) {
      for (const workers of [1, 2, 3]) {
        // From the cache it would be the image tower alone.
        const siglip = await Siglip.load('tiny', { precision, workers, cache: false });
        const { bytes } = siglip.info;
        const scores = await siglip.classify(images, labels);
        answers.push({ precision, workers: siglip.info.workers, bytes, scores });
        siglip.dispose();
      }
    }
    return { isolated: crossOriginIsolated, answers };
  }, labels);
  assert.equal(isolated, true);
  for (const [i, { precision, workers, bytes, scores }] of answers.entries()) {
    const one = answers[i - (i % 3)];
    assert.equal(workers, 1 + (i % 3));
    assert.equal(bytes, one.bytes, 'memory is shared');
    assert.deepEqual(scores, one.scores, `${workers} workers, ${precision}`);
  }
  assert.ok(harness.server.requestsOf('wasm/threads/siglip_web_bg.wasm').length > 0);
});

test('on an isolated page a pass can be aborted, a cached model loads, and dispose ends every thread', async () => {
  const page = await openIsolated();
  const { code, before, after, again } = await page.evaluate(async (labels) => {
    const { Siglip } = await import('/www/siglip.js');
    const { outcome } = await import('/tests/browser/pages/outcome.js');
    const workerUrl = '/tests/browser/pages/counted-worker.js';
    const load = () => Siglip.load('tiny', { workers: 2, workerUrl });
    const siglip = await load();
    const before = await siglip.classify('/www/samples/cat.jpg', labels);
    const controller = new AbortController();
    const many = Array.from({ length: 500 }, (_, i) => `cat number ${i}`);
    const call = outcome(siglip.classify('/www/samples/cat.jpg', many, { signal: controller.signal }));
    setTimeout(() => controller.abort(), 10);
    const { code } = await call;
    const after = await siglip.classify('/www/samples/cat.jpg', labels);
    siglip.dispose();
    const kept = await load();
    const again = await kept.classify('/www/samples/cat.jpg', labels);
    kept.dispose();
    return { code, before, after, again };
  }, labels);
  assert.equal(code, 'aborted');
  assert.deepEqual(after, before);
  assert.deepEqual(again, before);
  await untilWorkers(page, 0);
});

for (const [kind, openPage] of /** @type {const} */ ([
  ['a follower', open],
  ['a thread on an isolated page', openIsolated],
])) {
  for (const [what, script, reason] of /** @type {const} */ ([
    ['does not start', 'dead-follower-worker.js', /does not start.*Load the model again/],
    ['gets no engine', 'unable-follower-worker.js', /gets no engine.*Load the model again/],
  ])) {
    test(`${kind} that ${what} fails the load, and the next load works`, async () => {
      const page = await openPage();
      const { broken, next } = await page.evaluate(
        async ({ script, labels }) => {
          const { Siglip } = await import('/www/siglip.js');
          const { outcome } = await import('/tests/browser/pages/outcome.js');
          const workerUrl = `/tests/browser/pages/${script}`;
          const broken = await outcome(Siglip.load('tiny', { workers: 2, workerUrl }));
          const siglip = await Siglip.load('tiny', { workers: 2 });
          return { broken, next: await siglip.classify('/www/samples/cat.jpg', labels) };
        },
        { script, labels },
      );
      assert.equal(broken.code, 'wasm');
      assert.match(broken.message, reason);
      assert.equal(next[0].label, 'a cat');
    });
  }
}
