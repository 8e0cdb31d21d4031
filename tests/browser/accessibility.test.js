/** Accessibility: keyboard alone, screen readers, contrast. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { complaintsOfAxe } from './axe.js';
import { browserOfTests } from './browsers.js';
import { Harness, fileAt } from './harness.js';
import { cardOf, drop, labelsOf, scoredLabel } from './page-actions.js';

const harness = new Harness();

test('the page is used with the keyboard alone', async () => {
  const page = await harness.open();
  await labelsOf(page, 'insect.jpg');
  const focused = () =>
    page.evaluate(() => document.activeElement?.id || document.activeElement?.ariaLabel || '');
  /** @type {string[]} */
  const stops = [];
  while (!stops.includes('template') && stops.length < 40) {
    await page.keyboard.press('Tab');
    stops.push(await focused());
  }
  assert.ok(stops.includes('files'), stops.join());
  assert.ok(stops.includes('new-label'), stops.join());
  await page.locator('#new-label').focus();
  await page.keyboard.type('a snail');
  await page.keyboard.press('Enter');
  await scoredLabel(page, 'insect.jpg', 'a snail').waitFor();
  // Backspace in the empty field removes the last label.
  await page.keyboard.press('Backspace');
  await scoredLabel(page, 'insect.jpg', 'a snail').waitFor({ state: 'detached' });
  await page.getByRole('button', { name: 'Sample: a red powerboat' }).press('Enter');
  assert.equal((await labelsOf(page, 'boat.jpg'))[0], 'a boat');
});

for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
  // Dark colours are the same in every browser, but only Playwright can ask for them.
  if (colorScheme === 'dark' && browserOfTests.name !== 'chromium') continue;
  test(`axe finds no accessibility fault, ${colorScheme}`, async () => {
    const page = await harness.open({ options: { colorScheme } });
    await labelsOf(page, 'insect.jpg');
    await drop(page, ['tests/fixtures/pictures/formats/pillow_broken.png']);
    await cardOf(page, 'pillow_broken.png').getByRole('alert').waitFor();
    await page.getByText('Use another model').click();
    await page.locator('#model').selectOption('custom');
    await page.getByText('Models on this device').click();
    await page.locator('#kept-list > li').first().waitFor();
    if (browserOfTests.name === 'chromium') {
      await page.locator('#dataset').setInputFiles(fileAt('tests/fixtures/pictures'));
      // A part of the pictures will do.
      await page.getByText(/^[1-9]\d* of \d+ pictures$/).waitFor();
      await page.getByRole('button', { name: 'Stop' }).click();
      await page.getByRole('button', { name: 'Run again' }).waitFor();
      for (const list of await page.locator('.evaluation summary').all()) await list.click();
    }
    assert.deepEqual(await complaintsOfAxe(page), []);
  });

  test(`axe finds no accessibility fault in the element, ${colorScheme}`, async () => {
    const page = await harness.open({ path: '/examples/several-elements.html', options: { colorScheme } });
    await page.locator('#manual').getByRole('button', { name: 'Load the model' }).click();
    await page.locator('#manual [part=item]').first().waitFor();
    assert.deepEqual(await complaintsOfAxe(page), []);
  });
}
