/** bench/gpu.html in Chromium with SwiftShader: that it measures what it says. Its times mean nothing here. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { launchChromium } from './browsers.js';
import { Harness, problemsOf } from './harness.js';

const harness = new Harness(() =>
  launchChromium(['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader']),
);

test('the benchmark of the GPU reports times, rates and cosines, and compares nothing on a software adapter', async () => {
  const page = await harness.open({
    path: '/bench/gpu.html?start=1&model=/tests/fixtures/random-small/&only=f32&rounds=1&warm=1&runs=3&batch=0',
  });
  page.setDefaultTimeout(120_000);
  await page.waitForFunction('window.report');
  const report = JSON.parse(await page.getByRole('textbox', { name: 'The report' }).inputValue());
  assert.equal(report.error, undefined);
  assert.equal(report.adapter.software, true);
  assert.ok(report.peak.before.f32 > 0);
  const [ours, ...others] = report.results;
  assert.deepEqual(others, []);
  assert.equal(ours.name, 'siglip-web f32');
  assert.equal(ours.info.device, 'gpu');
  for (const { median, p10, p90, runs } of [ours.image, ours.text1]) {
    assert.ok(0 < p10 && p10 <= median && median <= p90);
    assert.equal(runs, 3);
  }
  // Against the CPU.
  assert.ok(Math.abs(ours.cosine - 1) < 1e-6 && Math.abs(ours.textCosine - 1) < 1e-6, JSON.stringify(ours));
  assert.deepEqual(report.speedups, []);
  assert.deepEqual(await problemsOf(page), []);
});

test('the benchmark says that there is no GPU', async () => {
  const page = await harness.open({ path: '/tests/browser/pages/blank.html' });
  await page.context().addInitScript(() => Object.defineProperty(navigator, 'gpu', { value: undefined }));
  await page.goto(`${harness.server.origin}/bench/gpu.html`);
  await page.getByRole('button', { name: 'Measure' }).click();
  await page.getByRole('log').getByText('WebGPU is not available').waitFor();
});
