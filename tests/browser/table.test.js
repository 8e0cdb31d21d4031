/** The table of pictures and labels. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { complaintsOfAxe } from './axe.js';
import { Harness, fileAt, problemsOf } from './harness.js';
import { drop, labelsOf } from './page-actions.js';

/** @typedef {import('./harness.js').Page} Page */

const harness = new Harness();
const samples = ['boat', 'cat', 'coffee', 'dog'];
const broken = 'tests/fixtures/pictures/formats/pillow_broken.png';

/** The page with four pictures and a broken one, in the table. @param {import('playwright-core').BrowserContextOptions} [options] */
async function openTable(options = {}) {
  const page = await harness.open({ options });
  await labelsOf(page, 'insect.jpg');
  await drop(page, [...samples.map((name) => `www/samples/${name}.jpg`), broken]);
  await page.getByLabel('Table', { exact: true }).check();
  await page.locator('.grid .failure', { hasText: 'cannot be read' }).waitFor();
  await page.waitForFunction(() => document.querySelectorAll('.grid .value').length === 20);
  return page;
}

/** @param {Page} page */
const names = (page) => page.locator('.grid [role=rowheader]').allTextContents();

/** The text of a file that a button saves. @param {Page} page @param {string} button */
async function saved(page, button) {
  const download = page.waitForEvent('download');
  await page.getByRole('button', { name: button, exact: true }).click();
  return readFile(await (await download).path(), 'utf8');
}

test('the first view fetches less than 100 KB of code, and none of the table', async () => {
  const page = await harness.open();
  await labelsOf(page, 'insect.jpg');
  const paths = await page.evaluate(() =>
    performance.getEntriesByType('resource').map(({ name }) => new URL(name).pathname.slice(1)),
  );
  const code = ['index.html', ...new Set(paths.filter((path) => /\.(js|css|svg)$/.test(path)))];
  assert.ok(code.includes('www/app/app.js') && code.includes('www/app/app.css'), code.join());
  assert.ok(!code.some((path) => path.startsWith('www/app/table/')), code.join());
  const bytes = await Promise.all(code.map(async (path) => gzipSync(await readFile(fileAt(path))).length));
  const sum = bytes.reduce((total, length) => total + length, 0);
  assert.ok(sum < 100_000, `${sum} bytes`);
});

test('the table sorts, filters, selects by thresholds, removes with undo and saves', async () => {
  const page = await openTable();
  assert.deepEqual(
    await page.locator('.grid .head b').allTextContents(),
    ['Picture', 'a cat', 'a dog', 'a boat', 'an insect', 'a coffee cup'],
    'the labels are in the visitor’s order',
  );
  await page.getByRole('columnheader', { name: 'a dog' }).getByRole('button').click();
  await page.locator('[aria-sort=descending]', { hasText: 'a dog' }).waitFor();
  assert.equal((await names(page))[0], 'dog.jpg');
  assert.equal((await names(page)).at(-1), 'pillow_broken.png');

  await page.getByLabel('Threshold for').selectOption('a dog');
  await page.getByRole('slider', { name: 'Threshold' }).fill('-10');
  await page.locator('[role=columnheader]', { hasText: 'a dog' }).getByText('4 ≥ <0.01%').waitFor();
  await page.getByLabel('Threshold for').selectOption('All labels');
  await page.getByRole('slider', { name: 'Threshold' }).fill('6');
  await page.getByRole('combobox', { name: 'Show', exact: true }).selectOption('Reach no threshold');
  await page.waitForFunction(() => document.querySelectorAll('.grid [role=rowheader]').length === 3);
  await page.getByRole('combobox', { name: 'Show', exact: true }).selectOption('All pictures');

  await page.getByRole('searchbox', { name: 'Find' }).fill('CO');
  await page.waitForFunction(() => document.querySelectorAll('.grid [role=rowheader]').length === 1);
  const csv = await saved(page, 'Save CSV');
  assert.match(csv, /^\uFEFFpicture,.*a dog.*,error\r\ncoffee\.jpg,0\.\d/);
  assert.equal(csv.trim().split('\r\n').length, 2);
  await page.getByRole('searchbox', { name: 'Find' }).fill('');
  await page.waitForFunction(() => document.querySelectorAll('.grid [role=rowheader]').length === 5);
  const json = JSON.parse(await saved(page, 'Save JSON'));
  assert.equal(json.pictures.length, 5);
  assert.match(json.pictures.at(-1).error, /cannot be read/);

  await page.getByRole('combobox', { name: 'Values', exact: true }).selectOption('share');
  await page.getByText('Share: the labels of a row divide 100%').waitFor();
  const row = page.locator('.grid [role=row]', { hasText: 'cat.jpg' }).locator('.value');
  const shares = (await row.allTextContents()).map((text) => parseFloat(text.replace(/[<>]/, '')));
  const sum = shares.reduce((total, share) => total + share, 0);
  assert.ok(Math.abs(sum - 100) < 0.5, String(shares));

  const edges = (/** @type {string} */ cells) =>
    page.locator(cells).evaluateAll((all) => all.map((cell) => Math.round(cell.getBoundingClientRect().x)));
  assert.deepEqual(
    await edges('.grid .body [role=row]:first-child > *'),
    await edges('.grid .head [role=row] > *'),
    'the columns of head and body are one below the other',
  );

  const before = await names(page);
  await page.getByLabel('Select cat.jpg').check();
  await page.getByLabel('Select pillow_broken.png').check();
  await page.getByRole('button', { name: 'Remove selected' }).click();
  await page.waitForFunction(() => document.querySelectorAll('.grid [role=rowheader]').length === 3);
  await page.getByRole('button', { name: 'Undo removal of 2 pictures' }).click();
  await page.locator('.grid .failure', { hasText: 'cannot be read' }).waitFor();
  assert.deepEqual(await names(page), before);
  assert.deepEqual(await problemsOf(page), []);
});

