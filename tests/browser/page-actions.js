/** Actions of a visitor on the page, and what the page shows. */
import { readFile } from 'node:fs/promises';
import { fileAt } from './harness.js';

/** @typedef {import('./harness.js').Page} Page */

/** The card of a picture. @param {Page} page @param {string} name */
export const cardOf = (page, name) =>
  page.locator('#cards > li', { has: page.getByRole('heading', { name }) });

/** Waits for a card's answer: its labels, best first. @param {Page} page @param {string} name */
export async function labelsOf(page, name) {
  const labels = cardOf(page, name).locator('.scores li span:first-child');
  await labels.first().waitFor();
  return labels.allTextContents();
}

/**
 * Drops files on the page as a visitor's file manager does.
 * @param {Page} page
 * @param {string[]} paths
 */
export async function drop(page, paths) {
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

/**
 * Drops files and folders from disk through the browser's own drag and drop.
 * @param {Page} page
 * @param {string[]} files absolute
 */
export async function dropFromDisk(page, files) {
  const session = await page.context().newCDPSession(page);
  const data = { items: [], files, dragOperationsMask: 1 };
  for (const type of /** @type {const} */ (['dragEnter', 'dragOver', 'drop'])) {
    await session.send('Input.dispatchDragEvent', { type, x: 100, y: 100, data });
  }
}

/**
 * A label in a card's answer.
 * @param {Page} page
 * @param {string} name the picture's
 * @param {string} label
 */
export const scoredLabel = (page, name, label) =>
  cardOf(page, name).locator('.scores li', { hasText: label });

/**
 * Asks for a model by its address.
 * @param {Page} page
 * @param {string} address
 */
export async function loadModel(page, address) {
  await page.getByText('Use another model').click();
  await page.locator('#model').selectOption('custom');
  await page.locator('#custom-url').fill(address);
  await page.getByRole('button', { name: 'Load this model' }).click();
}
