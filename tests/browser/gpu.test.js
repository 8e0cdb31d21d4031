/**
 * Blocks on the GPU, in Chromium with SwiftShader: a GPU's work on the CPU. It shows what is right and what is wrong, and nothing
 * about speed.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { launchChromium } from './browsers.js';
import { Harness, problemsOf } from './harness.js';
import { labelsOf } from './page-actions.js';

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
/** Sizes that fit no tile, and one with the tiles of published models, of which all programs are compiled. @type {Shape[]} */
const shapes = [
  {
    hidden: 36,
    heads: 4,
    middle: 70,
    gelu: 'gelu_pytorch_tanh',
    length: 17,
    sequences: 1,
    precision: 'f32',
    hasAllPrograms: false,
  },
  {
    hidden: 180,
    heads: 2,
    middle: 530,
    gelu: 'gelu',
    length: 35,
    sequences: 2,
    precision: 'q8',
    hasAllPrograms: true,
  },
];
for (const [i, shape] of shapes.entries()) {
  const { hidden, heads, middle, precision } = shape;
  test(`a block of ${heads} heads in ${hidden}, and ${middle}, in ${precision}: the plainest arithmetic gives the same`, async () => {
    const page = await open();
    const { attention, mlp, isSame, hasShortSubmits, passes } = await page.evaluate(
      async ({ shape, seed }) => {
        const { differences } = await import('/tests/browser/pages/gpu-blocks.js');
        return differences(shape, seed);
      },
      { shape, seed: i + 1 },
    );
    assert.ok(attention < 2e-6 && mlp < 2e-6, `${attention}, ${mlp}`);
    assert.ok(isSame && hasShortSubmits);
    assert.equal(passes, shape.sequences);
  });
}

const images = ['cat.jpg', 'boat.jpg'].map((name) => `/www/samples/${name}`);
const texts = ['a cat', 'a boat on the water', ''];

const small = ['config.json', 'preprocessor_config.json'];
const whole = [...small, 'tokenizer.json', 'model.safetensors'];
for (const [model, precision, names = whole] of /** @type {[string, 'f32' | 'q8', string[]?][]} */ ([
  ['random-naflex', 'q8'],
  ['random-open-clip', 'f32', [...small, 'tokenizer.json', 'open_clip_model.safetensors']],
  ['random-small', 'f32'],
  ['random-giant', 'q8'],
  ['random-siglip2', 'f32'],
  ['random-vision', 'f32', ['config.json', 'processor_config.json', 'model.safetensors']],
  ['random-classifier', 'f32', [...small, 'model.safetensors']],
])) {
  test(`the towers of ${model} in ${precision} give what the same weights give in f32 on the CPU`, async (t) => {
    const page = await open();
    const given = names.includes('tokenizer.json') ? texts : [];
    const { gpu, cpu, original } = await page.evaluate(
      async ({ folder, names, precision, images, texts }) => {
        const { parity } = await import('/tests/browser/pages/gpu-parity.js');
        return parity(folder, names, precision, images, texts);
      },
      { folder: `/tests/fixtures/${model}/`, names, precision, images, texts: given },
    );
    assert.equal(gpu.length, images.length + given.length);
    for (const [i, want] of cpu.entries()) {
      const largest = Math.max(...want.map((value, j) => Math.abs(value - gpu[i][j])));
      // A classifier's vectors have no norm of 1.
      const scale = Math.max(1, ...want.map(Math.abs));
      assert.ok(largest < 1e-5 * scale, `input ${i}: ${largest}`);
    }
    const lowest = Math.min(...original.map((want, i) => cosine(gpu[i], want)));
    if (precision === 'q8')
      t.diagnostic(`rounding every matrix of ${model} to 8 bits leaves a cosine of ${lowest}`);
    assert.deepEqual(await problemsOf(page), []);
  });
}

test('the embedded model embeds on the GPU as on the CPU in f32', async () => {
  const page = await open();
  const { info, exact, gpu, again } = await page.evaluate(
    async ({ images, texts }) => {
      const { Siglip } = await import('/www/siglip.js');
      const many = texts.concat(Array.from({ length: 8 }, (_, i) => `cat ${i}`));
      const embed = async (/** @type {import('/www/siglip.js').Siglip} */ siglip) =>
        [...(await siglip.embedImage(images)), ...(await siglip.embedText(many))].map((values) =>
          Array.from(values),
        );
      const exact = await Siglip.load('tiny', { precision: 'f32', cache: false });
      const siglip = await Siglip.load('tiny', { device: 'gpu', cache: false });
      const gpu = await embed(siglip);
      const again = Array.from(await siglip.embedImage(images[0]));
      return { info: siglip.info, exact: await embed(exact), gpu, again };
    },
    { images, texts },
  );
  assert.deepEqual([info.device, info.workers, info.notices], ['gpu', 1, []]);
  assert.match(String(info.adapter), /swiftshader/i);
  // Its weights are 8-bit levels in f32, too.
  for (const [i, want] of exact.entries()) {
    const lost = 1 - cosine(gpu[i], want);
    assert.ok(lost < 1e-6, `input ${i}: ${lost}`);
  }
  assert.deepEqual(again, gpu[0]);
  assert.deepEqual(await problemsOf(page), []);
});

