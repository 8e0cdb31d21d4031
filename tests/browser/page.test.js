/** The page as a visitor uses it: pictures come in, labels change. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Harness, fileAt, problemsOf } from './harness.js';
import { cardOf, drop, labelsOf, scoredLabel } from './page-actions.js';

const harness = new Harness();

test('the example picture is classified on load, without a click', async () => {
  const page = await harness.open();
  assert.equal((await labelsOf(page, 'insect.jpg'))[0], 'an insect');
  assert.deepEqual(await problemsOf(page), []);
});

test('dropped and chosen pictures are classified, with the right label first', async () => {
  const page = await harness.open();
  // The page listens for drops once it has its language, a moment after it is loaded.
  await labelsOf(page, 'insect.jpg');
  await drop(page, ['www/samples/boat.jpg', 'www/samples/coffee.jpg']);
  assert.equal((await labelsOf(page, 'boat.jpg'))[0], 'a boat');
  assert.equal((await labelsOf(page, 'coffee.jpg'))[0], 'a coffee cup');
  await page.getByLabel('Choose pictures').setInputFiles([fileAt('www/samples/cat.jpg')]);
  assert.equal((await labelsOf(page, 'cat.jpg'))[0], 'a cat');
  assert.equal(await page.locator('#cards > li').count(), 3, 'the example makes room');
  assert.deepEqual(await problemsOf(page), []);
});

test('labels are added with Enter or a comma, and can be edited', async () => {
  const page = await harness.open();
  await labelsOf(page, 'insect.jpg');
  const entry = page.getByRole('textbox', { name: 'New label' });
  await entry.fill('a grasshopper');
  await entry.press('Enter');
  await entry.pressSequentially('a barn, a snail,');
  const chips = page.locator('#labels input');
  assert.equal(await chips.count(), 8);
  await scoredLabel(page, 'insect.jpg', 'a snail').waitFor();
  await chips.nth(3).fill('a beetle');
  await scoredLabel(page, 'insect.jpg', 'a beetle').waitFor();
  await page.getByRole('button', { name: 'Remove a coffee cup' }).click();
  await scoredLabel(page, 'insect.jpg', 'a coffee cup').waitFor({ state: 'detached' });

  // Labels and template are in the URL, so a reload or a shared link restores them.
  const asked = (await labelsOf(page, 'insect.jpg')).sort();
  assert.equal(asked.length, 7);
  await page.reload();
  assert.deepEqual((await labelsOf(page, 'insect.jpg')).sort(), asked);
  assert.deepEqual(await problemsOf(page), []);
});

test('an unknown word is named in place of a probability', async () => {
  const page = await harness.open();
  await labelsOf(page, 'insect.jpg');
  const entry = page.getByRole('textbox', { name: 'New label' });
  await entry.fill('a Blorptang');
  await entry.press('Enter');
  const row = scoredLabel(page, 'insect.jpg', 'a Blorptang');
  await row.waitFor();
  assert.equal(await row.locator('data').textContent(), 'unknown: Blorptang');
  assert.match((await scoredLabel(page, 'insect.jpg', 'an insect').textContent()) ?? '', /%/);
  assert.equal((await labelsOf(page, 'insect.jpg'))[0], 'an insect');
});

test('a broken picture shows an error on its card, and the others stay', async () => {
  const page = await harness.open();
  await labelsOf(page, 'insect.jpg');
  await drop(page, [
    'www/samples/dog.jpg',
    'tests/fixtures/pictures/formats/pillow_broken.png',
    'www/app/app.css',
  ]);
  for (const name of ['pillow_broken.png', 'app.css']) {
    const alert = cardOf(page, name).getByRole('alert');
    await alert.waitFor();
    assert.match((await alert.textContent()) ?? '', /This picture cannot be read/);
  }
  assert.equal((await labelsOf(page, 'dog.jpg'))[0], 'a dog');
  await page.getByRole('button', { name: 'Remove app.css' }).click();
  assert.equal(await page.locator('#cards > li').count(), 2);
});

test('a HEIC that the browser does not decode gets an error that names a way', async () => {
  const page = await harness.open();
  await labelsOf(page, 'insect.jpg');
  const folder = await mkdtemp(join(tmpdir(), 'siglip-web-'));
  const photo = join(folder, 'IMG_0001.HEIC');
  // The beginning of such a file, which every browser refuses.
  await writeFile(photo, '\0\0\0\x18ftypheic\0\0\0\0mif1heic');
  try {
    await page.locator('#files').setInputFiles([photo, fileAt('www/samples/dog.jpg')]);
    const alert = cardOf(page, 'IMG_0001.HEIC').getByRole('alert');
    await alert.waitFor();
    const text = (await alert.textContent()) ?? '';
    assert.match(
      text,
      /This is HEIC, .*: save or share it as JPEG, or have an iPhone take JPEGs \(Settings, /,
    );
  } finally {
    await rm(folder, { recursive: true });
  }
  assert.equal((await labelsOf(page, 'dog.jpg'))[0], 'a dog');
});

test('a picture is loaded by its URL, and a missing one is reported', async () => {
  const page = await harness.open();
  const address = page.getByLabel('Address of a picture');
  for (const name of ['cat.jpg', 'nowhere.jpg']) {
    await address.fill(`${harness.server.origin}/www/samples/${name}`);
    await address.press('Enter');
  }
  assert.equal((await labelsOf(page, 'cat.jpg'))[0], 'a cat');
  const alert = cardOf(page, 'nowhere.jpg').getByRole('alert');
  assert.match((await alert.textContent()) ?? '', /404/);
  await page.getByRole('button', { name: 'Remove all' }).click();
  await page.getByText('No pictures yet').waitFor();
});
