/** Live classification of what a camera sees, with Chromium's fake one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { complaintsOfAxe } from './axe.js';
import { browserOfTests, launchChromium } from './browsers.js';
import { Harness, problemsOf } from './harness.js';
import { labelsOf } from './page-actions.js';

/** @typedef {import('./harness.js').Page} Page */

const fake = ['--use-fake-device-for-media-stream=device-count=2', '--use-fake-ui-for-media-stream'];
// Only Chromium has a fake camera.
const skip = browserOfTests.name !== 'chromium';
const harness = new Harness(() => (skip ? browserOfTests.launch() : launchChromium(fake)));

/** Opens the camera, and remembers its tracks. @param {Page} page */
async function openCamera(page) {
  await labelsOf(page, 'insect.jpg');
  await page.evaluate(() => {
    /** @type {MediaStreamTrack[]} */
    const tracks = [];
    Object.assign(globalThis, { tracks });
    const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    navigator.mediaDevices.getUserMedia = async (constraints) => {
      const stream = await ask(constraints);
      tracks.push(...stream.getTracks());
      return stream;
    };
  });
  await page.getByRole('button', { name: 'Camera…' }).click();
  return page.getByRole('region', { name: 'Camera' });
}

/** @param {Page} page */
const states = (page) =>
  page.evaluate(() =>
    /** @type {any} */ (globalThis).tracks.map((/** @type {any} */ { readyState }) => readyState),
  );

test('the camera is classified live, frozen, changed, kept, and stops cleanly', { skip }, async () => {
  const page = await harness.open();
  const panel = await openCamera(page);
  await panel.getByText(/ms a frame · [\d.]+ frames per second/).waitFor();
  assert.equal(await panel.locator('.scores li').count(), 5);
  assert.deepEqual(await complaintsOfAxe(page), []);

  // New labels are asked at once.
  await page.getByRole('textbox', { name: 'New label' }).fill('a green thing');
  await page.getByRole('textbox', { name: 'New label' }).press('Enter');
  await panel.locator('.scores li', { hasText: 'a green thing' }).waitFor();

  await panel.getByRole('button', { name: 'Freeze' }).click();
  await panel.getByText('Frozen.').waitFor();
  const frozen = await panel.locator('.scores').textContent();
  await page.waitForTimeout(600);
  assert.equal(await panel.locator('.scores').textContent(), frozen);
  assert.equal(await panel.getByText('Frozen.').count(), 1);
  await panel.getByRole('button', { name: 'Keep this picture' }).click();
  await page.locator('#cards > li', { hasText: 'camera' }).first().waitFor();
  await panel.getByRole('button', { name: 'Go on' }).click();
  await panel.getByText(/frames per second/).waitFor();

  const cameras = panel.getByLabel('Camera', { exact: true }).and(page.locator('select'));
  assert.equal(await cameras.locator('option').count(), 2);
  await cameras.selectOption({ index: 1 });
  await panel.getByText(/frames per second/).waitFor();
  assert.deepEqual(await states(page), ['ended', 'live']);

  await panel.getByRole('button', { name: 'Stop' }).click();
  await panel.getByText('The camera is off.').waitFor();
  assert.deepEqual(await states(page), ['ended', 'ended']);
  await panel.getByRole('button', { name: 'Start' }).click();
  await panel.getByText(/frames per second/).waitFor();
  await panel.getByRole('button', { name: 'Close the camera' }).click();
  assert.deepEqual(await states(page), ['ended', 'ended', 'ended']);
  assert.deepEqual(await problemsOf(page), []);
});

test('the camera stops when the page is hidden, and says when it is taken away', { skip }, async () => {
  const page = await harness.open();
  const panel = await openCamera(page);
  await panel.getByText(/frames per second/).waitFor();
  await page.evaluate(() => {
    Object.defineProperty(document, 'hidden', { value: true, configurable: true });
    document.dispatchEvent(new Event('visibilitychange'));
  });
  await panel.getByText('Stopped while the page was hidden.').waitFor();
  assert.deepEqual(await states(page), ['ended']);
  await page.evaluate(() => Reflect.deleteProperty(document, 'hidden'));

  await panel.getByRole('button', { name: 'Start' }).click();
  await panel.getByText(/frames per second/).waitFor();
  await page.evaluate(() => /** @type {any} */ (globalThis).tracks.at(-1).dispatchEvent(new Event('ended')));
  await panel.getByRole('alert').getByText('The camera has stopped by itself').waitFor();
  assert.deepEqual(await states(page), ['ended', 'ended']);

  await panel.getByRole('button', { name: 'Start' }).click();
  await panel.getByText(/frames per second/).waitFor();
  await page.evaluate(() => dispatchEvent(new Event('pagehide')));
  assert.deepEqual(await states(page), ['ended', 'ended', 'ended']);
  assert.deepEqual(await problemsOf(page), []);
});

test('a camera that there is not, that is refused or in use has its reason', { skip }, async () => {
  const page = await harness.open();
  await labelsOf(page, 'insect.jpg');
  const button = page.getByRole('button', { name: 'Camera…' });
  const alert = page.getByRole('region', { name: 'Camera' }).getByRole('alert');
  for (const [name, reason] of [
    ['NotAllowedError', /may not be used\. Allow it/],
    ['NotFoundError', /There is no camera/],
    ['NotReadableError', /Another program has the camera/],
    ['OverconstrainedError', /Choose another one/],
    ['', /https: or on this computer/],
  ]) {
    await page.evaluate((name) => {
      const value = name && { getUserMedia: () => Promise.reject(new DOMException('no', name)) };
      Object.defineProperty(navigator, 'mediaDevices', { value, configurable: true });
    }, String(name));
    await button.click();
    await alert.getByText(reason).waitFor();
  }
  assert.deepEqual(await complaintsOfAxe(page), []);
  // With one at last, it starts.
  await page.evaluate(() => Reflect.deleteProperty(navigator, 'mediaDevices'));
  await page.getByRole('region', { name: 'Camera' }).getByRole('button', { name: 'Start' }).click();
  await page.getByText(/frames per second/).waitFor();
  assert.equal(await alert.isVisible(), false);
  assert.deepEqual(await problemsOf(page), []);
});
