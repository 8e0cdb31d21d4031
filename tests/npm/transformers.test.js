/** siglip-web/transformers beside transformers.js: the same calls, whose answers transformers/record.js has recorded. */
import assert from 'node:assert/strict';
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { Harness, assertClose, fileAt } from '../browser/harness.js';
import { install, projects, run } from './projects.js';
import { serve } from './site.js';

/** @typedef {Awaited<ReturnType<typeof import('./transformers/calls.js').answers>>} Answers */

const harness = new Harness();
/** Lies in a folder `onnx` on the hub. */
const COMBINED = 'tests/fixtures/onnx/raw/model_quantized.onnx';
before(install);

/** @type {{answers: Answers}} */
const recorded = JSON.parse(await readFile(fileAt('tests/npm/transformers/answers.json'), 'utf8'));

/** The cosine of two vectors. @param {number[]} a @param {number[]} b */
function cosine(a, b) {
  const dot = (/** @type {number[]} */ a, /** @type {number[]} */ b) =>
    a.reduce((sum, value, i) => sum + value * b[i], 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}

/** @param {Answers} found */
function assertSame(found) {
  const { answers: expected } = recorded;
  for (const name of /** @type {const} */ (['text', 'vision', 'patches', 'pooled'])) {
    assert.deepEqual(found[name].dims, expected[name].dims, name);
    found[name].data.forEach((value, i) => assertClose(value, expected[name].data[i], 2e-5, `${name} ${i}`));
  }
  // `fitting` is `photo`, resized by Pillow. transformers.js resizes with sharp, and differs from Python.
  assert.deepEqual(found.resized.dims, expected.resized.dims);
  assert.ok(cosine(found.resized.data, expected.vision.data) > 0.999);
  assert.ok(cosine(expected.resized.data, expected.vision.data) < 0.8);
  // onnxruntime rounds activations to 8 bits in another way.
  for (const name of /** @type {const} */ (['image_embeds', 'text_embeds'])) {
    assert.deepEqual(found[name].dims, expected[name].dims, name);
    assert.ok(cosine(found[name].data, expected[name].data) > 0.9999, name);
  }
  for (const name of /** @type {const} */ (['logits_per_image', 'logits_per_text'])) {
    assert.deepEqual(found[name].dims, expected[name].dims, name);
    found[name].data.forEach((value, i) => assertClose(value, expected[name].data[i], 2e-3, `${name} ${i}`));
  }
  // The two labels are so close that their order may differ.
  const scores = (/** @type {Answers} */ { scores }) =>
    Object.fromEntries(scores.map(({ label, score }) => [label, score]));
  assert.deepEqual(Object.keys(scores(found)).sort(), ['a cat', 'a dog']);
  for (const [label, score] of Object.entries(scores(found)))
    assertClose(score, scores(expected)[label], 5e-4, label);
}

test('the calls of the model cards give in Node.js what they give with transformers.js', async () => {
  await mkdir(join(projects, 'node'), { recursive: true });
  await cp(fileAt('tests/npm/transformers/calls.js'), join(projects, 'node/calls.mjs'));
  await cp(fileAt('tests/fixtures/onnx'), join(projects, 'node/combined'), { recursive: true });
  await mkdir(join(projects, 'node/combined/onnx'));
  await cp(fileAt(COMBINED), join(projects, 'node/combined/onnx/model_quantized.onnx'));
  const asked = {
    towers: fileAt('tests/fixtures/random-small'),
    combined: join(projects, 'node/combined'),
    fitting: fileAt('tests/npm/transformers/fitting.png'),
    photo: fileAt('www/samples/cat.jpg'),
  };
  await writeFile(
    join(projects, 'node/transformers.mjs'),
    `import * as library from 'siglip-web/transformers';
     import { answers } from './calls.mjs';
     console.log(JSON.stringify(await answers(library, ${JSON.stringify(asked)})));`,
  );
  assertSame(JSON.parse(await run('node', 'node', 'transformers.mjs')));
});

test('they give the same in a browser', async () => {
  const site = await serve(join(projects, 'node_modules/siglip-web'), { 'access-control-allow-origin': '*' });
  try {
    const page = await harness.open({ path: '/tests/browser/pages/blank.html' });
    const model = await readFile(fileAt(COMBINED));
    harness.server.intercept = (path, response) =>
      path === '/tests/fixtures/onnx/onnx/model_quantized.onnx' && void response.end(model);
    const found = await page.evaluate(async (origin) => {
      const library = await import(`${origin}/transformers.js`);
      const { answers } = await import('/tests/npm/transformers/calls.js');
      return answers(library, {
        towers: '/tests/fixtures/random-small/',
        combined: '/tests/fixtures/onnx/',
        fitting: '/tests/npm/transformers/fitting.png',
        photo: '/www/samples/cat.jpg',
      });
    }, site.origin);
    assertSame(found);
  } finally {
    site.close();
  }
});

test('models of one name share an engine, and what is wrong is said', async () => {
  const found = await harness.open({ path: '/tests/browser/pages/blank.html' }).then((page) =>
    page.evaluate(async () => {
      const { AutoTokenizer, RawImage, SiglipModel, SiglipTextModel, SiglipVisionModel, Tensor, pipeline } =
        await import('/www/transformers.js');
      const { outcome } = await import('/tests/browser/pages/outcome.js');
      const [text, vision] = await Promise.all([
        SiglipTextModel.from_pretrained('tiny'),
        SiglipVisionModel.from_pretrained('tiny'),
      ]);
      const inputs = (await AutoTokenizer.from_pretrained('tiny'))('a cat');
      await vision.dispose();
      await vision.dispose();
      const { pooler_output } = await text(inputs);
      const none = await outcome(text(/** @type {any} */ ({})));
      await text.dispose();
      const gone = await outcome(text(inputs));
      // One grey and one half transparent pixel.
      const grey = await RawImage.read({ data: [128], width: 1, height: 1, channels: 1 });
      const clear = await RawImage.read({ data: [1, 2, 3, 4], width: 1, height: 1, channels: 4 });
      const both = await SiglipModel.from_pretrained('tiny');
      const unpaired = await outcome(both(/** @type {any} */ (inputs)));
      await both.dispose();
      const extractor = await pipeline('feature-extraction', 'tiny');
      const normalized = await extractor(['a cat', 'a dog'], { normalize: true });
      const pooled = await outcome(extractor('a cat', { pooling: 'mean' }));
      extractor.dispose();
      const classify = await pipeline('zero-shot-image-classification', 'tiny');
      const scores = await classify('/www/samples/cat.jpg', 'a dog, a cat');
      classify.dispose();
      return {
        dims: pooler_output.dims,
        none,
        gone,
        pixels: [grey, clear].map((image) => [.../** @type {ImageData} */ (image).data]),
        unpaired,
        norms: [...normalized].map(({ data }) => Math.hypot(...data)),
        pooled,
        labels: scores.map(({ label }) => label),
        list: new Tensor(new Float32Array([3, 4, 0, 2]), [2, 2]).normalize().tolist(),
      };
    }),
  );
  assert.deepEqual(found.dims.length, 2);
  assert.match(found.none.message, /no texts: pass what the tokenizer has returned/);
  assert.equal(found.gone.code, 'aborted');
  assert.deepEqual(found.pixels, [
    [128, 128, 128, 255],
    [1, 2, 3, 4],
  ]);
  assert.match(found.unpaired.message, /no pictures: pass what the processor has returned/);
  found.norms.forEach((norm) => assertClose(norm, 1, 1e-5, 'norm'));
  assert.match(found.pooled.message, /Leave out `pooling: "mean"`/);
  assert.deepEqual(found.labels, ['a cat', 'a dog']);
  found.list.flat().forEach((value, i) => assertClose(value, [0.6, 0.8, 0, 1][i], 1e-6, `value ${i}`));
});
