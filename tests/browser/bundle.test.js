/** The scripts and styles that `cargo xtask package` bundles: they stay small, and they work. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile, readdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { bundle, library, page } from '../../scripts/bundle.js';
import { Harness, fileAt, openIn, problemsOf } from './harness.js';
import { labelsOf } from './page-actions.js';

const harness = new Harness();

/**
 * Bytes on the wire at once: the entries and what they import. What is left out is loaded when it is first needed, and so are
 * the generated scripts beside the .wasm.
 * @param {string[]} entries
 */
async function gzipped(entries) {
  const { outputFiles, metafile } = await bundle(fileAt('www'), entries);
  const atOnce = new Set(entries);
  for (const name of atOnce) {
    for (const { path, kind, external } of metafile.outputs[name].imports)
      if (kind === 'import-statement' && !external) atOnce.add(path);
  }
  const files = outputFiles.filter(({ path }) => atOnce.has(relative(fileAt('www'), path)));
  return files.reduce((sum, { contents }) => sum + gzipSync(contents, { level: 9 }).length, 0);
}

test('the library and the element stay within 17 KiB', async () => {
  const bytes = await gzipped(library);
  assert.ok(bytes > 5000 && bytes <= 17 * 1024, `${bytes} bytes`);
});

test('what the page adds stays within 17 KiB', async () => {
  const bytes = (await gzipped([...library, ...page])) - (await gzipped(library));
  assert.ok(bytes > 2500 && bytes <= 17 * 1024, `${bytes} bytes`);
});

test('each build of the engine stays within 0.95 MB', async () => {
  const modules = ['simd128', 'relaxed-simd', 'threads'].map((build) =>
    fileAt(`www/wasm/${build}/siglip_web_bg.wasm`),
  );
  const built = modules.filter((module) => existsSync(module));
  assert.ok(built.length);
  for (const module of built) {
    const files = await Promise.all(
      [module, module.replace('_bg.wasm', '.js')].map((path) => readFile(path)),
    );
    const bytes = files.reduce((sum, file) => sum + gzipSync(file, { level: 9 }).length, 0);
    assert.ok(bytes > 500_000 && bytes <= 950_000, `${module}: ${bytes} bytes`);
  }
});

test('the GPU adds at most 12 KiB of JavaScript and WGSL, of which other pages fetch none', async () => {
  const { outputFiles, metafile } = await bundle(fileAt('www'), library);
  const isOfGpu = (/** @type {string} */ path) => /^(worker\/gpu|gpu-plan)/.test(path);
  const own = outputFiles.filter(({ path }) =>
    Object.keys(metafile.outputs[relative(fileAt('www'), path)].inputs).some(isOfGpu),
  );
  const scripts = own.reduce((sum, { contents }) => sum + gzipSync(contents, { level: 9 }).length, 0);
  const shaders = fileAt('crates/siglip-gpu/src/shaders');
  const wgsl = await Promise.all((await readdir(shaders)).map((name) => readFile(join(shaders, name))));
  const bytes = scripts + gzipSync(Buffer.concat(wgsl), { level: 9 }).length;
  assert.ok(scripts > 3000 && bytes <= 12 * 1024, `${bytes} bytes`);
  const names = new Set(own.map(({ path }) => relative(fileAt('www'), path)));
  for (const [name, { imports }] of Object.entries(metafile.outputs)) {
    const others = imports.filter(({ path, kind }) => kind === 'import-statement' && names.has(path));
    assert.ok(names.has(name) || !others.length, name);
  }
});

test("the module that makes a GPU's plan stays within 15 KiB", async () => {
  const module = await readFile(fileAt('www/wasm/gpu-plan/siglip_gpu_plan.wasm'));
  const { length } = gzipSync(module, { level: 9 });
  assert.ok(length > 5000 && length <= 15 * 1024, `${length} bytes`);
});

test('the bundled page classifies, and the bundled library shards a model over workers', async () => {
  const bundled = new Map(
    (await bundle(fileAt('www'), [...library, ...page])).outputFiles.map(({ path, text }) => [path, text]),
  );
  const blank = await harness.open({ path: '/tests/browser/pages/blank.html' });
  harness.server.intercept = (path, response) => {
    const text = bundled.get(fileAt(path));
    if (text === undefined) {
      // Scripts beside the bundled ones are not packaged.
      if (!/^\/www\/(?!wasm\/).*\.js$/.test(path)) return false;
      return void response.writeHead(404).end();
    }
    response.setHeader('content-type', path.endsWith('.css') ? 'text/css' : 'text/javascript');
    response.end(text);
  };
  const visit = await openIn(blank.context(), harness.server.origin);
  assert.equal((await labelsOf(visit, 'insect.jpg'))[0], 'an insect');
  await visit.locator('#dataset').setInputFiles(fileAt('tests/fixtures/pictures'));
  await visit.getByRole('heading', { name: 'Evaluation: pictures' }).waitFor();
  await visit.getByRole('button', { name: 'Close the evaluation' }).click();
  const best = await visit.evaluate(async () => {
    const { Siglip } = await import('/www/siglip.js');
    const siglip = await Siglip.load('tiny', { workers: 2 });
    const pictures = ['/www/samples/cat.jpg', '/tests/fixtures/pictures/rare/boat.tif'];
    return (await siglip.classify(pictures, ['a boat', 'a cat'])).map(([{ label }]) => label);
  });
  assert.deepEqual(best, ['a cat', 'a boat']);
  assert.deepEqual(await problemsOf(visit), []);
});
