/** Links to the page, and code for other pages. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { complaintsOfAxe } from './axe.js';
import { Harness, fileAt, openIn, problemsOf } from './harness.js';
import { labelsOf, loadModel } from './page-actions.js';
import { FakeHub } from './weights/fake-hub.js';

const harness = new Harness();

test('labels and template are copied as a link and as an element, and a denied copy is shown', async () => {
  const page = await harness.open({
    headers: { 'access-control-allow-origin': '*' },
    options: { permissions: ['clipboard-read', 'clipboard-write'] },
  });
  await labelsOf(page, 'insect.jpg');
  await page.locator('#template').fill('a “{}” & "so on"');
  const pasted = () => page.evaluate(() => navigator.clipboard.readText());
  await page.getByRole('button', { name: 'Copy a link' }).click();
  await page.getByRole('button', { name: 'Copied' }).waitFor();
  assert.equal(
    new URLSearchParams(new URL(await pasted()).hash.slice(1)).get('template'),
    'a “{}” & "so on"',
  );

  await page.getByRole('button', { name: 'Copy code for a site' }).click();
  await page.waitForFunction(async () => (await navigator.clipboard.readText()).startsWith('<script'));
  const element = await page.evaluate(
    async (code) => {
      const parsed = new DOMParser().parseFromString(code, 'text/html');
      const [script, element] = [parsed.querySelector('script'), parsed.querySelector('siglip-classifier')];
      const attributes = [...(element?.attributes ?? [])].map(({ name, value }) => [name, value]);
      return { src: script?.src, attributes };
    },
    await pasted(),
  );
  assert.equal(element.src, `${harness.server.origin}/www/siglip-classifier.js`);
  assert.deepEqual(element.attributes, [
    ['labels', 'a cat, a dog, a boat, an insect, a coffee cup'],
    ['template', 'a “{}” & "so on"'],
  ]);
  const code = await pasted();
  const other = await harness.startServer();
  other.intercept = (path, response) => {
    if (path !== '/') return false;
    response.setHeader('content-type', 'text/html');
    response.end(`<!doctype html><title>another site</title>${code}`);
  };
  const site = await openIn(page.context(), `${other.origin}/`);
  await site.getByRole('button', { name: 'Load the model' }).click();
  await site.locator('siglip-classifier input[type=file]').setInputFiles(fileAt('www/samples/cat.jpg'));
  await site.getByText('cat.jpg: a cat').waitFor();
  await site.close();

  await page.evaluate(() => {
    navigator.clipboard.writeText = () => Promise.reject(new DOMException('no', 'NotAllowedError'));
  });
  await page.getByRole('button', { name: 'Copy a link' }).click();
  assert.equal(await page.getByLabel('Copy a link').last().inputValue(), page.url());
  assert.deepEqual(await complaintsOfAxe(page), []);
  assert.deepEqual(await problemsOf(page), []);
});

test('a link offers its model, which loads at once where it is on the device', async () => {
  const page = await harness.open({ path: '/#model=google%2Fsiglip-base-patch16-224&label=a+boat' });
  await page.locator('#notices', { hasText: 'names the model google/siglip-base-patch16-224' }).waitFor();
  assert.equal(await page.locator('#model').inputValue(), 'google/siglip-base-patch16-224');
  await page.getByText('Tiny, the demonstration model').first().waitFor();
  assert.deepEqual(await labelsOf(page, 'insect.jpg'), ['a boat']);

  const hub = new FakeHub();
  harness.server.intercept = hub.at('/hub/');
  const address = `${harness.server.origin}/hub/`;
  await page.goto(`${harness.server.origin}/`);
  await labelsOf(page, 'insect.jpg');
  await loadModel(page, address);
  await page.locator('#model-name', { hasText: address }).waitFor();
  await page.waitForFunction(() => location.hash.includes('model='));
  hub.isOpen = false;
  await page.reload();
  await page.locator('#model-name', { hasText: address }).waitFor();

  await page.goto(`${harness.server.origin}/www/icon.svg`);
  await page.goto(`${harness.server.origin}/#model=%00no%20model`);
  await labelsOf(page, 'insect.jpg');
});
