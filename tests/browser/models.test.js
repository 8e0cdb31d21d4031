/** The page's model chooser: another model, a failing one, a slow one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createReadStream } from 'node:fs';
import { Harness, fileAt } from './harness.js';
import { drop, labelsOf, loadModel } from './page-actions.js';

const harness = new Harness();

test('a missing model is reported, and the model before it still works', async () => {
  const page = await harness.open();
  await labelsOf(page, 'insect.jpg');
  await loadModel(page, `${harness.server.origin}/nowhere`);
  const alert = page.locator('#model-error');
  await alert.waitFor();
  assert.match((await alert.textContent()) ?? '', /404.*The previous model still answers/);
  await drop(page, ['www/samples/cat.jpg']);
  assert.equal((await labelsOf(page, 'cat.jpg'))[0], 'a cat');

  // A folder that does hold a model, in the other precision.
  await page.getByText('Use another model').click();
  await page.getByLabel('32-bit').check();
  await page.locator('#custom-url').fill(`${harness.server.origin}/www/models/tiny`);
  await page.getByRole('button', { name: 'Load this model' }).click();
  await page.getByText('32-bit weights').waitFor();
  assert.ok(await alert.isHidden());
  assert.equal((await labelsOf(page, 'cat.jpg'))[0], 'a cat');
});

test('a download is shown and can be cancelled', async () => {
  const page = await harness.open();
  await labelsOf(page, 'insect.jpg');
  harness.server.intercept = (path, response) => {
    if (!path.startsWith('/slow/')) return false;
    if (path.endsWith('config.json'))
      return void createReadStream(fileAt(path.replace('/slow', '/www/models/tiny'))).pipe(response);
    response.writeHead(200);
  };
  await loadModel(page, `${harness.server.origin}/slow/`);
  await page.getByRole('progressbar').waitFor();
  const device = (/** @type {string} */ name) => page.getByRole('radio', { name });
  await device('Automatic').check();
  await page.getByRole('button', { name: 'Cancel' }).click();
  await page.getByRole('progressbar').waitFor({ state: 'hidden' });
  assert.equal(await page.locator('#model-name').textContent(), 'Tiny, the demonstration model');
  // The choices are again those of the model that answers, which is what a new one is about.
  assert.ok(await device('CPU').isChecked());
  await device('Automatic').check();
  await page.getByRole('progressbar').waitFor({ state: 'hidden' });
  assert.equal(await page.locator('#model-name').textContent(), 'Tiny, the demonstration model');
});
