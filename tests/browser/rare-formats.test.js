/** Pictures that neither the engine nor the browser decodes: a module of their own does, which nothing else fetches. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { Harness, fileAt, problemsOf } from './harness.js';
import { cardOf, labelsOf } from './page-actions.js';
import { initialPages, limitMemory } from './weights/wasm-memory.js';

const harness = new Harness();
const MODULE = 'wasm/rare-formats/';

const open = () => harness.open({ path: '/tests/browser/pages/blank.html' });

const BOAT = 'tests/fixtures/pictures/rare/boat.tif';

/** Of a WebAssembly memory, in bytes. */
const PAGE = 1 << 16;

/** Runs in the page: the pixels of the canvas that shows a picture. @param {string} selector */
function previewPixels(selector) {
  const root = document.querySelector('siglip-classifier')?.shadowRoot ?? document;
  const shown = /** @type {HTMLCanvasElement} */ (root.querySelector(selector));
  const { width, height } = shown;
  const context = new OffscreenCanvas(width, height).getContext('2d');
  context?.drawImage(shown, 0, 0);
  return { width, height, pixels: context?.getImageData(0, 0, width, height).data.join() };
}

/** Runs in the page: the pixels of the boat as they are decoded. */
async function decodedPixels() {
  const { decodeRare } = await import('/www/rare-formats.js');
  const file = await fetch('/tests/fixtures/pictures/rare/boat.tif');
  const { width, height, rgba } = await decodeRare(new Uint8Array(await file.arrayBuffer()));
  return { width, height, pixels: rgba.join() };
}

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

/**
 * A QOI file of one colour: a few bytes stand for many pixels. https://qoiformat.org/qoi-specification.pdf
 * @param {number} width
 * @param {number} height
 */
function plainQoi(width, height) {
  const head = Buffer.from('qoif\0\0\0\0\0\0\0\0\x03\0', 'latin1');
  head.writeUInt32BE(width, 4);
  head.writeUInt32BE(height, 8);
  const [whole, rest] = [Math.floor((width * height) / 62), (width * height) % 62];
  const runs = Buffer.concat([Buffer.alloc(whole, 0xfd), Buffer.from(rest ? [0xbf + rest] : [])]);
  return Buffer.concat([head, runs, Buffer.from([0, 0, 0, 0, 0, 0, 0, 1])]);
}

test('decoders that have trapped begin anew for the next picture', async () => {
  const page = await open();
  harness.server.intercept = async (path, response) => {
    // There is no memory for the file itself, which traps. A decoder that gets no memory answers with an error.
    if (path === '/huge.ppm') return void response.end(Buffer.alloc(200 * PAGE));
    if (!path.endsWith('siglip_rare_bg.wasm')) return false;
    const module = await readFile(fileAt(path));
    response.end(limitMemory(module, initialPages(module) + 100));
  };
  const answers = await page.evaluate(async () => {
    const { Instance } = WebAssembly;
    let fresh = 0;
    WebAssembly.Instance = new Proxy(Instance, {
      construct: (_, [module, imports]) => (fresh++, new Instance(module, imports)),
    });
    const { decodeRare } = await import('/www/rare-formats.js');
    const decode = async (/** @type {string} */ path) => {
      const bytes = new Uint8Array(await (await fetch(path)).arrayBuffer());
      try {
        return { pixels: (await decodeRare(bytes)).rgba.join(), fresh };
      } catch (error) {
        const { code, message } = /** @type {any} */ (error);
        return { code, message, fresh };
      }
    };
    const [small, huge] = ['/tests/fixtures/pictures/rare/rgb-lzw.tif', '/huge.ppm'];
    return [
      await decode(small),
      await decode(huge),
      await decode(small),
      await decode(huge),
      await decode(small),
    ];
  });
  const [first, trapped] = answers;
  assert.ok(first.pixels);
  assert.equal(trapped.code, 'bad-image');
  assert.match(trapped.message ?? '', /^The decoder has failed: .*Convert the picture to PNG\.$/);
  for (const i of [2, 4]) assert.equal(answers[i].pixels, first.pixels);
  assert.deepEqual(
    answers.map(({ fresh }) => fresh),
    [0, 1, 1, 2, 2],
  );
  assert.equal(harness.server.requestsOf('siglip_rare_bg.wasm').length, 1);
});

test('onPreview gets a picture of a rare format, made small, and nothing else', async () => {
  const page = await open();
  harness.server.intercept = (path, response) =>
    path === '/wide.qoi' ? void response.end(plainQoi(2000, 1000)) : false;
  const previews = await page.evaluate(async () => {
    const { Siglip } = await import('/www/siglip.js');
    const siglip = await Siglip.load('tiny', { workers: 1 });
    /** @type {string[]} */
    const previews = [];
    for (const path of ['/wide.qoi', '/www/samples/cat.jpg']) {
      const onPreview = (/** @type {ImageBitmap} */ { width, height }) =>
        previews.push(`${path} ${width} x ${height}`);
      await siglip.embedImage(path, { onPreview });
    }
    siglip.dispose();
    return previews;
  });
  assert.deepEqual(previews, ['/wide.qoi 768 x 384']);
});

test('the page classifies a TIFF, and shows it', async () => {
  const page = await harness.open();
  await labelsOf(page, 'insect.jpg');
  assert.deepEqual(harness.server.requestsOf(MODULE), []);
  await page.locator('#files').setInputFiles(fileAt(BOAT));
  assert.equal((await labelsOf(page, 'boat.tif'))[0], 'a boat');
  await cardOf(page, 'boat.tif').getByRole('img', { name: 'boat.tif' }).waitFor();
  // Counted before this test fetches the module for itself, which may or may not find it in the browser's cache.
  assert.equal(harness.server.requestsOf(MODULE).length, 2);
  assert.deepEqual(await page.evaluate(previewPixels, '#cards canvas'), await page.evaluate(decodedPixels));
  assert.deepEqual(await problemsOf(page), []);
});

test('the element shows a TIFF', async () => {
  const page = await open();
  await page.evaluate(async (file) => {
    await import('/www/siglip-classifier.js');
    const element = /** @type {any} */ (document.createElement('siglip-classifier'));
    Object.assign(element, { labels: ['a boat', 'a cat'], src: file });
    document.body.append(element);
    await element.load();
  }, `/${BOAT}`);
  await page.getByRole('img', { name: 'boat.tif' }).waitFor();
  assert.deepEqual(await page.evaluate(previewPixels, 'canvas'), await page.evaluate(decodedPixels));
});
