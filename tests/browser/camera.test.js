/** Live classification of what a camera sees, on the page and in the element, with Chromium's fake one. */
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

/** Has the page remember the tracks of its cameras. @param {Page} page */
const rememberTracks = (page) =>
  page.evaluate(() => {
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

/** Opens the camera of the page. @param {Page} page */
async function openCamera(page) {
  await labelsOf(page, 'insect.jpg');
  await rememberTracks(page);
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

test(
  'the element with the attribute `camera` scores its frames, keeps one, and stops when it goes',
  { skip },
  async () => {
    const page = await harness.open({ path: '/tests/browser/pages/blank.html' });
    await rememberTracks(page);
    await page.evaluate(async () => {
      document.title = 'Host';
      document.documentElement.lang = 'en';
      const { SiglipClassifier } = await import('/www/siglip-classifier.js');
      const element = new SiglipClassifier();
      Object.assign(element, { labels: ['a cat', 'a green thing'], topK: 1, name: 'subject', camera: true });
      const events = { result: /** @type {string[]} */ ([]), error: /** @type {string[]} */ ([]) };
      element.addEventListener('result', (event) => {
        const { file, scores, ms } = /** @type {CustomEvent} */ (event).detail;
        events.result.push(`${file.localName ?? 'file'} ${scores.length} ${ms > 0}`);
      });
      element.addEventListener('error', (event) => {
        events.error.push(/** @type {any} */ (event).detail.code);
      });
      Object.assign(globalThis, { events });
      const form = document.createElement('form');
      const heading = Object.assign(document.createElement('h1'), { textContent: 'Host' });
      const main = document.createElement('main');
      main.append(heading, form);
      form.append(element);
      document.body.append(main);
    });
    const element = page.locator('siglip-classifier');
    const camera = element.getByRole('button', { name: 'Camera', exact: true });
    await camera.click();
    // Nothing is downloaded before the visitor asks for it.
    await element.getByText('Waiting for the model …').waitFor();
    await element.getByRole('button', { name: 'Load the model' }).click();
    await element.getByText(/ms a frame · [\d.]+ frames per second/).waitFor();
    assert.equal(await element.locator('.camera [part=item]').count(), 1);
    assert.deepEqual(await complaintsOfAxe(page), []);
    const events = () => page.evaluate(() => /** @type {any} */ (globalThis).events);
    assert.equal((await events()).result[0], 'video 1 true');
    const value = () => page.evaluate(() => new FormData(document.forms[0]).get('subject'));
    assert.equal(await value(), null, 'a frame is no answer of the form');

    await element.getByRole('button', { name: 'Keep this picture' }).click();
    await element.locator('figure [part=item]').waitFor();
    assert.match(String(await value()), /^a (cat|green thing)$/);
    await page.evaluate(() => document.querySelector('siglip-classifier')?.toggleAttribute('camera', false));
    await camera.waitFor({ state: 'hidden' });
    assert.deepEqual(await states(page), ['ended']);

    await page.evaluate(() => document.querySelector('siglip-classifier')?.toggleAttribute('camera', true));
    await camera.click();
    await element.getByText(/frames per second/).waitFor();
    await page.evaluate(() => document.querySelector('siglip-classifier')?.toggleAttribute('disabled', true));
    await camera.waitFor({ state: 'hidden' });
    assert.deepEqual(await states(page), ['ended', 'ended']);
    await page.evaluate(() =>
      document.querySelector('siglip-classifier')?.toggleAttribute('disabled', false),
    );

    await camera.click();
    await element.getByText(/frames per second/).waitFor();
    await page.evaluate(() =>
      /** @type {any} */ (globalThis).tracks.at(-1).dispatchEvent(new Event('ended')),
    );
    await element.getByRole('alert').getByText('The camera has stopped by itself').waitFor();
    assert.deepEqual((await events()).error, ['camera']);
    await element.getByRole('button', { name: 'Start' }).click();
    await element.getByText(/frames per second/).waitFor();
    await page.evaluate(() => document.querySelector('siglip-classifier')?.remove());
    await page.waitForFunction(() =>
      /** @type {any} */ (globalThis).tracks.every(
        (/** @type {any} */ { readyState }) => readyState === 'ended',
      ),
    );
    assert.deepEqual(await problemsOf(page), []);
  },
);
