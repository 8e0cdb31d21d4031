/** Pictures that neither the engine nor the browser decodes: a module of their own does, which nothing else fetches. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Harness, fileAt, problemsOf } from './harness.js';
import { labelsOf } from './page-actions.js';

const harness = new Harness();
const MODULE = 'wasm/rare-formats/';

const open = () => harness.open({ path: '/tests/browser/pages/blank.html' });

/**
 * Embeddings of pictures, or the errors.
 * @param {import('./harness.js').Page} page
 * @param {string[]} names
 */
const embed = (page, names) =>
  page.evaluate(async (names) => {
    const { Siglip } = await import('/www/siglip.js');
    const siglip = await Siglip.load('tiny', { workers: 1 });
    /** @type {{embedding?: number[], code?: string, message?: string}[]} */
    const answers = [];
    for (const name of names) {
      const answer = siglip.embedImage(`/tests/fixtures/pictures/${name}`);
      answers.push(
        await answer.then(
          (/** @type {Float32Array} */ embedding) => ({ embedding: [...embedding] }),
          (/** @type {any} */ { code, message }) => ({ code, message }),
        ),
      );
    }
    siglip.dispose();
    return answers;
  }, names);

test('common formats do not fetch the decoders of rare ones', async () => {
  const page = await open();
  const names = ['made/rgb.png', 'made/420.jpg', 'made/palette.gif', 'made/lossy.webp', 'made/rgb.bmp'];
  const answers = await embed(page, [...names, 'formats/linku_fox.avif', 'rare/png.ico']);
  for (const { embedding, message } of answers) assert.ok(embedding, message);
  assert.deepEqual(harness.server.requestsOf(MODULE), []);
});

test('rare formats are decoded to the same pixels, by decoders that are fetched once', async () => {
  const page = await open();
  const names = ['rgb-lzw.tif', 'planes-raw.tif', 'rgb.tga', 'rgb.ppm', 'rgb.qoi'];
  const [expected, ...found] = await embed(page, ['made/rgb.png', ...names.map((name) => `rare/${name}`)]);
  for (const [i, answer] of found.entries()) assert.deepEqual(answer, expected, names[i]);
  assert.equal(harness.server.requestsOf(MODULE).length, 2);
  assert.deepEqual(await problemsOf(page), []);
});

test('a broken picture of a rare format gives an error that says so, and the next one is read', async () => {
  const page = await open();
  harness.server.intercept = (path, response) => {
    if (!path.endsWith('/short.tif')) return false;
    response.end('II*\0\x08\0\0\0');
  };
  const [short, whole] = await embed(page, ['short.tif', 'rare/rgb-raw.tif']);
  assert.equal(short.code, 'bad-image');
  assert.match(short.message ?? '', /^this TIFF file is broken or cut short \(.*\); fetch or save it again$/);
  assert.ok(whole.embedding, whole.message);
});

test('a host that lacks the decoders is named, until it has them', async () => {
  const page = await open();
  let refused = 0;
  harness.server.intercept = (path, response) => {
    if (!path.endsWith('siglip_rare_bg.wasm') || refused++) return false;
    response.writeHead(503).end();
  };
  const [first, second] = await embed(page, ['rare/rgb.tga', 'rare/rgb.tga']);
  assert.equal(first.code, 'network');
  assert.match(
    first.message ?? '',
    /decoders of rare formats at .* could not be loaded: HTTP 503\. Try again/,
  );
  assert.ok(second.embedding, second.message);
});

test('the page classifies a TIFF', async () => {
  const page = await harness.open();
  await labelsOf(page, 'insect.jpg');
  assert.deepEqual(harness.server.requestsOf(MODULE), []);
  await page.locator('#files').setInputFiles(fileAt('tests/fixtures/pictures/rare/boat.tif'));
  assert.equal((await labelsOf(page, 'boat.tif'))[0], 'a boat');
  assert.equal(harness.server.requestsOf(MODULE).length, 2);
  assert.deepEqual(await problemsOf(page), []);
});
