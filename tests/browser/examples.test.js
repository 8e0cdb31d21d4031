/** The pages of examples/; several-elements.html has tests in element.test.js, search.html in search/element.test.js. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Harness, fileAt, problemsOf } from './harness.js';

const harness = new Harness();

test('the shortest page classifies a chosen image', async () => {
  const page = await harness.open({ path: '/examples/minimal.html' });
  const element = page.locator('siglip-classifier');
  await element.getByRole('button', { name: 'Load the model' }).click();
  await element.locator('input[type=file]').setInputFiles(fileAt('www/samples/cat.jpg'));
  assert.equal(await element.locator('[part~=label]').first().textContent(), 'a cat');
  assert.deepEqual(await problemsOf(page), []);
});

test('the API ranks labels, and ranks them anew when they are edited', async () => {
  const page = await harness.open({ path: '/examples/api.html' });
  await page.getByText('is ready').waitFor();
  const best = page.locator('#scores li').first();
  assert.match((await best.textContent()) ?? '', /^a cat: /);
  await page.locator('#labels').fill('a coffee cup, a kitten');
  await page.getByText('a kitten').waitFor();
  assert.equal(await page.locator('#scores li').count(), 2);
  assert.deepEqual(await problemsOf(page), []);
});
