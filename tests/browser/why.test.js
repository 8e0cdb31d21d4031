/** On the page: what in a picture speaks for a label. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { complaintsOfAxe } from './axe.js';
import { Harness, problemsOf } from './harness.js';
import { cardOf, labelsOf } from './page-actions.js';

const harness = new Harness();

test('a card shows what speaks for its best label, for another one, and by hiding parts', async () => {
  const page = await harness.open();
  await labelsOf(page, 'insect.jpg');
  const card = cardOf(page, 'insect.jpg');
  await card.getByText('Why?').click();
  const map = card.getByRole('img', { name: 'What speaks for' });
  assert.equal(await map.getAttribute('aria-label'), 'What speaks for “an insect”');
  await card.getByText('Lit: the parts that speak most for “an insect”').waitFor();
  // The map covers the picture.
  const boxes = await Promise.all([map.boundingBox(), card.locator('.thumbnail img').boundingBox()]);
  for (const side of /** @type {const} */ (['x', 'y', 'width', 'height'])) {
    assert.ok(Math.abs((boxes[0]?.[side] ?? 0) - (boxes[1]?.[side] ?? 1)) <= 1, JSON.stringify(boxes));
  }
  assert.deepEqual(await complaintsOfAxe(page), []);

  await card.getByLabel('Label to explain').selectOption('a boat');
  await card.getByText('Lit: the parts that speak most for “a boat”').waitFor();
  await card.getByLabel(/Thorough/).check();
  await card.getByText('Lit: the parts without which “a boat” is less likely').waitFor();

  // New scores bring a new map; without the label, the best one's.
  await page.getByRole('button', { name: 'Remove a boat' }).click();
  await card.getByText('Lit: the parts without which “an insect” is less likely').waitFor();
  await card.getByText('Why?').click();
  await map.waitFor({ state: 'detached' });
  assert.deepEqual(await problemsOf(page), []);
});
