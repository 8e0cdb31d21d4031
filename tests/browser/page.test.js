/** The page as a visitor uses it: pictures, labels, models. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { Harness, fileAt, problemsOf } from './harness.js';

/** @typedef {import('./harness.js').Page} Page */

const harness = new Harness();

/** The card of a picture. @param {Page} page @param {string} name */
const cardOf = (page, name) => page.locator('#cards > li', { has: page.getByRole('heading', { name }) });

/** Waits for a card's answer: its labels, best first. @param {Page} page @param {string} name */
async function labelsOf(page, name) {
  const labels = cardOf(page, name).locator('.scores li span:first-child');
  await labels.first().waitFor();
  return labels.allTextContents();
}

/**
 * Drops files on the page as a visitor's file manager does.
 * @param {Page} page
 * @param {string[]} paths
 */
async function drop(page, paths) {
  const files = await Promise.all(
    paths.map(async (path) => ({
      name: path.split('/').pop() ?? path,
      base64: await readFile(fileAt(path), 'base64'),
    })),
  );
  await page.evaluate((files) => {
    const dataTransfer = new DataTransfer();
    for (const { name, base64 } of files) {
      const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
      dataTransfer.items.add(new File([bytes], name));
    }
    for (const type of ['dragenter', 'dragover', 'drop']) {
      document.body.dispatchEvent(new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true }));
    }
  }, files);
}

test('the example is answered without a hand laid on', async () => {
  const page = await harness.open();
  assert.equal((await labelsOf(page, 'insect.jpg'))[0], 'an insect');
  assert.deepEqual(problemsOf(page), []);
});

test('dropped and chosen pictures are answered, the right label on top', async () => {
  const page = await harness.open();
  await drop(page, ['www/samples/boat.jpg', 'www/samples/rocket.jpg']);
  assert.equal((await labelsOf(page, 'boat.jpg'))[0], 'a boat');
  assert.equal((await labelsOf(page, 'rocket.jpg'))[0], 'a rocket');
  await page.getByLabel('Choose pictures').setInputFiles([fileAt('www/samples/cat.jpg')]);
  assert.equal((await labelsOf(page, 'cat.jpg'))[0], 'a cat');
  assert.equal(await page.locator('#cards > li').count(), 3, 'the example makes room');
  assert.deepEqual(problemsOf(page), []);
});
