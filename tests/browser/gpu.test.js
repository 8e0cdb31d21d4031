/**
 * Blocks on the GPU, in Chromium with SwiftShader: a GPU's work on the CPU. It shows what is right and what is wrong, and nothing
 * about speed.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { launchChromium } from './browsers.js';
import { Harness, problemsOf } from './harness.js';

const harness = new Harness(() =>
  launchChromium(['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader']),
);
const open = async () => {
  const page = await harness.open({ path: '/tests/browser/pages/blank.html' });
  // SwiftShader takes seconds to compile a tower's pipelines.
  page.setDefaultTimeout(120_000);
  return page;
};

/** @param {ArrayLike<number>} a @param {ArrayLike<number>} b */
const cosine = (a, b) => Array.from(a).reduce((sum, value, i) => sum + value * b[i], 0);

/** @typedef {import('./pages/gpu-blocks.js').Shape} Shape */
/** Sizes that fit no tile, and one with the tiles of published models. @type {Shape[]} */
const shapes = [
  { hidden: 36, heads: 4, middle: 70, gelu: 'gelu_pytorch_tanh', length: 17, sequences: 1, precision: 'f32' },
  { hidden: 64, heads: 1, middle: 65, gelu: 'gelu', length: 33, sequences: 2, precision: 'q8' },
  { hidden: 5, heads: 5, middle: 3, gelu: 'gelu', length: 1, sequences: 3, precision: 'f32' },
  { hidden: 320, heads: 2, middle: 513, gelu: 'gelu', length: 9, sequences: 2, precision: 'f32' },
  {
    hidden: 576,
    heads: 8,
    middle: 530,
    gelu: 'gelu_pytorch_tanh',
    length: 70,
    sequences: 1,
    precision: 'q8',
  },
];
for (const [i, shape] of shapes.entries()) {
  const { hidden, heads, middle, precision } = shape;
  test(`a block of ${heads} heads in ${hidden}, and ${middle}, in ${precision}: the plainest arithmetic gives the same`, async () => {
    const page = await open();
    const { attention, mlp, isSame } = await page.evaluate(
      async ({ shape, seed }) => {
        const { differences } = await import('/tests/browser/pages/gpu-blocks.js');
        return differences(shape, seed);
      },
      { shape, seed: i + 1 },
    );
    assert.ok(attention < 2e-6 && mlp < 2e-6, `${attention}, ${mlp}`);
    assert.ok(isSame);
  });
}

const images = ['cat.jpg', 'boat.jpg'];
const texts = ['a cat', 'a boat on the water', ''].concat(Array.from({ length: 20 }, (_, i) => `cat ${i}`));

for (const [model, precision] of /** @type {[string, 'f32' | 'q8'][]} */ ([
  ['tiny', 'q8'],
  ['/tests/fixtures/random-i18n/', 'f32'],
  ['/tests/fixtures/random-giant/', 'f32'],
  ['/tests/fixtures/random-naflex/', 'q8'],
  ['/tests/fixtures/random-open-clip/', 'f32'],
  ['/tests/fixtures/random-siglip2/', 'q8'],
  ['/tests/fixtures/random-small/', 'q8'],
])) {
  test(`${model} on the GPU embeds as on the CPU in ${precision}`, async () => {
    const page = await open();
    const [exact, cpu, gpu] = await page.evaluate(
      async ({ model, images, texts, precision }) => {
        const { Siglip } = await import('/www/siglip.js');
        /** @param {'cpu' | 'gpu'} device @param {'f32' | 'q8'} precision */
        const embed = async (device, precision) => {
          const siglip = await Siglip.load(model, { precision, device, cache: false, workers: 1 });
          const { info } = siglip;
          if (info.device !== device || info.notices.length) throw new Error(JSON.stringify(info.notices));
          const ofImages = await siglip.embedImage(images.map((name) => `/www/samples/${name}`));
          const again = await siglip.embedImage(`/www/samples/${images[0]}`);
          if (again.some((value, i) => value !== ofImages[0][i]))
            throw new Error('other bits the second time');
          const all = [...ofImages, ...(await siglip.embedText(texts))];
          siglip.dispose();
          return all.map((values) => Array.from(values));
        };
        return [await embed('cpu', 'f32'), await embed('cpu', precision), await embed('gpu', precision)];
      },
      { model, images, texts, precision },
    );
    for (const [i, want] of exact.entries()) {
      const largest = Math.max(...want.map((value, j) => Math.abs(value - gpu[i][j])));
      if (precision === 'f32') assert.ok(largest < 1e-5, `input ${i}: ${largest}`);
      // What 8 bits cost these small models is the weights' loss, which both engines share.
      assert.ok(cosine(gpu[i], want) >= 0.9995, `input ${i}: ${cosine(gpu[i], want)}`);
      assert.ok(cosine(gpu[i], cpu[i]) >= 0.9999, `input ${i}: ${cosine(gpu[i], cpu[i])} to the CPU's`);
    }
    assert.deepEqual(await problemsOf(page), []);
  });
}