test('a thousand pictures and fifty labels keep few rows in the document', async () => {
  const page = await harness.open();
  await labelsOf(page, 'insect.jpg');
  const facts = await page.evaluate(async () => {
    const { showLargeTable } = await import('/tests/browser/pages/large-table.js');
    const view = await showLargeTable();
    const frame = () => new Promise(requestAnimationFrame);
    const grid = /** @type {HTMLElement} */ (view.element.querySelector('[role=grid]'));
    let mostRows = 0;
    for (grid.scrollTop = 0; grid.scrollTop < grid.scrollHeight - grid.clientHeight - 1;) {
      grid.scrollTop += 2000;
      await frame();
      await frame();
      mostRows = Math.max(mostRows, grid.querySelectorAll('.body [role=row]').length);
    }
    const last = grid.querySelector('.body [role=row]:last-child')?.getAttribute('aria-rowindex');
    return { mostRows, last, count: grid.getAttribute('aria-rowcount') };
  });
  assert.ok(facts.mostRows > 10 && facts.mostRows < 45, String(facts.mostRows));
  assert.deepEqual([facts.last, facts.count], ['1001', '1001']);
});

test('the grid is walked with the arrow keys as one stop of Tab', async () => {
  const page = await openTable();
  assert.equal(await page.locator('.grid [tabindex="0"]').count(), 1);
  await page.locator('.grid [tabindex="0"]').focus();
  const focused = () =>
    page.evaluate(() => {
      const cell = document.activeElement?.closest('[role=row] > *');
      const row = cell?.parentElement;
      return [row?.getAttribute('aria-rowindex'), row && cell ? [...row.children].indexOf(cell) : -1];
    });
  assert.deepEqual(await focused(), ['1', 1]);
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('End');
  assert.deepEqual(await focused(), ['2', 6]);
  await page.keyboard.press('Space');
  assert.equal(await page.locator('.grid [aria-selected=true]').count(), 1);
  await page.keyboard.press('Control+Home');
  assert.deepEqual(await focused(), ['1', 0]);
  await page.keyboard.press('Space');
  await page.waitForFunction(() => document.querySelectorAll('.grid [aria-selected=true]').length === 5);
  assert.deepEqual(await focused(), ['1', 0]);
});

for (const colorScheme of /** @type {const} */ (['light', 'dark']))
  test(`axe finds no accessibility fault in the table, ${colorScheme}`, async () => {
    const page = await openTable({ colorScheme });
    await page.getByRole('combobox', { name: 'Values', exact: true }).selectOption('logit');
    await page.getByLabel('Select cat.jpg').check();
    assert.deepEqual(await complaintsOfAxe(page), []);
  });
