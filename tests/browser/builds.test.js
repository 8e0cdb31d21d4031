/** The choice of a build of the engine, also while `cargo xtask serve` has not made them all yet. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { browserOfTests, buildOf } from './browsers.js';
import { Harness, problemsOf } from './harness.js';

const harness = new Harness();
const isolated = {
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-embedder-policy': 'require-corp',
};

/**
 * Scores an image on a host that lacks some builds.
 * @param {string[]} missing their folders
 * @param {number} workers
 * @param {Record<string, string>} [headers]
 */
async function classifyWithout(missing, workers, headers) {
  const page = await harness.open({ path: '/tests/browser/pages/blank.html', headers });
  harness.server.intercept = (path, response) => {
    if (!missing.some((build) => path.startsWith(`/www/wasm/${build}/`))) return false;
    response.writeHead(404).end();
  };
  const answer = await page.evaluate(async (workers) => {
    const { Siglip } = await import('/www/siglip.js');
    const siglip = await Siglip.load('tiny', { workers });
    const [best] = await siglip.classify('/www/samples/cat.jpg', ['a boat', 'a cat']);
    return { label: best.label, backend: siglip.info.backend, workers: siglip.info.workers };
  }, workers);
  return { ...answer, backend: buildOf(answer.backend) };
}

test('the fastest available build is loaded', async () => {
  const faster = await classifyWithout([], 1);
  assert.deepEqual(faster, { label: 'a cat', backend: 'relaxed-simd', workers: 1 });
  const slower = await classifyWithout(['relaxed-simd', 'threads'], 1);
  assert.deepEqual(slower, { label: 'a cat', backend: 'simd', workers: 1 });
});

test('all workers of a sharded model take the same build', async () => {
  const answer = await classifyWithout(['relaxed-simd', 'threads'], 2);
  assert.deepEqual(answer, { label: 'a cat', backend: 'simd', workers: 2 });
});

test('an isolated page without the build with threads shards the model', async () => {
  const answer = await classifyWithout(['threads'], 2, isolated);
  assert.deepEqual(answer, { label: 'a cat', backend: 'relaxed-simd', workers: 2 });
  assert.equal(harness.server.requestsOf('threads/siglip_web_bg.wasm').length, 0);
});

test('a build whose script is still empty is skipped without an error', async () => {
  for (const headers of [undefined, isolated]) {
    const page = await harness.open({ path: '/tests/browser/pages/blank.html', headers });
    harness.server.intercept = (path, response) => {
      if (!/^\/www\/wasm\/(relaxed-simd|threads)\//.test(path)) return false;
      response.writeHead(200, { 'content-type': 'text/javascript' }).end('export {};');
      return true;
    };
    const backend = await page.evaluate(async () => {
      const { Siglip } = await import('/www/siglip.js');
      return (await Siglip.load('tiny', { workers: 2 })).info.backend;
    });
    assert.equal(backend, 'simd');
    assert.deepEqual(await problemsOf(page), []);
  }
});

test('the backend tells what the dot product of bytes is exact for on this processor', async () => {
  const page = await harness.open({ path: '/tests/browser/pages/blank.html' });
  const { backend, isExact } = await page.evaluate(async () => {
    const { Siglip } = await import('/www/siglip.js');
    const { backend } = (await Siglip.load('tiny', { workers: 1 })).info;
    // (func (export "f") (param i32 i32) (result i32)): a lane of the relaxed dot product of two splats of bytes.
    const body = [0, 32, 0, 253, 15, 32, 1, 253, 15, 65, 0, 253, 17, 253, 147, 2, 253, 27, 0, 11];
    const module = [
      ...[0, 97, 115, 109, 1, 0, 0, 0, 1, 7, 1, 96, 2, 127, 127, 1, 127, 3, 2, 1, 0, 7, 5, 1, 1, 102, 0, 0],
      ...[10, body.length + 2, 1, body.length, ...body],
    ];
    const bytes = new Uint8Array(module);
    if (!WebAssembly.validate(bytes)) return { backend, isExact: undefined };
    const { instance } = await WebAssembly.instantiate(bytes);
    const dot = /** @type {(weight: number, row: number) => number} */ (instance.exports.f);
    const isExact = (/** @type {number} */ signedFrom) => {
      for (let row = 0; row < 256; row++) {
        const value = row < signedFrom ? row : row - 256;
        for (let weight = -127; weight <= 127; weight++) {
          if (dot(weight, row) !== 4 * weight * value) return false;
        }
      }
      return true;
    };
    return { backend, isExact: { u8: isExact(256), i8: isExact(128) } };
  });
  const suffix = !isExact ? '' : isExact.u8 ? '-u8' : isExact.i8 ? '-i8' : '';
  assert.equal(backend, browserOfTests.backend + suffix);
});
