/** Vectors for other uses than scores, in the browser: against the recorded reference. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { Harness, assertClose, fileAt, problemsOf } from './harness.js';

const harness = new Harness();
const recorded = JSON.parse(await readFile(fileAt('tests/parity/vectors.json'), 'utf8'));

test('the head, the mean and the patches are the reference’s, with one worker and with two', async () => {
  const page = await harness.open({ path: '/tests/browser/pages/blank.html' });
  const answers = await page.evaluate(
    async ({ sides, models }) => {
      const { Siglip } = await import('/www/siglip.js');
      // The recording's formula: the level at place i of [height, width, 3] of picture n.
      const pictures = sides.map(([height, width], n) => {
        const picture = new ImageData(width, height);
        for (let i = 0; i < 3 * width * height; i++) {
          picture.data[4 * Math.floor(i / 3) + (i % 3)] = (7 * i * i + 13 * i + 31 * n) % 256;
        }
        for (let pixel = 0; pixel < width * height; pixel++) picture.data[4 * pixel + 3] = 255;
        return picture;
      });
      const answers = [];
      for (const model of models) {
        for (const workers of [1, 2]) {
          const siglip = await Siglip.load(`/tests/fixtures/random-${model}/`, { precision: 'f32', workers });
          answers.push({
            head: await siglip.embedImage(pictures, { normalize: false }),
            mean: await siglip.embedImage(pictures, { pooling: 'mean', normalize: false }),
            unit: await siglip.embedImage(pictures[0], { pooling: 'mean' }),
            own: await siglip.embedImage(pictures[0]),
            named: await siglip.embedImage(pictures[0], { pooling: 'head' }),
            patches: await siglip.embedPatches(pictures, { normalize: false }),
          });
          siglip.dispose();
        }
      }
      return answers;
    },
    {
      sides: /** @type {number[][]} */ (recorded.pictures),
      models: /** @type {string[]} */ (recorded.models.map((/** @type {any} */ { model }) => model)),
    },
  );
  assert.equal(answers.length, 4);
  for (const [at, { head, mean, unit, own, named, patches }] of answers.entries()) {
    const expected = recorded.models[at >> 1];
    const close = (/** @type {ArrayLike<number>} */ found, /** @type {number[]} */ wanted) => {
      const values = Object.values(found);
      assert.equal(values.length, wanted.length);
      values.forEach((value, i) =>
        assertClose(value, wanted[i], 1e-5 * Math.max(1, Math.abs(wanted[i])), expected.model),
      );
    };
    for (const n of recorded.pictures.keys()) {
      close(head[n], expected.head[n]);
      close(mean[n], expected.mean[n]);
      close(patches[n].vectors, expected.patches[n].flat());
      assert.deepEqual([patches[n].rows, patches[n].columns], expected.grids[n]);
      assert.equal(patches[n].size, expected.mean[n].length);
    }
    const norm = Math.hypot(...expected.mean[0]);
    close(
      unit,
      expected.mean[0].map((/** @type {number} */ value) => value / norm),
    );
    assert.deepEqual(Object.values(named), Object.values(own));
  }
  assert.deepEqual(await problemsOf(page), []);
});

