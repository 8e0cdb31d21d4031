/** Models at another resolution than the checkpoint's, in the browser: against the recorded reference. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { Harness, assertClose, fileAt, problemsOf } from './harness.js';

const harness = new Harness();
const recorded = JSON.parse(await readFile(fileAt('tests/parity/resolution.json'), 'utf8'));

test('other sizes of images and other numbers of patches give the reference’s embeddings', async () => {
  const page = await harness.open({ path: '/tests/browser/pages/blank.html' });
  const cases = [
    ...recorded.fixed
      .filter((/** @type {any} */ { model }) => model !== 'classifier')
      .map((/** @type {any} */ { model, image_size }) => ({ model, imageSize: image_size })),
    ...recorded.naflex.map((/** @type {any} */ { max_patches }) => ({
      model: 'naflex',
      maxPatches: max_patches,
    })),
  ];
  const expected = [...recorded.fixed, ...recorded.naflex].filter(({ model }) => model !== 'classifier');
  const found = await page.evaluate(
    async ({ cases, sides }) => {
      const { Siglip } = await import('/www/siglip.js');
      const { recordedPictures } = await import('/tests/browser/pages/recorded-pictures.js');
      const pictures = recordedPictures(sides);
      const found = [];
      for (const [at, { model, ...sizes }] of cases.entries()) {
        // Every third with two workers.
        const options = { .../** @type {const} */ ({ precision: 'f32' }), workers: at % 3 ? 1 : 2, ...sizes };
        const siglip = await Siglip.load(`/tests/fixtures/random-${model}/`, options);
        const embeddings = (await siglip.embedImage(pictures)).map((embedding) => [...embedding]);
        found.push({ embeddings, info: siglip.info });
        siglip.dispose();
      }
      return found;
    },
    { cases, sides: /** @type {number[][]} */ (recorded.pictures) },
  );
  for (const [at, { embeddings, info }] of found.entries()) {
    const { values, image_size, max_patches } = expected[at];
    assert.equal(info.imageSize, image_size ?? 16);
    assert.equal(info.maxPatches, max_patches);
    for (const [n, embedding] of embeddings.entries()) {
      for (const [i, x] of embedding.entries()) assertClose(x, values[n][i], 1e-5, JSON.stringify(cases[at]));
    }
  }
  assert.deepEqual(await problemsOf(page), []);
});

test('sizes that a model cannot have are refused, and the cached model stays', async () => {
  const page = await harness.open({ path: '/tests/browser/pages/blank.html' });
  let weights = 0;
  harness.server.intercept = (path, response) => {
    if (path.endsWith('model.safetensors') && response.req.method === 'GET') weights++;
    return false;
  };
  const { refusals, models, sizes } = await page.evaluate(async () => {
    const { Siglip, cachedModels } = await import('/www/siglip.js');
    const [small, naflex] = ['/tests/fixtures/random-small/', '/tests/fixtures/random-naflex/'];
    (await Siglip.load(small)).dispose();
    const refusals = [];
    for (const [model, options] of /** @type {[string, any][]} */ ([
      [small, { imageSize: 50 }],
      [small, { imageSize: 50, workers: 2 }],
      [small, { imageSize: 0 }],
      [small, { imageSize: 42.5 }],
      [small, { imageSize: NaN }],
      [small, { imageSize: '42' }],
      [small, { imageSize: 1e9 }],
      [small, { imageSize: 910 }],
      [small, { maxPatches: 64 }],
      [naflex, { maxPatches: 1025 }],
      [naflex, { maxPatches: -1 }],
      [naflex, { imageSize: 32 }],
    ])) {
      const outcome = await Siglip.load(model, options).then(
        () => 'loaded',
        ({ code, message }) => `${code}: ${message}`,
      );
      refusals.push(outcome);
    }
    const models = (await cachedModels()).length;
    const element = /** @type {any} */ (document.createElement('siglip-classifier'));
    await import('/www/siglip-classifier.js');
    document.body.append(element);
    const sizes = [];
    for (const size of ['70', 'many', '28']) {
      element.setAttribute('image-size', size);
      element.model = small;
      const loaded = await element
        .load()
        .catch((/** @type {any} */ { code }) => ({ info: { imageSize: code } }));
      sizes.push(loaded.info.imageSize, element.imageSize);
    }
    element.remove();
    return { refusals, models, sizes };
  });
  const reasons = [
    /take 42 or 56/,
    /take 42 or 56/,
    /imageSize is a whole number of pixels, not 0/,
    /not 42.5/,
    /not NaN/,
    /imageSize is a whole number of pixels, not .*string/,
    /at most 896/,
    /at most 896/,
    /give an image size/,
    /from 1 to 1024/,
    /maxPatches is a whole number, not -1/,
    /give a greatest number of patches/,
  ];
  assert.equal(refusals.length, reasons.length);
  for (const [at, reason] of reasons.entries()) {
    assert.match(refusals[at], /^bad-input: /);
    assert.match(refusals[at], reason);
  }
  assert.deepEqual([models, weights], [1, 1]);
  assert.deepEqual(sizes, [70, 70, 'bad-input', NaN, 28, 28]);
  assert.deepEqual(await problemsOf(page), []);
});
