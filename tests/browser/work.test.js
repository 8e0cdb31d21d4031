/** The work on many pictures. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { complaintsOfAxe } from './axe.js';
import { Harness, problemsOf } from './harness.js';
import { labelsOf } from './page-actions.js';

const harness = new Harness();
/** So many that the tiny model takes some seconds, even on a fast machine. */
const COUNT = 300;

test('many pictures show progress, pause, cancel with undo, and the broken with their reason', async () => {
  const page = await harness.open();
  await labelsOf(page, 'insect.jpg');
  await page.evaluate(async (count) => {
    const cat = await (await fetch('/www/samples/cat.jpg')).blob();
    const dataTransfer = new DataTransfer();
    for (let i = 0; i < count; i++)
      dataTransfer.items.add(new File([i ? cat : 'no picture'], `${i}.jpg`, { type: 'image/jpeg' }));
    document.body.dispatchEvent(new DragEvent('drop', { dataTransfer, bubbles: true, cancelable: true }));
  }, COUNT);
  const work = page.getByRole('region', { name: 'Work on pictures' });
  await work.getByText('1 could not be read').click();
  await work.getByRole('button', { name: 'Pause' }).click();
  await work.getByText(`of ${COUNT} pictures · paused`).waitFor();
  assert.match(
    (await work.locator('li').first().textContent()) ?? '',
    /^0\.jpg: This picture cannot be read/,
  );
  assert.deepEqual(await complaintsOfAxe(page), []);

  await work.getByRole('button', { name: 'Cancel' }).click();
  await work.getByText(/^\d+ pictures in \d+ s$/).waitFor();
  const cards = page.locator('#cards > li');
  const done = await cards.count();
  assert.ok(done > 1 && done < COUNT, String(done));
  assert.equal(await page.locator('#cards .scores:not(:empty)').count(), done - 1);

  await page.getByRole('button', { name: `Undo removal of ${COUNT - done} pictures` }).click();
  assert.equal(await cards.count(), COUNT);
  await work.getByText(`of ${COUNT - done} pictures`).waitFor();
  await page.waitForFunction(
    (done) => document.querySelectorAll('#cards .scores:not(:empty)').length > done,
    done,
  );
  await page.getByRole('button', { name: 'Remove all' }).click();
  await work.getByText(/^\d+ pictures in \d+ s$/).waitFor();
  assert.deepEqual(await problemsOf(page), []);
});
