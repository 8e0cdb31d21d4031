/** Models for transformers.js: hub ids, folders with onnx/, and files that were chosen. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { onlyChromium } from '../browsers.js';
import { Harness, fileAt, openIn } from '../harness.js';
import { sha256 } from './checkpoint.js';
import { FakeHub, load, small } from './fake-hub.js';

/** @typedef {import('/www/siglip.js').LoadOptions} LoadOptions */

const harness = new Harness();
const blank = '/tests/browser/pages/blank.html';
const q8 = 'onnx/model_quantized.onnx';
const towers = ['onnx/vision_model_quantized.onnx', 'onnx/text_model_quantized.onnx'];

/** @param {string} path */
const read = (path) => readFileSync(fileAt(`tests/fixtures/${path}`));

/** A folder as transformers.js has it, of the older or the newer exports. @param {'raw' | 'slim'} generation */
const exported = (generation) => ({
  ...Object.fromEntries(
    ['config.json', 'preprocessor_config.json', 'tokenizer.json'].map((name) => [name, read(`onnx/${name}`)]),
  ),
  [q8]: read(`onnx/${generation}/model_quantized.onnx`),
});

/** The small checkpoint with a file for each tower. */
const split = { ...small, ...Object.fromEntries(towers.map((name) => [name, read(`random-small/${name}`)])) };
const { 'model.safetensors': _, ...splitAlone } = split;

/** A page, and a hub on its server. @param {FakeHub} hub */
async function open(hub) {
  const page = await harness.open({ path: blank });
  harness.server.intercept = hub.at('/model/');
  return page;
}

/** @param {string | undefined} embeddings */
const numbers = (embeddings) => (embeddings ?? '').split(',').map(Number);

test('the ids of transformers.js load as they are', onlyChromium('answers for huggingface.co'), async () => {
  for (const [id, revision, generation] of /** @type {const} */ ([
    ['Xenova/siglip-base-patch16-224', '4649052661e53c7000355844105f8a1792088239', 'raw'],
    ['onnx-community/siglip2-base-patch16-224-ONNX', 'ba1f3b0843f24bc5417d38e19c37b287d719b2f4', 'slim'],
  ])) {
    const files = exported(generation);
    const page = await open(new FakeHub(files));
    /** @type {string[]} */
    const log = [];
    await page.context().route(`https://huggingface.co/${id}/**`, (route) => {
      const path = route.request().url().split(`${id}/`)[1];
      log.push(path);
      const body = Object.entries(files).find(([name]) => path === `resolve/${revision}/${name}`)?.[1];
      const headers = { 'access-control-allow-origin': '*' };
      return route.fulfill(body ? { body, headers } : { status: 404, headers });
    });
    const named = await load(page, id, { cache: false });
    assert.ok(named.embeddings, named.message);
    assert.deepEqual(named.notices, []);
    const small = ['config.json', 'preprocessor_config.json', 'tokenizer.json'];
    const fetched = [...small, q8].map((name) => `resolve/${revision}/${name}`);
    assert.deepEqual(log, [...fetched, `raw/${revision}/${q8}`], 'nothing is looked for in vain');
    const folder = await load(page, '/model/');
    assert.equal(folder.embeddings, named.embeddings, folder.message);
  }
});

test('a folder with onnx/ is the same from the server, from the cache, and in two workers', async () => {
  const hub = new FakeHub(exported('slim'));
  const page = await open(hub);
  const first = await load(page, '/model/');
  assert.ok(first.embeddings, first.message);
  hub.log = [];
  for (const address of [`/model/${q8}`, '/model/']) {
    const again = await load(page, address, { workers: 2, cache: false });
    assert.equal(again.embeddings, first.embeddings, again.message);
  }
  hub.isOpen = false;
  const cached = await load(page, '/model/');
  assert.equal(cached.embeddings, first.embeddings, cached.message);
  const chosen = await load(page, '/model/', { dtype: 'q8' });
  assert.equal(chosen.code, 'network', 'a choice of files is cached by itself');
});

