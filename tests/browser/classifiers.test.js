/** Fine-tuned classifiers in the browser, against the recorded reference: in scripts, in the element, on the page. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { Harness, assertClose, fileAt, openIn, problemsOf } from './harness.js';
import { cardOf, drop, labelsOf } from './page-actions.js';

const harness = new Harness();
const FIXED = 'tests/fixtures/random-classifier';
const recorded = JSON.parse(await readFile(fileAt('tests/parity/classifiers.json'), 'utf8'));
/** @type {string[]} */
const LABELS = recorded.naflex.labels;

test('scores are the reference’s with one worker and with two, and no tokenizer is asked for', async () => {
  const page = await harness.open({ path: '/tests/browser/pages/blank.html' });
  const loads = await page.evaluate(async (sides) => {
    const { Siglip } = await import('/www/siglip.js');
    const { recordedPictures } = await import('/tests/browser/pages/recorded-pictures.js');
    const pictures = recordedPictures(sides);
    const loads = [];
    for (const name of ['classifier', 'classifier-naflex']) {
      // The third load comes from the cache.
      for (const workers of [1, 2, 2]) {
        const siglip = await Siglip.load(`/tests/fixtures/random-${name}/`, { precision: 'f32', workers });
        const scores = await siglip.classify(pictures);
        const some = await siglip.classify(pictures[0], undefined, { topK: 2, threshold: 0.01 });
        loads.push({ name, scores, some, info: siglip.info });
        siglip.dispose();
      }
    }
    return loads;
  }, /** @type {number[][]} */ (recorded.pictures));
  assert.equal(loads.length, 6);
  for (const { name, scores, some, info } of loads) {
    const expected = name === 'classifier' ? recorded.variants[0] : recorded.naflex;
    const { kind, labels, problemType, towers, logitScale, contextLength } = info;
    assert.deepEqual(
      { kind, labels, problemType, towers, logitScale, contextLength },
      {
        kind: 'classifier',
        labels: LABELS,
        problemType: expected.problem_type,
        towers: 'image',
        logitScale: undefined,
        contextLength: undefined,
      },
    );
    assert.deepEqual(some, scores[0].slice(0, 2));
    for (const [n, answers] of scores.entries()) {
      assert.equal(answers.length, LABELS.length);
      for (const [i, { label, score, logit }] of answers.entries()) {
        const place = LABELS.indexOf(label);
        assertClose(logit, expected.logits[n][place], 1e-4, `${name}, picture ${n}, ${label}`);
        assertClose(score, expected.scores[n][place], 1e-5, `${name}, picture ${n}, ${label}`);
        assert.ok(i === 0 || answers[i - 1].logit >= logit, 'best first');
      }
    }
  }
  assert.equal(harness.server.requestsOf('GET /tests/fixtures').filter(isTokenizer).length, 0);
  assert.deepEqual(await problemsOf(page), []);
});

/** @param {unknown} request */
const isTokenizer = (request) => JSON.stringify(request).includes('tokenizer');

test('labels, texts and label sets are refused with the reason, and the classifier goes on', async () => {
  const page = await harness.open({ path: '/tests/browser/pages/blank.html' });
  const { refusals, pooled, whole } = await page.evaluate(async (address) => {
    const { Siglip, pipeline } = await import('/www/siglip.js');
    const siglip = await Siglip.load(address);
    const picture = '/www/samples/cat.jpg';
    const calls = [
      () => siglip.classify(picture, ['a tree']),
      () => siglip.classify(picture, []),
      () => siglip.classify(picture, undefined, { labelSet: 'animals' }),
      () => siglip.embedText('a tree'),
      () => siglip.exportLabels(['a tree']),
      () => siglip.exportLabels(),
      () => siglip.importLabels('{}'),
      () => Siglip.load(address, { towers: 'text' }),
      async () => (await pipeline('zero-shot-image-classification', address))(picture, ['a tree']),
    ];
    const refusals = [];
    for (const call of calls) {
      refusals.push(
        await call().then(
          () => ({ code: 'none', message: `${call}` }),
          ({ code, message }) => ({ code, message }),
        ),
      );
    }
    const pooled = await siglip.embedImage(picture);
    return { refusals, pooled: [...pooled], whole: await siglip.score(pooled) };
  }, `/${FIXED}/`);
  for (const { code, message } of refusals) {
    assert.equal(code, 'bad-input', message);
    assert.match(message, /fine-tuned classifier, which reads no text.*"cat", "dog"/);
  }
  assert.equal(pooled.length, 24);
  assert.equal(whole.length, LABELS.length);
  assertClose(
    whole.reduce((sum, { score }) => sum + score, 0),
    1,
    1e-5,
    'a softmax',
  );
});