/** By fault: the notice, and where the blocks run in the end. @type {Record<string, [string | undefined, 'cpu' | 'gpu']>} */
const faults = {
  'no gpu': ['gpu-missing', 'cpu'],
  'no adapter': ['gpu-missing', 'cpu'],
  'no device': ['gpu-missing', 'cpu'],
  'pipeline refused': ['gpu-wrong', 'cpu'],
  'out of memory': ['gpu-memory', 'cpu'],
  'buffer refused': ['gpu-memory', 'cpu'],
  'weights corrupted': ['gpu-wrong', 'cpu'],
  'wrong shader': ['gpu-wrong', 'cpu'],
  'other answer the second time': ['gpu-wrong', 'cpu'],
  'NaN in a pass': ['gpu-wrong', 'cpu'],
  'map rejected': ['gpu-lost', 'cpu'],
  'lost while loading': ['gpu-lost', 'cpu'],
  'lost in every pass': ['gpu-lost', 'cpu'],
  'lost in one pass': [undefined, 'gpu'],
  'lost after a pass': [undefined, 'gpu'],
};
for (const [fault, [code, device]] of Object.entries(faults)) {
  test(`${fault}: the answer is right nevertheless`, async () => {
    const page = await open();
    const { notices, told, info, difference } = await page.evaluate(async (fault) => {
      const { Siglip } = await import('/www/siglip.js');
      const model = '/tests/fixtures/random-open-clip/';
      const options = /** @type {const} */ ({ precision: 'f32', towers: 'image', cache: false });
      /** @type {string[]} */
      const told = [];
      const siglip = await Siglip.load(model, {
        ...options,
        device: 'gpu',
        workerUrl: `/tests/browser/pages/gpu-fault-worker.js?fault=${encodeURIComponent(fault)}`,
        onNotice: ({ code }) => told.push(code),
      });
      const onCpu = await Siglip.load(model, options);
      let difference = 0;
      for (const name of ['cat.jpg', 'boat.jpg', 'cat.jpg']) {
        const [got, want] = [
          await siglip.embedImage(`/www/samples/${name}`),
          await onCpu.embedImage(`/www/samples/${name}`),
        ];
        want.forEach((value, i) => (difference = Math.max(difference, Math.abs(value - got[i]))));
        // Time for a device that is lost between two passes.
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      return { notices: siglip.info.notices.map(({ code }) => code), told, info: siglip.info, difference };
    }, fault);
    assert.ok(difference < 1e-5, String(difference));
    assert.deepEqual([notices, told], code ? [[code], [code]] : [[], []]);
    assert.equal(info.device, device);
  });
}

test('"auto" takes no software for a GPU, and says nothing of it', async () => {
  const page = await open();
  const infos = await page.evaluate(async () => {
    const { Siglip } = await import('/www/siglip.js');
    const infos = [];
    for (const device of /** @type {const} */ (['auto', 'cpu', undefined])) {
      infos.push((await Siglip.load('/tests/fixtures/random-small/', { device, cache: false })).info);
    }
    return infos;
  });
  assert.deepEqual(infos[0], infos[1]);
  assert.deepEqual(infos[0], infos[2]);
  assert.deepEqual([infos[0].device, infos[0].notices], ['cpu', []]);
});