test('a connection that drops goes on where it stopped', async () => {
  // Slowly enough that the browser has a piece before the connection ends, which may take the last ones with it.
  const hub = new FakeHub(exported('raw'), { pace: 50 });
  const page = await open(hub);
  hub.faults[q8] = [{ cut: 0.8 }];
  const dropped = await load(page, '/model/', { dtype: 'q8' });
  assert.ok(dropped.embeddings, dropped.message);
  assert.match(hub.log.join(), new RegExp(`GET ${q8},GET ${q8} bytes=\\d{5,}-$`));
  const whole = await load(page, '/model/', { dtype: 'q8', cache: false });
  assert.equal(whole.embeddings, dropped.embeddings, whole.message);
});

test('a download that was given up is continued in another page', async () => {
  const hub = new FakeHub(exported('raw'), { pace: 20 });
  // However busy the machine is, the end does not come before it is given up.
  hub.faults[q8] = [{ stall: 0.9 }];
  const page = await open(hub);
  await page.evaluate(async () => {
    const { Siglip } = await import('/www/siglip.js');
    const controller = new AbortController();
    /** @type {import('/www/siglip.js').LoadOptions} */
    const options = { dtype: 'q8', workers: 1, signal: controller.signal };
    options.onProgress = ({ loaded, total }) => loaded > 0.8 * total && controller.abort();
    await Siglip.load('/model/', options).catch(() => {});
  });
  hub.log = [];
  const other = await openIn(page.context(), page.url());
  await page.close();
  const continued = await load(other, '/model/', { dtype: 'q8' });
  assert.match(hub.log.join(), new RegExp(`^GET ${q8} bytes=\\d{5,}-$`));
  const whole = await load(other, '/model/', { dtype: 'q8', cache: false });
  assert.ok(whole.embeddings, whole.message);
  assert.equal(continued.embeddings, whole.embeddings, continued.message);
});

test('towers in files of their own take scale and bias from the safetensors beside them', async () => {
  const hub = new FakeHub(split);
  const page = await open(hub);
  const exact = await load(page, '/model/', { precision: 'f32' });
  hub.log = [];
  const onnx = await load(page, '/model/', { dtype: 'q8' });
  assert.ok(onnx.embeddings, onnx.message);
  assert.deepEqual(onnx.notices, []);
  assert.deepEqual(hub.log.slice(-3), [
    ...towers.map((name) => `GET ${name}`),
    'GET model.safetensors bytes=0-1048575',
  ]);
  const [a, b] = [numbers(exact.embeddings), numbers(onnx.embeddings)];
  const cosine = a.reduce((sum, value, i) => sum + value * b[i], 0) / 2;
  // onnxruntime has 0.988 for this image and 0.997 for a text: the weights are drawn wide.
  assert.ok(cosine > 0.985, `${cosine}`);
  hub.isOpen = false;
  const cached = await load(page, '/model/', { dtype: 'q8' });
  assert.equal(cached.embeddings, onnx.embeddings, cached.message);
});

test('without scale and bias there are embeddings and a notice, but no scores', async () => {
  const page = await open(new FakeHub(splitAlone));
  const { embeddings, notices, message } = await load(page, '/model/', { workers: 2 });
  assert.ok(embeddings, message);
  assert.deepEqual(notices, ['logits']);
  const refused = await page.evaluate(async () => {
    const { Siglip } = await import('/www/siglip.js');
    const { outcome } = await import('/tests/browser/pages/outcome.js');
    return outcome((await Siglip.load('/model/')).classify(new ImageData(8, 8), ['a']));
  });
  assert.equal(refused.code, 'bad-input');
  assert.match(refused.message ?? '', /logit_scale/);
});

test('of one tower only its file is fetched', async () => {
  const hub = new FakeHub(splitAlone);
  const page = await open(hub);
  const { embeddings, notices, message } = await load(page, '/model/', { towers: 'image', dtype: 'q8' });
  assert.ok(embeddings, message);
  assert.deepEqual(notices, []);
  assert.deepEqual(
    hub.log.filter((line) => line.includes('onnx')),
    [`GET ${towers[0]}`],
  );
});

