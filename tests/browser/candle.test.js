/** `engine: 'candle'`: another implementation of the model, which only those fetch who ask for it. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { Harness, assertClose, fileAt, openIn, problemsOf, reference } from './harness.js';
import { cardOf, labelsOf } from './page-actions.js';
import { randomBase, smallFiles } from './weights/random-base.js';

const harness = new Harness();
const blank = { path: '/tests/browser/pages/blank.html' };

/** The largest difference of two lists. @param {number[]} a @param {number[]} b */
const largest = (a, b) => {
  assert.equal(a.length, b.length);
  return Math.max(...a.map((value, i) => Math.abs(value - b[i])));
};

/**
 * What an engine answers about the samples that the reference has answered.
 * @param {import('playwright-core').Page} page
 * @param {import('../../www/siglip.js').LoadOptions} options
 */
const answersOf = (page, options) =>
  page.evaluate(
    async ({ options, template, labels, answers }) => {
      const { Siglip } = await import('/www/siglip.js');
      const siglip = await Siglip.load('tiny', options);
      const pictures = answers.map(({ image }) => `/www/samples/${image}`);
      const images = await siglip.embedImage(pictures);
      const texts = await siglip.embedText(labels.map((label) => template.replace('{}', label)));
      const scores = await siglip.classify(pictures, labels, { template });
      const logits = scores.map((list) =>
        labels.map((wanted) => list.find(({ label }) => label === wanted)?.logit ?? NaN),
      );
      const { engine, precision, workers, device } = siglip.info;
      siglip.dispose();
      return {
        embeddings: [...images, ...texts].flatMap((vector) => [...vector]),
        logits,
        info: { engine, precision, workers, device },
      };
    },
    { options, ...reference },
  );

test('candle answers what the reference does, and what our engine does', async () => {
  const page = await harness.open(blank);
  const fetched = () => harness.server.log.filter((line) => line.includes('/candle'));
  const ours = await answersOf(page, { precision: 'f32', workers: 1 });
  assert.deepEqual(fetched(), [], 'nothing of candle is fetched by those who do not ask for it');
  const candle = await answersOf(page, { engine: 'candle' });
  assert.equal(fetched().filter((line) => line.includes('.wasm')).length, 1);

  assert.equal(ours.info.engine, undefined);
  assert.deepEqual(candle.info, { engine: 'candle', precision: 'f32', workers: 1, device: 'cpu' });
  const difference = largest(ours.embeddings, candle.embeddings);
  assert.ok(difference > 0 && difference <= 1e-5, `the embeddings differ by ${difference}`);
  reference.answers.forEach(({ image, logits }, i) => {
    assertClose(largest(candle.logits[i], logits), 0, 1e-3, `${image}, by the reference`);
    assertClose(largest(candle.logits[i], ours.logits[i]), 0, 1e-3, `${image}, by our engine`);
  });
});

/**
 * What an engine answers of the checkpoint that is made while it is served.
 * @param {import('playwright-core').Page} page
 * @param {import('../../www/siglip.js').LoadOptions} options
 * @param {string[]} texts
 */
const ofBase = (page, options, texts) =>
  page.evaluate(
    async ({ options, texts }) => {
      const { Siglip } = await import('/www/siglip.js');
      const siglip = await Siglip.load('/base/', { ...options, cache: false });
      const images = await siglip.embedImage(['/www/samples/cat.jpg', '/www/samples/boat.jpg']);
      const embeddings = [...images, ...(await siglip.embedText(texts))].map((vector) => [...vector]);
      const scores = await siglip.classify('/www/samples/cat.jpg', ['a cat', 'a boat']);
      siglip.dispose();
      return { embeddings, logits: scores.map(({ logit }) => logit), engine: siglip.info.engine };
    },
    { options, texts },
  );