test('the pictures of a list share passes, and after a fault the CPU answers for each', async () => {
  const page = await open();
  const { expected, found, runs, afterFault, codes } = await page.evaluate(async () => {
    const { Siglip } = await import('/www/siglip.js');
    const model = '/tests/fixtures/random-open-clip/';
    const options = /** @type {const} */ ({ precision: 'f32', towers: 'image', cache: false, workers: 1 });
    const pictures = Array.from({ length: 11 }, (_, i) => {
      const rgba = Uint8ClampedArray.from({ length: 4 * 20 * 16 }, (_, at) => (at * 31 * (i + 1)) % 256);
      return new ImageData(rgba, 20, 16);
    });
    const arrays = (/** @type {Float32Array[]} */ list) => list.map((values) => Array.from(values));
    const expected = await (await Siglip.load(model, options)).embedImage(pictures);
    const onGpu = (/** @type {string} */ fault) =>
      Siglip.load(model, {
        ...options,
        device: 'gpu',
        workerUrl: `/tests/browser/pages/gpu-fault-worker.js?fault=${fault}`,
      });
    /** @type {number[]} */
    const runs = [];
    const channel = new BroadcastChannel('runs');
    channel.onmessage = ({ data }) => runs.push(data);
    const found = await (await onGpu('none')).embedImage(pictures);
    const faulty = await onGpu('NaN in a pass');
    const afterFault = await faulty.embedImage(pictures.slice(0, 3));
    const codes = faulty.info.notices.map(({ code }) => code);
    return { expected: arrays(expected), found: arrays(found), runs, afterFault: arrays(afterFault), codes };
  });
  const one = runs.reduce((sum, values) => sum + values) / 11;
  const [eight, ...others] = runs.map((values) => values / one);
  assert.equal(eight, 8);
  // Three in one pass, unless the first of them come to a worker that has nothing else to do.
  assert.ok(others.length <= 2 && others.every(Number.isInteger), `${others}`);
  for (const [i, want] of expected.entries()) {
    const difference = Math.max(...want.map((value, j) => Math.abs(value - found[i][j])));
    assert.ok(difference < 1e-5, `picture ${i}: ${difference}`);
  }
  assert.deepEqual([afterFault, codes], [expected.slice(0, 3), ['gpu-wrong']]);
});

test('a GPU compiles and times all programs once, and keeps to the fastest in later loads', async () => {
  const page = await open();
  page.setDefaultTimeout(300_000);
  const { infos, kernels, kept, found, expected } = await page.evaluate(async () => {
    const { Siglip } = await import('/www/siglip.js');
    const model = '/tests/fixtures/random-open-clip/';
    const options = /** @type {const} */ ({ precision: 'f32', towers: 'image', workers: 1 });
    const image = '/www/samples/cat.jpg';
    const expected = Array.from(await (await Siglip.load(model, options)).embedImage(image));
    /** @type {string[]} */
    let compiled = [];
    const channel = new BroadcastChannel('kernels');
    channel.onmessage = ({ data }) => compiled.push(data);
    const [infos, kernels, found] = /** @type {[any[], string[][], number[][]]} */ ([[], [], []]);
    for (let load = 0; load < 2; load++) {
      compiled = [];
      const siglip = await Siglip.load(model, {
        ...options,
        device: 'gpu',
        workerUrl: `/tests/browser/pages/gpu-fault-worker.js?fault=${encodeURIComponent('a GPU')}`,
      });
      found.push(Array.from(await siglip.embedImage(image)));
      infos.push([siglip.info.device, siglip.info.adapter, siglip.info.notices.length]);
      kernels.push(compiled.filter((label) => label.includes(' product')));
      siglip.dispose();
    }
    const cache = await caches.open('siglip-gpu');
    const kept = await Promise.all((await cache.keys()).map(async (key) => (await cache.match(key))?.text()));
    return { infos, kernels, kept, found, expected };
  });
  for (const info of infos) assert.deepEqual(info, ['gpu', 'acme one', 0]);
  const [first, second] = kernels.map(({ length }) => length);
  assert.equal(first % 4, 0, `${first} kernels of products in four programs`);
  const isLargest = kept[0] === '3';
  assert.equal(second, (isLargest ? 1 : 2) * (first / 4));
  assert.match(kept.join(), /^[0-3]$/);
  assert.deepEqual(found[1], found[0]);
  for (const values of found) {
    const difference = Math.max(...expected.map((value, i) => Math.abs(value - values[i])));
    assert.ok(difference < 1e-5, `${difference}`);
  }
  assert.deepEqual(await problemsOf(page), []);
});