/** A folder whose ONNX has its data in a file beside it. */
const external = {
  ...exported('slim'),
  [q8]: read('onnx/external/model_quantized.onnx'),
  [`${q8}_data`]: read('onnx/external/model_quantized.onnx_data'),
};

test('data in a file beside the ONNX are fetched, cached, and asked for by name', async () => {
  const hub = new FakeHub(external, { pace: 20 });
  const page = await open(hub);
  const apart = await load(page, '/model/', { dtype: 'q8' });
  assert.ok(apart.embeddings, apart.message);
  assert.deepEqual(hub.log.slice(-2), [`GET ${q8}`, `GET ${q8}_data`]);
  const address = await load(page, `/model/${q8}`, { workers: 2, cache: false });
  assert.equal(address.embeddings, apart.embeddings, address.message);
  hub.faults[`${q8}_data`] = [{ cut: 0.8 }];
  const dropped = await load(page, '/model/', { dtype: 'q8', cache: false });
  assert.equal(dropped.embeddings, apart.embeddings, dropped.message);
  hub.isOpen = false;
  const cached = await load(page, '/model/', { dtype: 'q8' });
  assert.equal(cached.embeddings, apart.embeddings, cached.message);

  hub.isOpen = true;
  hub.files = exported('slim');
  const together = await load(page, '/model/', { dtype: 'q8', cache: false });
  assert.equal(together.embeddings, apart.embeddings, together.message);
  const { [`${q8}_data`]: _, ...without } = external;
  hub.files = without;
  const missing = await load(page, '/model/', { dtype: 'q8', cache: false });
  assert.equal(missing.code, 'not-found');
  assert.match(missing.message ?? '', /onnx\/model_quantized\.onnx_data/);
});

test('of such a model that was given up on its way nothing wrong is kept', async () => {
  const hub = new FakeHub(external, { pace: 20 });
  const page = await open(hub);
  await page.evaluate(async () => {
    const { Siglip } = await import('/www/siglip.js');
    const controller = new AbortController();
    /** @type {import('/www/siglip.js').LoadOptions} */
    const options = { dtype: 'q8', workers: 1, signal: controller.signal };
    options.onProgress = ({ loaded, total, file }) =>
      file?.endsWith('_data') && loaded > 0.8 * total && controller.abort();
    await Siglip.load('/model/', options).catch(() => {});
  });
  const other = await openIn(page.context(), page.url());
  await page.close();
  const again = await load(other, '/model/', { dtype: 'q8' });
  const whole = await load(other, '/model/', { dtype: 'q8', cache: false });
  assert.ok(whole.embeddings, whole.message);
  assert.equal(again.embeddings, whole.embeddings, again.message);
});

test('a demanded sha256 holds for the file with the data too, from the server and from the cache', async () => {
  const page = await open(new FakeHub(external));
  const right = { [`${q8}_data`]: sha256(external[`${q8}_data`]) };
  const wrong = { [`${q8}_data`]: '0'.repeat(64) };
  const refused = await load(page, '/model/', { dtype: 'q8', sha256: wrong });
  assert.equal(refused.code, 'integrity', refused.message);
  for (const _ of ['from the server', 'from the cache']) {
    const { embeddings, message } = await load(page, '/model/', { dtype: 'q8', sha256: right });
    assert.ok(embeddings, message);
  }
  const later = await load(page, '/model/', { dtype: 'q8', sha256: wrong });
  assert.equal(later.code, 'integrity', later.message);
});

