/** Weights as MLX quantizes and stores them, and in several files whose index has its names. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Harness, fileAt, openIn } from '../harness.js';
import { readCheckpoint } from './checkpoint.js';
import { FakeHub, load } from './fake-hub.js';

const harness = new Harness();
const mlx = readCheckpoint('tests/fixtures/random-mlx');
const weights = 'model.safetensors';
const recording = JSON.parse(readFileSync(fileAt('tests/parity/mlx.json'), 'utf8'));

/** @param {FakeHub} hub */
async function open(hub) {
  const page = await harness.open({ path: '/tests/browser/pages/blank.html' });
  harness.server.intercept = hub.at('/model/');
  return page;
}

/** The weights dealt to two files, with their index: scales stay with their matrices. */
function dealt() {
  const { [weights]: file, ...small } = mlx;
  const length = Number(file.readBigUInt64LE(0));
  /** @type {Record<string, {data_offsets: number[]}>} */
  const header = JSON.parse(file.toString('utf8', 8, 8 + length));
  const { __metadata__: _, ...tensors } = header;
  /** @type {Record<string, string>} */
  const weight_map = {};
  const shards = [0, 1].map((at) => {
    /** @type {Record<string, object>} */
    const own = {};
    const parts = [];
    let end = 0;
    for (const [name, entry] of Object.entries(tensors)) {
      if (Number(name.startsWith('text_model')) !== at) continue;
      const bytes = file.subarray(...entry.data_offsets.map((offset) => 8 + length + offset));
      own[name] = { ...entry, data_offsets: [end, (end += bytes.length)] };
      parts.push(bytes);
      weight_map[name] = `model-${at}.safetensors`;
    }
    const json = Buffer.from(JSON.stringify(own));
    const start = Buffer.alloc(8);
    start.writeBigUInt64LE(BigInt(json.length));
    return Buffer.concat([start, json, ...parts]);
  });
  const index = Buffer.from(JSON.stringify({ weight_map }));
  return {
    ...small,
    [`${weights}.index.json`]: index,
    'model-0.safetensors': shards[0],
    'model-1.safetensors': shards[1],
  };
}

test('quantized weights are the recorded model, in two workers, from the cache and among chosen files', async () => {
  const hub = new FakeHub(mlx);
  const page = await open(hub);
  const found = await page.evaluate(async (texts) => {
    const { Siglip } = await import('/www/siglip.js');
    const siglip = await Siglip.load('/model/', { precision: 'f32', workers: 1, cache: false });
    /** @type {number[][]} */
    const rows = [];
    for (const text of /** @type {string[]} */ (texts)) rows.push([...(await siglip.embedText(text))]);
    siglip.dispose();
    return rows;
  }, recording.texts);
  found.forEach((row, at) =>
    row.forEach((value, i) =>
      assert.ok(Math.abs(value - recording.text_embeds[at][i]) < 1e-5, `${at}: ${i}`),
    ),
  );

  const first = await load(page, '/model/');
  assert.ok(first.embeddings, first.message);
  const shared = await load(page, '/model/', { workers: 2, cache: false });
  assert.equal(shared.embeddings, first.embeddings, shared.message);
  const [image, text] = [
    await load(page, '/model/', { towers: 'image', cache: false }),
    await load(page, '/model/', { towers: 'text', cache: false }),
  ];
  assert.equal(`${image.embeddings},${text.embeddings}`, first.embeddings, image.message ?? text.message);
  hub.isOpen = false;
  const cached = await load(page, '/model/');
  assert.equal(cached.embeddings, first.embeddings, cached.message);

  const contents = Object.entries(mlx).map(([name, bytes]) => [name, bytes.toString('base64')]);
  const chosen = await page.evaluate(async (contents) => {
    const { Siglip } = await import('/www/siglip.js');
    const bytes = (/** @type {string} */ base64) => Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
    const files = contents.map(([name, base64]) => new File([bytes(base64)], name));
    const siglip = await Siglip.load(files, { workers: 1 });
    const text = [...(await siglip.embedText('a cat'))].join();
    siglip.dispose();
    return text;
  }, contents);
  assert.ok(first.embeddings?.endsWith(chosen));
});

test('a download of them that was given up is continued in another page', async () => {
  // Slowly enough that a busy browser gets the pieces one by one.
  const hub = new FakeHub(mlx, { pace: 300 });
  const page = await open(hub);
  await page.evaluate(async () => {
    const { Siglip } = await import('/www/siglip.js');
    const controller = new AbortController();
    /** @type {import('/www/siglip.js').LoadOptions} */
    const options = { workers: 1, signal: controller.signal };
    options.onProgress = ({ loaded, total }) => loaded > 0.5 * total && controller.abort();
    await Siglip.load('/model/', options).catch(() => {});
  });
  hub.log = [];
  const other = await openIn(page.context(), page.url());
  await page.close();
  const continued = await load(other, '/model/');
  const whole = await load(other, '/model/', { cache: false });
  assert.ok(whole.embeddings, whole.message);
  assert.equal(continued.embeddings, whole.embeddings, continued.message);
  assert.match(hub.log[0], new RegExp(`^GET ${weights} bytes=\\d+-$`));
});

test('several files whose index has the names of MLX are the same model', async () => {
  const page = await open(new FakeHub(mlx));
  const one = await load(page, '/model/', { cache: false });
  const hub = new FakeHub(dealt());
  harness.server.intercept = hub.at('/model/');
  const several = await load(page, '/model/');
  assert.equal(several.embeddings, one.embeddings, several.message);
  hub.isOpen = false;
  const cached = await load(page, '/model/');
  assert.equal(cached.embeddings, one.embeddings, cached.message);
});