/** By fault: the notice, and where the blocks run in the end. @type {Record<string, [string | undefined, 'cpu' | 'gpu']>} */
const faults = {
  'no gpu': ['gpu-missing', 'cpu'],
  'no adapter': ['gpu-missing', 'cpu'],
  'no device': ['gpu-missing', 'cpu'],
  'plan not fetched': ['gpu-plan', 'cpu'],
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
test('after any fault the answer is right, and one notice says why', async () => {
  const page = await open();
  await page.evaluate(async () => {
    const { Siglip } = await import('/www/siglip.js');
    const model = '/tests/fixtures/random-open-clip/';
    const options = /** @type {const} */ ({ precision: 'f32', towers: 'image', cache: false, workers: 1 });
    const images = ['cat.jpg', 'boat.jpg', 'cat.jpg'].map((name) => `/www/samples/${name}`);
    const onCpu = await Siglip.load(model, options);
    const expected = await onCpu.embedImage(images);
    const { bytes: bytesOnCpu } = onCpu.info;
    onCpu.dispose();
    Object.assign(window, {
      answerAfter: async (/** @type {string} */ fault) => {
        /** @type {string[]} */
        const told = [];
        const siglip = await Siglip.load(model, {
          ...options,
          device: 'gpu',
          workerUrl: `/tests/browser/pages/gpu-fault-worker.js?fault=${encodeURIComponent(fault)}`,
          onNotice: ({ code }) => told.push(code),
        });
        let difference = 0;
        for (const [i, image] of images.entries()) {
          const got = await siglip.embedImage(image);
          expected[i].forEach((value, j) => (difference = Math.max(difference, Math.abs(value - got[j]))));
          // Time for a device that is lost between two passes.
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
        const { device, notices, bytes, adapter } = siglip.info;
        siglip.dispose();
        const isAsOnCpu = bytes === bytesOnCpu && adapter === undefined;
        return { told, notices: notices.map(({ code }) => code), device, isAsOnCpu, difference };
      },
    });
  });
  for (const [fault, [code, device]] of Object.entries(faults)) {
    const { difference, ...answer } = await page.evaluate(
      (fault) => /** @type {any} */ (window).answerAfter(fault),
      fault,
    );
    assert.ok(difference < 1e-5, `${fault}: ${difference}`);
    const codes = code ? [code] : [];
    const isAsOnCpu = device === 'cpu';
    assert.deepEqual(answer, { told: codes, notices: codes, device, isAsOnCpu }, fault);
  }
});

test('the CPU takes over in a pass of texts, and reads the text tower of a cached model', async () => {
  const page = await open();
  const { found, expected, codes, devices } = await page.evaluate(async () => {
    const { Siglip } = await import('/www/siglip.js');
    const model = '/tests/fixtures/random-open-clip/';
    const options = /** @type {const} */ ({ precision: 'f32', workers: 1 });
    const texts = ['a cat', 'a boat'];
    const onCpu = await Siglip.load(model, options);
    const expected = await onCpu.embedText(texts);
    const siglip = await Siglip.load(model, {
      ...options,
      device: 'gpu',
      workerUrl: `/tests/browser/pages/gpu-fault-worker.js?fault=${encodeURIComponent('NaN in a pass')}&towers=2`,
    });
    const before = siglip.info.device;
    const found = await siglip.embedText(texts);
    const codes = siglip.info.notices.map(({ code }) => code);
    const arrays = (/** @type {Float32Array[]} */ list) => list.map((values) => Array.from(values));
    return {
      found: arrays(found),
      expected: arrays(expected),
      codes,
      devices: [before, siglip.info.device],
    };
  });
  assert.deepEqual(found, expected);
  assert.deepEqual([devices, codes], [['gpu', 'cpu'], ['gpu-wrong']]);
});

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

test('the page shows what runs the model, and a visitor can switch', async () => {
  const page = await harness.open();
  page.setDefaultTimeout(120_000);
  const facts = (/** @type {string} */ text) => page.locator('#model-facts', { hasText: text }).waitFor();
  const devices = page.getByRole('radiogroup', { name: 'Runs on' });
  await facts('CPU: 1 worker');
  assert.ok(await devices.getByRole('radio', { name: 'CPU' }).isChecked());
  await devices.getByRole('radio', { name: 'GPU' }).check();
  await facts('GPU: google swiftshader');
  assert.equal((await labelsOf(page, 'insect.jpg'))[0], 'an insect');
  // The demonstration model gains nothing on a GPU.
  await devices.getByRole('radio', { name: 'Automatic' }).check();
  await facts('CPU: 1 worker');
  assert.ok(await page.locator('#notices').isHidden());
  assert.deepEqual(await problemsOf(page), []);
});

test('without WebGPU the page offers no choice', async () => {
  const page = await open();
  await page.addInitScript(() => Reflect.deleteProperty(Navigator.prototype, 'gpu'));
  await page.goto(harness.server.origin);
  await page.locator('#model-facts', { hasText: 'CPU' }).waitFor();
  assert.ok(await page.locator('#device').isHidden());
});
