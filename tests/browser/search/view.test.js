/** On the page: search in a folder of one's own pictures. */
import assert from 'node:assert/strict';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { complaintsOfAxe } from '../axe.js';
import { browserOfTests } from '../browsers.js';
import { Harness, fileAt, problemsOf } from '../harness.js';
import { cardOf, labelsOf } from '../page-actions.js';

/** @typedef {import('../harness.js').Page} Page */

const harness = new Harness();

/** Opens the search for a folder. @param {Page} page @param {string} [folder] */
async function openFolder(page, folder = fileAt('www/samples')) {
  await labelsOf(page, 'insect.jpg');
  await page.getByRole('button', { name: 'Search a folder…' }).click();
  const panel = page.getByRole('region', { name: 'Search a folder' });
  await panel.getByLabel('Choose a folder to search').setInputFiles(folder);
  return panel;
}

test('a folder is searched by words and by a picture, and is known in the next visit', async () => {
  const page = await harness.open();
  const panel = await openFolder(page);
  const { y = 0 } = (await panel.getByText('Choose a folder…').boundingBox()) ?? {};
  const height = await page.evaluate(() => innerHeight);
  assert.ok(y > 0 && y < height, `the panel that opened is in view: ${y} of ${height}`);
  await panel.getByText('5 pictures (5 new)').waitFor();
  await panel.getByText('1 could not be read as pictures').click();
  await panel.getByText('CREDITS.md').waitFor();

  await panel.getByLabel('What is in the picture?').fill('a boat');
  await panel.getByLabel('What is in the picture?').press('Enter');
  await panel.getByText('The 5 that fit “a boat” best').waitFor();
  const found = panel.locator('.found li > button:first-child');
  assert.equal(await found.first().textContent(), 'boat.jpg');
  assert.deepEqual(await complaintsOfAxe(page), []);
  await panel.getByLabel('Search with a picture').setInputFiles(fileAt('www/samples/dog.jpg'));
  await panel.getByText('that fit dog.jpg and “a boat” best').waitFor();
  await panel.getByRole('button', { name: 'Search without dog.jpg' }).click();
  await panel.getByText('The 5 that fit “a boat” best').waitFor();
  await found.nth(1).click();
  await panel.getByText(/that fit \w+\.jpg best/).waitFor();
  await panel.getByRole('button', { name: /^Search without/ }).click();

  await panel.getByRole('button', { name: 'Find duplicates' }).click();
  await panel.getByText('No two pictures are nearly the same.').waitFor();
  await panel.getByLabel('What is in the picture?').fill('a blorp');
  await panel.getByRole('button', { name: 'Search', exact: true }).click();
  await panel
    .getByRole('alert')
    .getByText(/cannot read blorp/)
    .waitFor();

  await panel.getByLabel('What is in the picture?').fill('an animal');
  await panel.getByLabel('What is not in it?').fill('a dog');
  await panel.getByRole('button', { name: 'Search', exact: true }).click();
  await panel.getByText('without “a dog”').waitFor();
  await panel.getByLabel('What is in the picture?').fill('');
  await panel.getByRole('button', { name: 'Search', exact: true }).click();
  await panel.getByText('that fit anything but “a dog” best').waitFor();
  assert.notEqual(await found.first().textContent(), 'dog.jpg');
  await panel.getByRole('button', { name: 'Labels for coffee.jpg' }).click();
  await cardOf(page, 'coffee.jpg').waitFor();

  await page.reload();
  const again = await openFolder(page);
  // What WebKit's driver keeps in the Cache API is gone with the page.
  await again.getByText(`5 pictures (${browserOfTests.hasFiles ? 0 : 5} new)`).waitFor();
  assert.deepEqual(await problemsOf(page), []);
});

test('pictures that are nearly the same are shown in groups, and the index goes out and in as a file', async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'siglip-folder-'));
  context.after(() => rmSync(folder, { recursive: true }));
  for (const [from, to] of [
    ['boat', 'boat'],
    ['boat', 'the boat again'],
    ['cat', 'cat'],
  ]) {
    copyFileSync(fileAt(`www/samples/${from}.jpg`), join(folder, `${to}.jpg`));
  }
  const page = await harness.open();
  const panel = await openFolder(page, folder);
  await panel.getByText('3 pictures (').waitFor();
  await panel.getByRole('button', { name: 'Find duplicates' }).click();
  await panel.getByText('1 group of pictures that are nearly the same.').waitFor();
  assert.deepEqual(await panel.locator('.found li').allTextContents(), [
    '2 pictures',
    'boat.jpgLabels',
    'the boat again.jpgLabels',
  ]);
  await panel.getByText('The index as a file').click();
  assert.deepEqual(await complaintsOfAxe(page), []);
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    panel.getByRole('button', { name: 'Save the index' }).click(),
  ]);
  const file = await download.path();
  await panel.getByLabel('Load an index').setInputFiles(file);
  await panel.getByText('The index now has 3 pictures.').waitFor();
  await panel.getByLabel('Load an index').setInputFiles(fileAt('www/samples/cat.jpg'));
  await panel.getByRole('alert').getByText('not an index of pictures').waitFor();
  assert.deepEqual(await problemsOf(page), []);
});