test('a pooling that there is not is refused, and the model goes on', async () => {
  const page = await harness.open({ path: '/tests/browser/pages/blank.html' });
  const { refusals, length, patches } = await page.evaluate(async () => {
    const { Siglip } = await import('/www/siglip.js');
    const picture = '/www/samples/cat.jpg';
    const [siglip, classifier] = [
      await Siglip.load('tiny', { workers: 2 }),
      await Siglip.load('/tests/fixtures/random-classifier/'),
    ];
    const refusals = [];
    for (const call of [
      () => siglip.embedImage(picture, { pooling: /** @type {any} */ ('max') }),
      () => classifier.embedImage(picture, { pooling: 'head' }),
    ]) {
      refusals.push(
        await call().then(
          () => ({ code: 'none', message: '' }),
          ({ code, message }) => ({ code, message }),
        ),
      );
    }
    return {
      refusals,
      length: (await siglip.embedImage(picture)).length,
      patches: await siglip.embedPatches(picture),
    };
  });
  assert.match(refusals[0].message, /"head" or "mean", not "max"/);
  assert.match(refusals[1].message, /does not use its pooling head/);
  for (const { code } of refusals) assert.equal(code, 'bad-input');
  assert.equal(length, 192);
  const { rows, columns, size, vectors } = patches;
  assert.equal(Object.values(vectors).length, rows * columns * size);
  assertClose(Math.hypot(...Object.values(vectors).slice(0, size)), 1, 1e-5, 'norm');
});

test('maps of what speaks for a label are the same with one worker and with two', async () => {
  const page = await harness.open({ path: '/tests/browser/pages/blank.html' });
  const { maps, passes, naflex, classifier, refusals, after } = await page.evaluate(async () => {
    const { Siglip } = await import('/www/siglip.js');
    const picture = '/www/samples/cat.jpg';
    const maps = [];
    let passes = 0;
    for (const workers of [1, 2]) {
      const siglip = await Siglip.load('tiny', { workers, precision: 'f32' });
      const fast = await siglip.explain(picture, 'a cat');
      const slow = await siglip.explain(picture, 'a cat', {
        method: 'occlusion',
        onProgress: ({ done, total }) => (passes = Math.max(passes, total - done)),
      });
      maps.push(fast, slow);
      siglip.dispose();
    }
    const own = await Siglip.load('/tests/fixtures/random-classifier/');
    const siglip = await Siglip.load('tiny');
    const { label } = (await own.classify(picture))[0];
    const abort = new AbortController();
    /** @type {(call: Promise<unknown>) => Promise<string>} */
    const refusal = (call) =>
      call.then(
        () => 'none',
        ({ code, message }) => `${code}: ${message}`,
      );
    const refusals = [
      await refusal(siglip.explain(picture, 'кошка')),
      await refusal(siglip.explain(picture, 'a cat', { method: /** @type {any} */ ('gradient') })),
      await refusal(own.explain(picture, 'none of its classes')),
      await refusal(
        siglip.explain(picture, 'a cat', {
          method: 'occlusion',
          signal: abort.signal,
          onProgress: () => abort.abort(),
        }),
      ),
    ];
    return {
      maps,
      passes,
      naflex: await (await Siglip.load('/tests/fixtures/random-naflex/')).explain(picture, 'a cat'),
      classifier: await own.explain(picture, label),
      refusals,
      after: (await siglip.classify(picture, ['a cat', 'a dog']))[0].label,
    };
  });
  const [fast, slow, fastOfTwo, slowOfTwo] = maps.map(({ values }) => Object.values(values));
  for (const map of maps)
    assert.deepEqual([map.width, map.height, Object.values(map.values).length], [14, 14, 196]);
  fast.forEach((value, i) => assertClose(fastOfTwo[i], value, 1e-3, 'fast'));
  slow.forEach((value, i) => assertClose(slowOfTwo[i], value, 1e-3, 'occlusion'));
  assert.ok(passes > 35, `${passes} passes`);
  assert.equal(Object.values(naflex.values).length, naflex.width * naflex.height);
  assert.ok(naflex.width !== naflex.height);
  assert.equal(Object.values(classifier.values).length, classifier.width * classifier.height);
  assert.match(refusals[0], /^bad-input: The model cannot read "кошка"/);
  assert.match(refusals[1], /^bad-input: method is "fast" or "occlusion", not "gradient"/);
  assert.match(refusals[2], /^bad-input: "none of its classes" is none of the classifier's classes/);
  assert.match(refusals[3], /^aborted/);
  assert.equal(after, 'a cat');
  assert.deepEqual(await problemsOf(page), []);
});
