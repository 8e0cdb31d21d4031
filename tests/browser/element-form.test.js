/** <siglip-classifier> as a field of a form, and labels from elsewhere than its attribute. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Harness, fileAt, openIn, problemsOf } from './harness.js';

/** @typedef {import('./harness.js').Page} Page */

const harness = new Harness();

/**
 * Opens a page with the element in it, and waits for its script.
 * @param {string} body
 * @param {Record<string, string>} [files] that the page's server has beside it
 */
async function host(body, files = {}) {
  const page = await harness.open({ path: '/tests/browser/pages/blank.html' });
  harness.server.intercept = (path, response) => {
    if (path === '/host') {
      response.setHeader('content-type', 'text/html; charset=utf-8');
      response.end(`<!doctype html><html lang="en"><title>Host</title><link rel="icon" href="data:," />
        <script type="module" src="/www/siglip-classifier.js"></script><body>${body}`);
    } else if (path in files) response.end(files[path]);
    else return false;
  };
  const opened = await openIn(page.context(), `${harness.server.origin}/host`);
  await opened.waitForFunction(() => customElements.get('siglip-classifier'));
  return opened;
}

/** What the form would send as `subject`. @param {Page} page @returns {Promise<FormDataEntryValue[]>} */
const sent = (page) =>
  page.evaluate(() => new FormData(document.querySelector('form') ?? undefined).getAll('subject'));

/** @param {Page} page @param {string[]} names of sample pictures */
const choose = (page, names) =>
  page
    .locator('siglip-classifier input[type=file]')
    .setInputFiles(names.map((name) => fileAt(`www/samples/${name}.jpg`)));

const item = (/** @type {Page} */ page) => page.locator('siglip-classifier [part=item]');

test('a form sends the best label, is held back while one is missing, and is reset', async () => {
  const page = await host(`<form><fieldset><siglip-classifier name="subject" required labels="a cat, a boat"
    loading="eager" src="/www/samples/boat.jpg"></siglip-classifier></fieldset></form>`);
  await item(page).first().waitFor();
  assert.deepEqual(await sent(page), ['a boat']);
  const state = () =>
    page.evaluate(() => {
      const element = document.querySelector('siglip-classifier');
      const { value, validity, validationMessage, form, type } = /** @type {any} */ (element);
      const { valueMissing } = validity;
      return { value, valueMissing, validationMessage, type, isInForm: form === document.forms[0] };
    });
  assert.deepEqual(await state(), {
    value: 'a boat',
    valueMissing: false,
    validationMessage: '',
    type: 'siglip-classifier',
    isInForm: true,
  });

  await choose(page, ['cat']);
  await page.waitForFunction(
    () => /** @type {any} */ (document.querySelector('siglip-classifier')).value === 'a cat',
  );
  assert.deepEqual(await sent(page), ['a cat']);
  await page.evaluate(() => /** @type {any} */ (document.querySelector('siglip-classifier')).clear());
  const { value, valueMissing, validationMessage } = await state();
  assert.deepEqual([value, valueMissing], ['', true]);
  assert.equal(validationMessage, 'A picture with an answer is needed.');
  assert.deepEqual(await sent(page), []);
  assert.equal(await page.evaluate(() => document.forms[0].reportValidity()), false);

  await page.evaluate(() => document.forms[0].reset());
  await page.waitForFunction(
    () => /** @type {any} */ (document.querySelector('siglip-classifier')).value === 'a boat',
  );

  await page.evaluate(() => document.querySelector('fieldset')?.setAttribute('disabled', ''));
  assert.deepEqual(await sent(page), []);
  await page.locator('siglip-classifier input[type=file]:disabled').waitFor({ state: 'attached' });
  assert.deepEqual(await problemsOf(page), []);
});

test('of several pictures each gives the form a value, unless no label reaches the threshold', async () => {
  const page =
    await host(`<form><siglip-classifier name="subject" multiple labels="a cat, a boat" loading="eager"
    threshold="0.2"></siglip-classifier></form>`);
  await choose(page, ['cat', 'coffee', 'boat']);
  await page.locator('siglip-classifier figure').nth(2).locator('[part=item]').first().waitFor();
  await page.waitForFunction(
    () => new FormData(document.forms[0]).getAll('subject').join() === 'a cat,a boat',
  );
  await page.evaluate(() => document.querySelector('siglip-classifier')?.setAttribute('name', 'other'));
  assert.deepEqual(await sent(page), []);
});

test('labels come from <option>s in the element, and follow them', async () => {
  const page = await host(`<siglip-classifier loading="eager" src="/www/samples/cat.jpg">
    <option>a boat</option><option value="a cat">Katze</option></siglip-classifier>`);
  await item(page).first().waitFor();
  const labels = page.locator('siglip-classifier [part=label]');
  assert.deepEqual(await labels.allTextContents(), ['a cat', 'a boat']);
  await page.getByText('Drop or paste a picture here').waitFor();
  assert.ok(await page.getByText('Katze').isHidden());
  await page.evaluate(() => {
    const option = Object.assign(document.createElement('option'), { textContent: 'a dog' });
    document.querySelector('siglip-classifier')?.append(option);
  });
  await labels.filter({ hasText: 'a dog' }).waitFor();
  await page.evaluate(() => document.querySelector('siglip-classifier')?.append('Which animal?'));
  await page.waitForFunction(() => {
    const { shadowRoot } = /** @type {Element} */ (document.querySelector('siglip-classifier'));
    return /** @type {HTMLElement} */ (shadowRoot?.querySelector('.invitation span')).hidden;
  });
});

test('labels come from a file of the site; one without labels is named, with what it should be', async () => {
  const files = {
    '/list.json': '["a boat", "a cat"]',
    '/set.json': '{"labels": ["a dog"]}',
    '/page.json': '<p>',
  };
  const page = await host(
    '<siglip-classifier loading="eager" src="/www/samples/cat.jpg" label-source="list.json"></siglip-classifier>',
    files,
  );
  const labels = page.locator('siglip-classifier [part=label]');
  await labels.first().waitFor();
  assert.deepEqual(await labels.allTextContents(), ['a cat', 'a boat']);
  const source = (/** @type {string} */ url) =>
    page.evaluate(
      (url) => document.querySelector('siglip-classifier')?.setAttribute('label-source', url),
      url,
    );
  await source('set.json');
  await labels.filter({ hasText: 'a dog' }).waitFor();
  for (const [url, message] of [
    ['page.json', 'it must be JSON like ["a cat", "a dog"]'],
    ['gone.json', 'the server answers 404'],
  ]) {
    await source(url);
    await page.locator('siglip-classifier figure [part=error]').filter({ hasText: message }).waitFor();
  }
  await source('list.json');
  await labels.filter({ hasText: 'a cat' }).waitFor();
});

test('an element speaks the language that the site has given it', async () => {
  const page = await host('<p></p>');
  await page.evaluate(() => {
    const Classifier = /** @type {typeof import('/www/siglip-classifier.js').SiglipClassifier} */ (
      customElements.get('siglip-classifier')
    );
    Classifier.translate({ 'Load the model ({})': 'Modell laden ({0})', 'Choose a picture': 'Bild wählen' });
    document.body.append(new Classifier());
  });
  await page.getByRole('button', { name: 'Modell laden (10.0 MB)' }).waitFor();
  await page.getByText('Bild wählen').waitFor();
  await page.getByText('Drop or paste a picture here').waitFor();
});
