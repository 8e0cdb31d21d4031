/** What the page offers once a model answers: a published model, its own timings, keys; and its page about privacy. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { complaintsOfAxe } from './axe.js';
import { Harness, openIn, problemsOf } from './harness.js';
import { labelsOf } from './page-actions.js';

const harness = new Harness();

test('single keys do what their list says, not in fields, and stay off when they are switched off', async () => {
  const page = await harness.open({ options: { colorScheme: 'dark' } });
  await page.getByRole('button', { name: 'Keyboard shortcuts' }).waitFor();
  const { keyboard } = page;
  await keyboard.press('t');
  await page.getByRole('grid').waitFor();
  await keyboard.press('t');
  await page.locator('#cards').waitFor();
  await keyboard.press('s');
  await page.getByRole('heading', { name: 'Search a folder' }).waitFor();
  await keyboard.press('/');
  await keyboard.type('a t?');
  assert.equal(await page.locator('#new-label').inputValue(), 'a t?');
  await page.locator('#new-label').fill('');
  await page.locator('#as-table').focus();
  await keyboard.press('Control+m');
  assert.equal(await page.locator('#model-form').isVisible(), false, 'a key with Control is the browser’s');
  await keyboard.press('m');
  await page.locator('#model-form').waitFor();
  await page.locator('#as-table').focus();
  await keyboard.press('?');
  const list = page.getByRole('dialog', { name: 'Keyboard shortcuts' });
  await list.waitFor();
  assert.deepEqual(await complaintsOfAxe(page), []);
  await list.getByRole('checkbox').click();
  await keyboard.press('Escape');
  await list.waitFor({ state: 'hidden' });

  await page.waitForFunction(async () => (await caches.match('settings.json'))?.ok);
  await page.reload();
  await page.getByRole('button', { name: 'Keyboard shortcuts' }).waitFor();
  await keyboard.press('?');
  await page.getByRole('button', { name: 'Keyboard shortcuts' }).click();
  assert.equal(await page.getByRole('dialog').getByRole('checkbox').isChecked(), false);
  assert.deepEqual(await problemsOf(page), []);
});

test('a first visit is offered a published model, with its size and time, until that is declined', async () => {
  const page = await harness.open();
  const offer = page.locator('.offer');
  await offer.waitFor();
  assert.match(
    (await offer.textContent()) ?? '',
    /Base, 224 px, in 8 bits, 213 MB from huggingface\.co, .* about \d+ (s|min)\./,
  );
  await offer.getByRole('button', { name: 'Not now' }).click();
  await offer.waitFor({ state: 'hidden' });
  await page.waitForFunction(async () => (await caches.match('settings.json'))?.ok);
  await page.reload();
  await labelsOf(page, 'insect.jpg');
  await page.getByText('Timings and memory').click();
  const details = page.locator('.details');
  await details.getByText('Ready after').waitFor();
  const facts = (await details.textContent()) ?? '';
  for (const fact of [
    /tiny/,
    /1; the median takes \d/,
    /CPU: 1 worker/,
    /70 px, texts of 12 tokens/,
    /28\.33/,
  ])
    assert.match(facts, fact);
  assert.doesNotMatch(facts, /Downloaded/, 'a model from the device is not downloaded');
  assert.equal(await offer.isVisible(), false);

  const { timeFor } = await page.evaluate(async () => {
    const { timeFor } = await import('/www/app/offer.js');
    const slow = { connection: { downlink: 8 } };
    return {
      timeFor: [
        timeFor(213e6, { bytes: 10e6, ms: 1000 }, slow),
        timeFor(213e6, { bytes: 10e3, ms: 1000 }, slow),
        timeFor(213e6, undefined, slow),
        timeFor(213e6, undefined, {}),
      ].map((ms) => ms && Math.round(ms)),
    };
  });
  assert.deepEqual(timeFor, [21_300, 213_000, 213_000, undefined]);
});

test('a link that names a model is no first visit, and the page about privacy deletes all that is kept', async () => {
  const page = await harness.open({ path: '/#model=google/siglip-base-patch16-224', hasServiceWorker: true });
  await page.getByText('opens without a network').waitFor();
  await page.getByText('Timings and memory').waitFor();
  assert.equal(await page.locator('.offer').isVisible(), false);
  await page.close();

  const privacy = await openIn(page.context(), `${harness.server.origin}/privacy.html`);
  assert.deepEqual(await complaintsOfAxe(privacy), []);
  const japanese = await openIn(page.context(), `${harness.server.origin}/privacy.html?lang=ja`);
  await japanese.getByRole('heading', { name: '画像はここから出ません' }).waitFor();
  assert.deepEqual(await complaintsOfAxe(japanese), []);
  await japanese.close();
  const kept = () =>
    privacy.evaluate(async () => {
      const root = await navigator.storage.getDirectory();
      const files = [];
      for await (const name of root.keys()) files.push(name);
      const worker = await navigator.serviceWorker.getRegistration();
      return [...(await caches.keys()), ...files, ...(worker ? ['a service worker'] : [])];
    });
  assert.ok((await kept()).length >= 3, (await kept()).join());
  await privacy.getByRole('button', { name: 'Delete all that is kept here' }).click();
  await privacy.getByText('All is deleted').waitFor();
  assert.deepEqual(await kept(), []);
  assert.deepEqual(await problemsOf(privacy), []);
});