test('transformers.js’s pipeline classifies, and refuses a model without classes', async () => {
  const page = await harness.open({ path: '/tests/browser/pages/blank.html' });
  const { three, lists, refusal } = await page.evaluate(async (address) => {
    const { pipeline } = await import('/www/siglip.js');
    const classifier = await pipeline('image-classification', address);
    const picture = '/www/samples/cat.jpg';
    const three = await classifier(picture, { top_k: 3 });
    const lists = await classifier([picture, '/www/samples/dog.jpg'], { top_k: null });
    classifier.dispose();
    const refusal = await pipeline('image-classification', 'tiny').then(
      () => ({ code: 'none', message: '' }),
      ({ code, message }) => ({ code, message }),
    );
    return { three, lists, refusal };
  }, `/${FIXED}/`);
  assert.deepEqual(
    lists.map((scores) => scores.length),
    [5, 5],
  );
  assert.deepEqual(three, lists[0].slice(0, 3));
  assert.deepEqual(Object.keys(three[0]), ['label', 'score']);
  assert.equal(refusal.code, 'bad-input');
  assert.match(refusal.message, /no classes of its own/);
});

test('the element shows the classes by itself', async () => {
  const page = await harness.open({ path: '/tests/browser/pages/blank.html' });
  harness.server.intercept = (path, response) => {
    if (path !== '/host') return false;
    response.setHeader('content-type', 'text/html; charset=utf-8');
    response.end(`<!doctype html><html lang="en"><title>Host</title><link rel="icon" href="data:," />
      <script type="module" src="/www/siglip-classifier.js"></script>
      <siglip-classifier model="/${FIXED}/" src="/www/samples/cat.jpg" loading="eager"></siglip-classifier>`);
  };
  const host = await openIn(page.context(), `${harness.server.origin}/host`);
  const shown = host.locator('siglip-classifier [part=label]');
  await shown.nth(4).waitFor();
  assert.deepEqual((await shown.allTextContents()).toSorted(), LABELS.toSorted());
  await host.locator('siglip-classifier').evaluate((element) => element.setAttribute('labels', 'a tree'));
  await host.getByText('reads no text').waitFor();
  assert.deepEqual(await problemsOf(host), []);
});

test('a dropped folder becomes the page’s model; labels come back with the next one', async () => {
  const page = await harness.open();
  const before = await labelsOf(page, 'insect.jpg');
  const files = ['config.json', 'preprocessor_config.json', 'model.safetensors'];
  await drop(
    page,
    files.map((name) => `${FIXED}/${name}`),
  );
  await page.getByText('fine-tuned for 5 classes of its own').waitFor();
  await cardOf(page, 'insect.jpg').getByText('a red boat', { exact: true }).waitFor();
  assert.deepEqual((await labelsOf(page, 'insect.jpg')).toSorted(), LABELS.toSorted());
  assert.ok(await page.locator('#new-label').isHidden());
  assert.ok(await page.getByText('Adjust the scores').isHidden(), 'a classifier has no bias to move');
  assert.match((await page.locator('#meaning').textContent()) ?? '', /add up to 100%/);

  const small = ['config.json', 'preprocessor_config.json', 'tokenizer.json', 'model.safetensors'];
  await drop(
    page,
    small.map((name) => `www/models/tiny/${name}`),
  );
  await cardOf(page, 'insect.jpg').getByText('a coffee cup', { exact: true }).waitFor();
  assert.deepEqual((await labelsOf(page, 'insect.jpg')).toSorted(), before.toSorted());
  assert.ok(await page.locator('#new-label').isVisible());
  assert.match((await page.locator('#meaning').textContent()) ?? '', /need not add up/);
  assert.deepEqual(await problemsOf(page), []);
});
