/** Checkpoints of one tower, as transformers 5 saves them, and folders without a tokenizer. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { onlyChromium } from '../browsers.js';
import { Harness, fileAt } from '../harness.js';
import { FakeHub, load, small } from './fake-hub.js';

const harness = new Harness();
/** What the Python reference answers. @type {{pictures: [height: number, width: number][], image_embeds: number[][], texts: string[], text_embeds: number[][]}} */
const recorded = JSON.parse(readFileSync(fileAt('tests/parity/one-tower.json'), 'utf8'));

/** @param {string} folder @param {string[]} names */
const filesOf = (folder, names) =>
  Object.fromEntries(names.map((name) => [name, readFileSync(fileAt(`tests/fixtures/${folder}/${name}`))]));
const vision = filesOf('random-vision', ['config.json', 'processor_config.json', 'model.safetensors']);
const text = filesOf('random-text', ['config.json', 'tokenizer.json', 'model.safetensors']);

/** A page, and a hub on its server. @param {FakeHub} hub */
async function open(hub) {
  const page = await harness.open({ path: '/tests/browser/pages/blank.html' });
  harness.server.intercept = hub.at('/model/');
  return page;
}

/** @param {number[]} found @param {number[]} expected */
function assertClose(found, expected) {
  assert.equal(found.length, expected.length);
  const difference = Math.max(...found.map((value, i) => Math.abs(value - expected[i])));
  assert.ok(difference < 2e-6, `${difference}`);
}

test('a vision tower and a text tower embed as the reference does', async () => {
  const hub = new FakeHub(vision);
  const page = await open(hub);
  for (const ready of /** @type {const} */ (['both', 'image'])) {
    const image = await page.evaluate(
      async ({ sides, ready }) => {
        const { Siglip } = await import('/www/siglip.js');
        const { outcome } = await import('/tests/browser/pages/outcome.js');
        const [height, width] = sides;
        const picture = new ImageData(width, height);
        // Picture 1 of tests/parity/record_one_tower.py.
        for (let i = 0; i < 3 * height * width; i++) {
          picture.data[Math.floor(i / 3) * 4 + (i % 3)] = (7 * i * i + 13 * i + 31) % 256;
        }
        for (let i = 3; i < picture.data.length; i += 4) picture.data[i] = 255;
        const siglip = await Siglip.load('/model/', { precision: 'f32', workers: 1, ready });
        const embedding = [...(await siglip.embedImage(picture))];
        const refused = await outcome(siglip.embedText('a cat'));
        const { towers, ready: has } = siglip.info;
        siglip.dispose();
        return { embedding, refused: refused.code, towers, has };
      },
      { sides: recorded.pictures[1], ready },
    );
    assertClose(image.embedding, recorded.image_embeds[1]);
    assert.deepEqual([image.towers, image.has, image.refused], ['image', 'image', 'bad-input']);
  }
  assert.ok(!hub.log.some((line) => line.includes('tokenizer')), hub.log.join());

  hub.files = text;
  await page.evaluate(async () => (await import('/www/siglip.js')).deleteAllModels());
  const texts = await page.evaluate(async (texts) => {
    const { Siglip } = await import('/www/siglip.js');
    const siglip = await Siglip.load('/model/', { precision: 'f32', workers: 1 });
    const embeddings = await siglip.embedText(texts);
    const { towers } = siglip.info;
    siglip.dispose();
    return { embeddings: embeddings.map((embedding) => [...embedding]), towers };
  }, recorded.texts);
  assert.equal(texts.towers, 'text');
  texts.embeddings.forEach((embedding, at) => assertClose(embedding, recorded.text_embeds[at]));
});

test('a missing tokenizer is the published one of the same vocabulary, and no other', async (context) => {
  const config = JSON.parse(small['config.json'].toString());
  config.text_config.vocab_size = 32_000;
  const { 'tokenizer.json': tokenizer, ...rest } = small;
  const hub = new FakeHub({ ...rest, 'config.json': Buffer.from(JSON.stringify(config)) });
  const page = await open(hub);
  if (onlyChromium('answers for huggingface.co').skip) return context.skip();
  /** @type {string[]} */
  const asked = [];
  await page.context().route('https://huggingface.co/**', (route) => {
    asked.push(new URL(route.request().url()).pathname);
    return route.fulfill({ body: tokenizer, headers: { 'access-control-allow-origin': '*' } });
  });
  const other = await load(page, '/model/');
  assert.deepEqual(
    [other.code, asked],
    [
      'integrity',
      ['/Xenova/siglip-base-patch16-224/resolve/4649052661e53c7000355844105f8a1792088239/tokenizer.json'],
    ],
  );

  hub.files = rest;
  const unknown = await load(page, '/model/');
  assert.equal(unknown.code, 'not-found', 'no published model has this vocabulary');
  assert.match(unknown.message ?? '', /tokenizer\.json/);
});
