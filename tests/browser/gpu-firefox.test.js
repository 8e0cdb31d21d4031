/**
 * Blocks on the GPU in Firefox, which compiles WGSL by other means than Chromium. Its WebGPU needs a Vulkan driver: SwiftShader comes
 * with Debian's Chromium.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { launchFirefox } from './browsers.js';
import { Harness, problemsOf } from './harness.js';

const swiftshader = '/usr/lib/chromium';
const driver = join(swiftshader, 'vk_swiftshader_icd.json');
if (existsSync(driver)) Object.assign(process.env, { VK_DRIVER_FILES: driver, LD_LIBRARY_PATH: swiftshader });

const harness = new Harness(() =>
  launchFirefox({
    'dom.webgpu.enabled': true,
    'dom.webgpu.workers.enabled': true,
    'gfx.webgpu.ignore-blocklist': true,
  }),
);

test('the blocks run on the GPU in Firefox, too, and give what the CPU gives', async (t) => {
  const page = await harness.open({ path: '/tests/browser/pages/blank.html' });
  if (!(await page.evaluate(async () => !!(await navigator.gpu?.requestAdapter())))) {
    t.skip('this Firefox finds no adapter for WebGPU');
    return;
  }
  const { device, notices, expected, found } = await page.evaluate(async () => {
    const { Siglip } = await import('/www/siglip.js');
    const model = '/tests/fixtures/random-open-clip/';
    const options = /** @type {const} */ ({ precision: 'f32', towers: 'image', cache: false, workers: 1 });
    const images = ['cat.jpg', 'boat.jpg'].map((name) => `/www/samples/${name}`);
    const arrays = (/** @type {Float32Array[]} */ list) => list.map((values) => Array.from(values));
    const expected = arrays(await (await Siglip.load(model, options)).embedImage(images));
    const siglip = await Siglip.load(model, { ...options, device: 'gpu' });
    const found = arrays(await siglip.embedImage(images));
    return { ...siglip.info, expected, found };
  });
  assert.deepEqual([device, notices], ['gpu', []]);
  for (const [i, want] of expected.entries()) {
    const difference = Math.max(...want.map((value, j) => Math.abs(value - found[i][j])));
    assert.ok(difference < 1e-5, `picture ${i}: ${difference}`);
  }
  assert.deepEqual(await problemsOf(page), []);
});
