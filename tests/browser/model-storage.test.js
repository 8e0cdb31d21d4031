/** The page's list of cached models, and what it says about free storage. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { browserOfTests } from './browsers.js';
import { Harness, openIn, problemsOf } from './harness.js';
import { labelsOf, loadModel } from './page-actions.js';
import { FakeHub } from './weights/fake-hub.js';

/** @typedef {import('./harness.js').Page} Page */

const harness = new Harness();

/** The page, with a hub on its server and the demonstration model loaded. */
async function open() {
  const hub = new FakeHub();
  const page = await harness.open();
  harness.server.intercept = hub.at('/hub/');
  await labelsOf(page, 'insect.jpg');
  return { page, hub };
}

/** Waits for so many rows. @param {Page} page @param {number} count */
async function rowsOf(page, count) {
  const rows = page.locator('#kept-list > li');
  await page.waitForFunction((count) => document.querySelectorAll('#kept-list > li').length === count, count);
  return (await rows.allInnerTexts()).map((text) => text.replace(/\s+/g, ' ').trim()).sort();
}

/**
 * Replaces what the browser says about its storage, or adds it.
 * @param {Page} page
 * @param {{estimate?: StorageEstimate, agreed?: boolean}} answers `agreed`: whether it keeps the models when it is asked
 */
const replaceStorage = (page, answers) =>
  page.evaluate(({ estimate, agreed }) => {
    if (!navigator.storage) Object.defineProperty(navigator, 'storage', { value: {} });
    if (estimate) navigator.storage.estimate = async () => estimate;
    if (agreed === undefined) return;
    let persisted = false;
    navigator.storage.persisted = async () => persisted;
    navigator.storage.persist = async () => (persisted = agreed);
  }, answers);

test('cached models are listed and deleted one by one, or all at once', async () => {
  const { page } = await open();
  await page.getByText('Models on this device').click();
  assert.match((await rowsOf(page, 1))[0], /^Tiny, the demonstration model 8-bit · .* MB Delete$/);
  assert.ok(await page.getByRole('button', { name: 'Delete all' }).isHidden());

  const address = `${harness.server.origin}/hub/`;
  await loadModel(page, address);
  const [tiny, other] = await rowsOf(page, 2);
  assert.match(tiny, /^Tiny/);
  assert.ok(other.startsWith(`${address} 8-bit · `), other);
  await page.getByText('Use another model').click();
  await page.getByLabel('32-bit').check();
  await page.getByRole('button', { name: 'Load this model' }).click();
  await rowsOf(page, 3);

  const remove = page.getByRole('button', { name: `Delete ${address}, 32-bit` });
  await remove.press('Enter');
  assert.deepEqual(await rowsOf(page, 2), [tiny, other], 'the other precision stays');
  await page.waitForFunction(() => /^Delete /.test(document.activeElement?.ariaLabel ?? ''));
  await page.getByRole('button', { name: 'Delete all' }).click();
  await rowsOf(page, 0);
  await page.getByText('None yet.').waitFor();
  assert.deepEqual(await problemsOf(page), []);
});

const unfinished = browserOfTests.hasFiles ? 'is listed as unfinished' : 'leaves nothing behind';
test(`an interrupted download ${unfinished}`, async () => {
  const { page, hub } = await open();
  hub.faults['model.safetensors'] = [{ stall: 0.9 }];
  await loadModel(page, `${harness.server.origin}/hub/`);
  await page.waitForFunction(
    () => /** @type {HTMLProgressElement} */ (document.querySelector('#loading-bar')).value > 0.5,
  );
  await page.getByRole('button', { name: 'Cancel' }).click();
  await page.getByText('Models on this device').click();
  if (!browserOfTests.hasFiles) {
    assert.match((await rowsOf(page, 1))[0], /^Tiny/);
    return;
  }
  const part = (await rowsOf(page, 2)).find((text) => !text.startsWith('Tiny'));
  assert.match(part ?? '', /unfinished/);
});

const outcome = browserOfTests.hasFiles
  ? 'is not deleted, and the panel says why'
  : 'is not listed, and outlives the deletion of the others';
