/** The page and the element embed pictures while the text tower is still on its way. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Harness, fileAt, openIn, problemsOf } from '../harness.js';
import { labelsOf, loadModel } from '../page-actions.js';
import { WEIGHTS, readCheckpoint } from './checkpoint.js';
import { FakeHub } from './fake-hub.js';

/** @typedef {import('../harness.js').Page} Page */

const harness = new Harness();
const tiny = readCheckpoint('www/models/tiny');

/** A hub whose answer for the text tower, the third of that file, stops within that tower until it is released. */
function slowHub() {
  let release = () => {};
  /** @type {Promise<void>} */
  const until = new Promise((resolve) => (release = resolve));
  const hub = new FakeHub(tiny);
  hub.faults[WEIGHTS] = [{}, {}, { stall: 0.25, until }];
  return { hub, release };
}

/** Counts the embeddings by each model from now on. @param {Page} page */
const countEmbeddings = (page) =>
  page.evaluate(async () => {
    const { Siglip } = await import('/www/siglip.js');
    const { embedImage } = Siglip.prototype;
    /** @type {Record<string, number>} */
    const counts = {};
    Siglip.prototype.embedImage = /** @type {any} */ (
      async function (/** @type {any[]} */ ...inputs) {
        // @ts-ignore
        const [siglip] = [this];
        const embedding = await embedImage.apply(siglip, /** @type {any} */ (inputs));
        counts[siglip.info.model] = (counts[siglip.info.model] ?? 0) + 1;
        return embedding;
      }
    );
    Object.assign(window, { counts });
  });

/** Waits for so many embeddings by the model. @param {Page} page @param {number} count */
const untilEmbedded = (page, count) =>
  page.waitForFunction((count) => /** @type {any} */ (window).counts['/model/'] === count, count);

test('the page embeds pictures with a model that still waits for its text tower', async () => {
  const { hub, release } = slowHub();
  const page = await harness.open();
  harness.server.intercept = hub.at('/model/');
  await labelsOf(page, 'insect.jpg');
  await countEmbeddings(page);
  await loadModel(page, '/model/');
  await untilEmbedded(page, 1);
  await page.locator('#loading-text', { hasText: 'ready for pictures' }).waitFor();
  // The model before answers meanwhile, and new pictures are for both.
  await page.locator('#files').setInputFiles(fileAt('www/samples/boat.jpg'));
  await untilEmbedded(page, 2);
  const answered = await labelsOf(page, 'boat.jpg');
  assert.equal(await page.locator('#model-name').textContent(), 'Tiny, the demonstration model');
  release();
  await page.locator('#model-name', { hasText: '/model/' }).waitFor();
  await page.locator('#loading').waitFor({ state: 'hidden' });
  await page.waitForFunction(() => !document.querySelector('#cards [aria-busy="true"]'));
  assert.deepEqual(await labelsOf(page, 'boat.jpg'), answered);
  const counts = await page.evaluate(() => /** @type {any} */ (window).counts);
  assert.equal(counts['/model/'], 2, 'no picture is embedded twice');
  assert.equal(hub.log.filter((line) => line.startsWith(`GET ${WEIGHTS}`)).length, 3, hub.log.join());

  await page.getByText('Models on this device').click();
  const rows = page.locator('#kept-list li', { hasText: '/model/' });
  await rows.first().waitFor();
  assert.equal(await rows.count(), 1, 'both towers are one model');
  assert.doesNotMatch((await rows.textContent()) ?? '', /half/);

  // The same labels in a later visit need no text tower, and nothing from the server.
  hub.isOpen = false;
  const later = await openIn(page.context(), page.url());
  await page.close();
  await later.locator('#model-name', { hasText: '/model/' }).waitFor();
  assert.ok((await labelsOf(later, 'insect.jpg')).length);
  await later.getByText('Models on this device').click();
  await later.getByRole('button', { name: /^Delete http/ }).click();
  await later.locator('#kept-list li', { hasText: '/model/' }).waitFor({ state: 'detached' });
});

test('the element embeds its pictures before the text tower is there', async () => {
  const { hub, release } = slowHub();
  const page = await harness.open({ path: '/tests/browser/pages/blank.html' });
  harness.server.intercept = hub.at('/model/');
  await countEmbeddings(page);
  await page.evaluate(async () => {
    await import('/www/siglip-classifier.js');
    const element = document.createElement('siglip-classifier');
    for (const [name, value] of Object.entries({ model: '/model/', labels: 'a cat, a boat', multiple: '' }))
      element.setAttribute(name, value);
    document.body.append(element);
    /** @type {string[]} */
    const events = [];
    for (const type of ['ready', 'result', 'error']) element.addEventListener(type, () => events.push(type));
    Object.assign(window, { element, events });
    const { add, load } = /** @type {any} */ (element);
    add.call(element, '/www/samples/cat.jpg');
    load.call(element);
  });
  await untilEmbedded(page, 1);
  await page.evaluate(() => /** @type {any} */ (window).element.add('/www/samples/boat.jpg'));
  await untilEmbedded(page, 2);
  await page.locator('siglip-classifier [part=progress]', { hasText: 'ready for pictures' }).waitFor();
  const { events } = await page.evaluate(() => ({ events: [.../** @type {any} */ (window).events] }));
  assert.deepEqual(events, []);
  release();
  await page.waitForFunction(() => /** @type {any} */ (window).events.length === 3);
  const after = await page.evaluate(() => {
    const { events, counts, element } = /** @type {any} */ (window);
    const best = [...element.shadowRoot.querySelectorAll('[part=list]')].map(
      (list) => list.querySelector('[part=label]').textContent,
    );
    return { events, counts, best, hidden: element.shadowRoot.querySelector('progress').hidden };
  });
  assert.deepEqual(after.events, ['ready', 'result', 'result']);
  assert.deepEqual(after.counts, { '/model/': 2 });
  assert.deepEqual(after.best, ['a cat', 'a boat']);
  assert.ok(after.hidden);
  assert.deepEqual(await problemsOf(page), []);
});
