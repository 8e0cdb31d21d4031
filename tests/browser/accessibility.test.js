/** The page for those who see it not, or touch no mouse. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Harness } from './harness.js';
import { cardOf, drop, labelsOf, scoredLabel } from './visitor.js';

/** @typedef {import('./harness.js').Page} Page */

const harness = new Harness();

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** Violations of WCAG and good practice. @param {Page} page */
async function complaintsOfAxe(page) {
  await page.evaluate(axe);
  return page.evaluate(async () => {
    const { violations } = await /** @type {any} */ (globalThis).axe.run();
    return violations.map((/** @type {any} */ { id, nodes }) => [
      id,
      nodes.map((/** @type {any} */ node) => node.html),
    ]);
  });
}

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
  // Once more: an empty field takes the last label away.
  await page.keyboard.press('Backspace');
  await scoredLabel(page, 'insect.jpg', 'a snail').waitFor({ state: 'detached' });
  await page.getByRole('button', { name: 'Sample: a red powerboat' }).press('Enter');
  assert.equal((await labelsOf(page, 'boat.jpg'))[0], 'a boat');
});

for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
  test(`axe finds nothing to complain about, ${colorScheme}`, async () => {
    const page = await harness.open({ options: { colorScheme } });
    await labelsOf(page, 'insect.jpg');
    await drop(page, ['tests/fixtures/pictures/formats/pillow_broken.png']);
    await cardOf(page, 'pillow_broken.png').getByRole('alert').waitFor();
    await page.getByText('Use another model').click();
    assert.deepEqual(await complaintsOfAxe(page), []);
  });

  test(`axe finds nothing to complain about in the element, ${colorScheme}`, async () => {
    const page = await harness.open({ path: '/docs/examples/embed.html', options: { colorScheme } });
    await page.locator('#manual').getByRole('button', { name: 'Load the model' }).click();
    await page.locator('#manual [part=item]').first().waitFor();
    assert.deepEqual(await complaintsOfAxe(page), []);
  });
}