test(`a model that another tab is loading ${outcome}`, async () => {
  const { page, hub } = await open();
  const other = await openIn(page.context(), page.url());
  let goOn = () => {};
  hub.faults['model.safetensors'] = [{ stall: 0.9, until: new Promise((resolve) => (goOn = resolve)) }];
  await loadModel(other, `${harness.server.origin}/hub/`);
  await other.locator('#loading-text', { hasText: ' of ' }).waitFor();
  await page.getByText('Models on this device').click();
  if (!browserOfTests.hasFiles) {
    assert.match((await rowsOf(page, 1))[0], /^Tiny/);
    await page.getByRole('button', { name: /^Delete Tiny/ }).click();
    await rowsOf(page, 0);
    goOn();
    await labelsOf(other, 'insect.jpg');
    await other.getByText('Models on this device').click();
    assert.ok((await rowsOf(other, 1))[0].startsWith(`${harness.server.origin}/hub/`));
    return;
  }
  await rowsOf(page, 2);
  await page.getByRole('button', { name: 'Delete all' }).click();
  const alert = page.locator('#kept-error');
  await alert.waitFor();
  assert.match((await alert.textContent()) ?? '', /could not be deleted.*being loaded/);
});

test('the model chooser shows the free storage, and warns before a download that does not fit', async () => {
  const { page } = await open();
  const [cost, warning] = [page.locator('#cost'), page.locator('#no-room')];
  await page.getByText('Use another model').click();
  await page.locator('#model').selectOption('google/siglip-base-patch16-224');
  const download = 'Downloads 815 MB from huggingface.co, once: about 220 MB are kept for the next visit.';
  const room = browserOfTests.hasStorageManager ? / The browser has room for [\d.]+ .B\.$/ : /^$/;
  const shown = (await cost.textContent()) ?? '';
  assert.ok(shown.startsWith(download), shown);
  assert.match(shown.slice(download.length), room);
  assert.ok(await warning.isHidden());
  await replaceStorage(page, { estimate: { quota: 100e6, usage: 1e6 } });
  await page.getByText('Models on this device').click();
  await warning.waitFor();
  assert.match((await cost.textContent()) ?? '', /^Downloads 815 MB .* room for 99.0 MB\.$/);
  assert.match((await warning.textContent()) ?? '', /no room .* about 220 MB/);
  assert.equal(await page.locator('#announcer').textContent(), await warning.textContent());
  await page.getByLabel('32-bit').check();
  assert.match((await warning.textContent()) ?? '', /about 815 MB/);
});

for (const agreed of [true, false]) {
  test(`persistent storage is requested after a click only, and ${agreed ? 'granted' : 'declined'}`, async () => {
    const { page } = await open();
    const button = page.getByRole('button', { name: 'Keep on this device' });
    if (!browserOfTests.hasStorageManager) {
      await page.getByText('Models on this device').click();
      await rowsOf(page, 1);
      assert.ok(await button.isHidden(), 'the browser cannot be asked');
      assert.equal(await page.locator('#persistence').textContent(), '');
      await page.getByText('Models on this device').click();
    }
    await replaceStorage(page, { agreed });
    await page.getByText('Models on this device').click();
    await page.getByText('may delete models when room gets scarce').waitFor();
    await button.click();
    await page.getByText(agreed ? 'The browser has agreed' : 'The browser has not agreed').waitFor();
    assert.equal(await button.isHidden(), agreed);
  });
}

test('the page says so when there is no storage', async () => {
  const page = await harness.open();
  const visit = await openIn(page.context(), harness.server.origin.replace('127.0.0.1', 'insecure.test'));
  await labelsOf(visit, 'insect.jpg');
  await visit.getByText('Models on this device').click();
  await visit.getByText('gives this page no storage').waitFor();
  assert.ok(await visit.getByRole('button', { name: 'Keep on this device' }).isHidden());
  await visit.getByText('Use another model').click();
  await visit.locator('#model').selectOption('google/siglip-base-patch16-224');
  assert.match((await visit.locator('#cost').textContent()) ?? '', /^Downloads 815 MB .* on every visit/);
});
