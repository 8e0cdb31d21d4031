/** The package in Node.js, beside the same package in Chromium. */
import assert from 'node:assert/strict';
import { cp, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { Harness, assertClose, fileAt } from '../browser/harness.js';
import { install, projects, run } from './projects.js';
import { serve } from './site.js';

const harness = new Harness();
before(install);

/**
 * Runs a module of a fresh project; what it writes is JSON.
 * @param {string} script
 * @param {...string} flags
 */
async function runScript(script, ...flags) {
  await mkdir(join(projects, 'node'), { recursive: true });
  await writeFile(join(projects, 'node/script.mjs'), script);
  return JSON.parse(await run('node', 'node', ...flags, 'script.mjs'));
}

const picture = fileAt('www/samples/cat.jpg');
const labels = ['a cat', 'a dog', 'a boat'];

test('Node.js gives the bits of the browser with one worker and with threads, and nearly so with shards', async () => {
  const scoresInNode = (/** @type {object} */ options, /** @type {string[]} */ flags) =>
    runScript(
      `import { Siglip } from 'siglip-web/node';
       const siglip = await Siglip.load('tiny', ${JSON.stringify(options)});
       const scores = await siglip.classify(${JSON.stringify(picture)}, ${JSON.stringify(labels)});
       console.log(JSON.stringify([siglip.info.backend, scores]));`,
      ...flags,
    );
  const site = await serve(join(projects, 'node_modules/siglip-web'), { 'access-control-allow-origin': '*' });
  try {
    const page = await harness.open({ path: '/tests/browser/pages/blank.html' });
    // Node.js 20 has relaxed SIMD, and with it threads, behind this flag; later versions accept it.
    const relaxed = ['--experimental-wasm-relaxed-simd'];
    // The versions of V8 differ in the byte instructions that they know, which this precision does without.
    const precision = 'q8-exact';
    for (const [options, flags] of /** @type {const} */ ([
      [{ precision }, relaxed],
      [{ precision, workers: 2 }, relaxed],
      // Without it multiplications and additions are rounded one by one, and workers hold shards.
      [{ precision, workers: 2 }, []],
    ])) {
      const inBrowser = await page.evaluate(
        async ({ origin, labels, options }) => {
          const { Siglip } = await import(`${origin}/siglip.js`);
          const siglip = await Siglip.load('tiny', options);
          return [siglip.info.backend, await siglip.classify('/www/samples/cat.jpg', labels)];
        },
        { origin: site.origin, labels, options },
      );
      const [backend, scores] = await scoresInNode(options, [...flags]);
      assert.equal(scores[0].label, 'a cat');
      const [inBrowserBackend, inBrowserScores] = inBrowser;
      if (flags.length) {
        const build = (/** @type {string} */ name) => name.replace(/-[ui]8$/, '');
        assert.deepEqual([build(backend), scores], [build(inBrowserBackend), inBrowserScores]);
      } else {
        for (const [i, { label, score }] of scores.entries()) {
          assert.equal(label, inBrowserScores[i].label);
          assertClose(score, inBrowserScores[i].score, 1e-3, label);
        }
      }
    }
  } finally {
    site.close();
  }
});

test('a folder, rare formats, pixels, several pictures, and pipeline()', async () => {
  const folder = fileAt('tests/fixtures/random-small');
  const rare = fileAt('tests/fixtures/pictures/rare/boat.tif');
  const found = await runScript(`
    import { Siglip, SiglipError, pipeline } from 'siglip-web/node';
    import { readFile } from 'node:fs/promises';
    const tiny = await Siglip.load();
    const bytes = await readFile(${JSON.stringify(picture)});
    const best = (scores) => scores[0].label;
    const labels = ${JSON.stringify(labels)};
    const classify = await pipeline('zero-shot-image-classification', 'tiny');
    const errors = [];
    for (const attempt of [
      () => Siglip.load('./no-such-folder/'),
      () => Siglip.load(new URL('no-such-folder/', import.meta.url).href),
      () => tiny.classify('./no-such-picture.jpg', labels),
      () => tiny.classify(Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>'), labels),
      () => tiny.classify({ width: 2, height: 2, data: new Uint8Array(3) }, labels),
    ]) await attempt().then(() => errors.push('none'), (error) => errors.push(error instanceof SiglipError && error.code));
    const folder = await Siglip.load(${JSON.stringify(folder)}, { workers: 2 });
    console.log(JSON.stringify({
      labels: (await tiny.classify([bytes, ${JSON.stringify(rare)}], labels)).map(best),
      grey: (await tiny.embedImage({ width: 8, height: 8, data: new Uint8Array(256).fill(128) })).length,
      pipeline: best(await classify(bytes, labels)),
      folder: [folder.info.workers, (await folder.embedText('a cat')).length],
      errors,
    }));
  `);
  assert.deepEqual(found, {
    labels: ['a cat', 'a boat'],
    grey: 192,
    pipeline: 'a cat',
    folder: [2, 48],
    errors: ['bad-input', 'not-found', 'network', 'bad-image', 'bad-input'],
  });
});

test('the example scores the pictures of a folder, and passes by what is none', async () => {
  const table = await run('node-batch', 'node', 'batch.js', fileAt('www/samples'), ...labels, 'a coffee cup');
  const [heading, ...rows] = table.trim().split('\n');
  assert.equal(heading, 'picture,label,score');
  // No label fits the fifth.
  assert.deepEqual(
    rows.slice(0, 4).map((row) => row.split(',').slice(0, 2).join()),
    ['"boat.jpg","a boat"', '"cat.jpg","a cat"', '"coffee.jpg","a coffee cup"', '"dog.jpg","a dog"'],
  );
  assert.match(rows[4], /^"insect.jpg",.*,0\.0/);
});

test('Deno gives the bits of Node.js', async () => {
  const script = `import { Siglip } from 'siglip-web/node';
    const siglip = await Siglip.load('tiny', { precision: 'q8-exact', workers: 2 });
    console.log(JSON.stringify(await siglip.classify(${JSON.stringify(picture)}, ${JSON.stringify(labels)})));
    siglip.dispose();`;
  const inNode = await runScript(script, '--experimental-wasm-relaxed-simd');
  assert.deepEqual(JSON.parse(await run('node', 'deno', 'run', '--allow-all', 'script.mjs')), inNode);
});

test('a server imports the library and the element, which do nothing there', async () => {
  const names = await runScript(`
    const library = await import('siglip-web');
    const { SiglipClassifier } = await import('siglip-web/element');
    console.log(JSON.stringify([typeof library.Siglip.load, SiglipClassifier.name]));
  `);
  assert.equal(names[0], 'function');
});

test("a worker of the page's own loads a model", async () => {
  const folder = join(projects, 'own-worker');
  await cp(join(projects, 'node_modules/siglip-web'), join(folder, 'siglip-web'), { recursive: true });
  await writeFile(join(folder, 'index.html'), '<!doctype html><title>A worker</title>');
  await writeFile(
    join(folder, 'own.js'),
    `import { Siglip } from './siglip-web/siglip.js';
     onmessage = async ({ data: { files, labels } }) => {
       const siglip = await Siglip.load('tiny');
       postMessage((await siglip.classify(files, labels)).map(([best]) => best.label));
     };`,
  );
  await cp(picture, join(folder, 'cat.jpg'));
  await cp(fileAt('tests/fixtures/pictures/rare/boat.tif'), join(folder, 'boat.tif'));
  const site = await serve(folder);
  try {
    const page = await harness.open({ path: '/tests/browser/pages/blank.html' });
    await page.goto(`${site.origin}/`);
    const best = await page.evaluate(async (labels) => {
      const blobs = ['cat.jpg', 'boat.tif'].map(async (path) => (await fetch(path)).blob());
      const files = [...(await Promise.all(blobs)), await createImageBitmap(await blobs[0])];
      const worker = new Worker('own.js', { type: 'module' });
      return new Promise((resolve, reject) => {
        worker.onmessage = ({ data }) => resolve(data);
        worker.onerror = (event) => reject(new Error(event.message));
        worker.postMessage({ files, labels });
      });
    }, labels);
    assert.deepEqual(best, ['a cat', 'a boat', 'a cat']);
  } finally {
    site.close();
  }
});