test('pipeline() takes the dtypes of transformers.js and asks for their files', async () => {
  const small = Object.fromEntries(
    Object.entries(exported('slim')).filter(([name]) => name.endsWith('.json')),
  );
  const names = [
    'model_quantized',
    'text_model_quantized',
    'vision_model_q4f16',
    'vision_model_fp16',
    'text_model_fp16',
  ];
  const hub = new FakeHub({
    ...small,
    ...Object.fromEntries(names.map((name) => [`onnx/${name}.onnx`, read(`onnx/slim/${name}.onnx`)])),
    // Three names that transformers.js has for files of 8 bits.
    'onnx/model_int8.onnx': read('onnx/slim/model_quantized.onnx'),
    'onnx/model_uint8.onnx': read('onnx/raw/model_quantized.onnx'),
  });
  const page = await open(hub);
  const both = ['vision_model', 'text_model'];
  /** @type {[LoadOptions['dtype'], string[]][]} */
  const cases = [
    ['q8', ['model_quantized']],
    ['int8', ['model_int8']],
    ['uint8', ['model_uint8']],
    ['q4f16', ['vision_model_q4f16', 'text_model_quantized']],
    ['fp16', ['model_fp16', ...both.map((tower) => `${tower}_fp16`)]],
    [{ vision_model: 'fp16', text_model: 'q8' }, ['vision_model_fp16', 'text_model_quantized']],
  ];
  /** @type {Record<string, number[]>} */
  const logits = {};
  for (const [dtype, files] of cases) {
    hub.log = [];
    const scores = await page.evaluate(async (dtype) => {
      const { pipeline } = await import('/www/siglip.js');
      const picture = new ImageData(8, 8);
      picture.data.forEach((_, i) => (picture.data[i] = (i * 37) % 256));
      /** @type {string[]} */
      const events = [];
      const classify = await pipeline('zero-shot-image-classification', '/model/', {
        dtype,
        device: 'wasm',
        cache: false,
        workers: 1,
        onNotice: () => {},
        progress_callback: (/** @type {any} */ { status }) => events.push(status),
      });
      const scores = await classify(picture, ['a cat', 'a dog']).catch((error) => error.code);
      classify.dispose();
      return { scores, last: events.at(-1) };
    }, dtype);
    assert.deepEqual(
      hub.log.filter((line) => line.includes('.onnx')),
      files.map((name) => `GET onnx/${name}.onnx`),
      JSON.stringify(dtype),
    );
    assert.equal(scores.last, 'ready');
    // Files of single towers have no scale and bias, and here none are beside them.
    if (files.length > 1) {
      assert.equal(scores.scores, 'bad-input');
      continue;
    }
    const byLabel = Object.fromEntries(
      scores.scores.map((/** @type {{label: string, score: number}} */ { label, score }) => [label, score]),
    );
    logits[files[0]] = ['a cat', 'a dog'].map((label) => Math.log(byLabel[label] / (1 - byLabel[label])));
  }
  assert.deepEqual(logits.model_int8, logits.model_quantized, 'the same file by another name');
  logits.model_uint8.forEach((logit, at) => assert.ok(Math.abs(logit - logits.model_quantized[at]) < 0.05));
});

test('files that were chosen are a model, and a file that is missing is named', async () => {
  for (const files of [exported('raw'), external]) await chosen(files);
});

/** @param {Record<string, Buffer>} files */
async function chosen(files) {
  const hub = new FakeHub(files);
  const page = await open(hub);
  const expected = await load(page, '/model/', { cache: false });
  const contents = Object.entries(files).map(([name, bytes]) => [
    name.split('/').pop() ?? name,
    bytes.toString('base64'),
  ]);
  const [found, refused] = await page.evaluate(async (contents) => {
    const { Siglip } = await import('/www/siglip.js');
    const { outcome } = await import('/tests/browser/pages/outcome.js');
    const bytes = (/** @type {string} */ base64) => Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
    const files = contents.map(([name, base64]) => new File([bytes(base64)], name));
    const siglip = await Siglip.load(files, { workers: 1 });
    const text = [...(await siglip.embedText('a cat'))].join();
    siglip.dispose();
    return /** @type {const} */ ([text, await outcome(Siglip.load(files.slice(3)))]);
  }, contents);
  assert.ok(expected.embeddings?.endsWith(found), expected.message);
  assert.equal(refused.code, 'bad-input');
  assert.match(refused.message ?? '', /config\.json is missing/);
  const missing = await load(page, '/model/', { dtype: 'fp16', cache: false });
  assert.equal(missing.code, 'not-found');
  assert.match(missing.message ?? '', /onnx\/model_fp16\.onnx/);
}