test('at the shape of base-patch16-256 candle answers what our engine and the reference do', async () => {
  const recorded = JSON.parse(await readFile(fileAt('tests/parity/model-base-patch16-256.json'), 'utf8'));
  const page = await harness.open(blank);
  const files = smallFiles();
  harness.server.intercept = (path, response) => {
    const name = path.startsWith('/base/') && path.slice('/base/'.length);
    if (!name) return false;
    if (name === 'model.safetensors') return void Readable.from(randomBase()).pipe(response);
    if (!(name in files)) return false;
    response.end(JSON.stringify(files[/** @type {keyof typeof files} */ (name)]));
  };
  const { texts, weights_sha256: sha256 } = recorded;
  const candle = await ofBase(page, { engine: 'candle', sha256 }, texts);
  const ours = await ofBase(page, { precision: 'f32', workers: 1 }, texts);
  assert.deepEqual([candle.engine, ours.engine], ['candle', undefined]);

  assert.equal(candle.embeddings.length, 2 + texts.length);
  const difference = largest(candle.embeddings.flat(), ours.embeddings.flat());
  assert.ok(difference > 0 && difference <= 1e-5, `the embeddings differ by ${difference}`);
  assert.ok(largest(candle.logits, ours.logits) <= 1e-3, `${candle.logits} and ${ours.logits}`);
  for (const { embeddings } of [candle, ours]) {
    assert.ok(largest(embeddings.slice(2).flat(), recorded.text_embeds.flat()) <= 1e-5, 'by the reference');
  }
});

test('a second visit has the weights from the cache, and the labels from its own engine', async () => {
  const page = await harness.open(blank);
  // What our engine has embedded and cached in single precision is not taken for candle's answer.
  await answersOf(page, { precision: 'f32', workers: 1 });
  const first = await answersOf(page, { engine: 'candle' });
  const visit = await openIn(page.context(), `${harness.server.origin}${blank.path}`);
  harness.server.log.length = 0;
  const second = await answersOf(visit, { engine: 'candle' });
  assert.deepEqual(second, first);
  assert.deepEqual(
    harness.server.log.filter((line) => line.startsWith('GET') && line.includes('safetensors')),
    [],
  );
});

test('what candle lacks is refused, with the way out', async () => {
  const page = await harness.open(blank);
  const refused = (/** @type {string} */ model, /** @type {any} */ options) =>
    page.evaluate(async ([model, options]) => {
      const { Siglip } = await import('/www/siglip.js');
      return Siglip.load(model, options).then(
        () => 'loaded',
        ({ code, message }) => `${code}: ${message}`,
      );
    }, /** @type {const} */ ([model, options]));
  const candle = { engine: 'candle' };
  assert.match(await refused('tiny', { engine: 'onnx' }), /^bad-input: engine is "auto" or "candle"/);
  assert.match(await refused('tiny', { ...candle, precision: 'q8' }), /^bad-input: .*precision is "f32"/);
  assert.match(await refused('tiny', { ...candle, workers: 2 }), /^bad-input: .*workers is 1, not 2/);
  assert.match(await refused('tiny', { ...candle, device: 'gpu' }), /^bad-input: .*device is "cpu"/);
  const naflex = `${harness.server.origin}/tests/fixtures/random-naflex/`;
  assert.match(
    await refused(naflex, candle),
    /^unsupported-model: .*candle's SigLIP has no NaFlex.*; load it with the default engine/,
  );
});

test("the element answers with candle's engine where its attribute says so", async () => {
  const page = await harness.open(blank);
  const found = await page.evaluate(async () => {
    await import('/www/siglip-classifier.js');
    const element = /** @type {any} */ (document.createElement('siglip-classifier'));
    element.setAttribute('engine', 'candle');
    document.body.append(element);
    const { info } = await element.load();
    element.engine = undefined;
    const ours = await element.load();
    const { engine, precision } = info;
    return { engine, precision, others: ours.info.engine, attribute: element.getAttribute('engine') };
  });
  assert.deepEqual(found, { engine: 'candle', precision: 'f32', others: undefined, attribute: null });
});

test('the page compares its answer with that of candle', async () => {
  const page = await harness.open();
  const labels = await labelsOf(page, 'insect.jpg');
  const card = cardOf(page, 'insect.jpg');
  await card.getByText('Why?').click();
  await card.getByText('Check against candle').click();
  const status = card.locator('.check [role=status]');
  await status.getByText('Largest difference').waitFor({ timeout: 60_000 });
  const text = (await status.textContent()) ?? '';
  const difference = Number(/logit: ([\d.e+-]+?)\. /.exec(text)?.[1]);
  assert.ok(difference > 0 && difference < 1, text);
  const rows = await card.locator('.check tr td:first-child').allTextContents();
  assert.deepEqual(rows, labels);
  assert.deepEqual(await problemsOf(page), []);
});
