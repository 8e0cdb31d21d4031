/** The page and the workers in Firefox. */
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { launchFirefox } from './browsers.js';
import { assertClose, fileAt } from './harness.js';
import { Server } from './server.js';

/** @type {import('puppeteer-core').Browser} */
let browser;
/** @type {import('puppeteer-core').Page} */
let page;
/** @type {Server} */
let server;
/** Uncaught exceptions and complaints in the console. @type {string[]} */
let problems;

before(async () => {
  [browser, server] = await Promise.all([launchFirefox(), Server.start()]);
});
after(() => Promise.all([browser?.close(), server?.close()]));
beforeEach(async () => {
  page = await browser.newPage();
  problems = [];
  page.on('pageerror', (error) => problems.push(String(error)));
  page.on('console', (message) => message.type() === 'error' && problems.push(message.text()));
});
afterEach(() => page.close());

/** Chooses a picture in the page's file field. @param {string} path */
async function choose(path) {
  const input = /** @type {import('puppeteer-core').ElementHandle<HTMLInputElement>} */ (
    await page.$('#files')
  );
  await input.uploadFile(fileAt(path));
}

/** The labels of a card, best first. @param {string} name */
async function labelsOf(name) {
  const read = (/** @type {string} */ name) => {
    const card = [...document.querySelectorAll('#cards > li')].find((card) =>
      card.querySelector('h3')?.textContent?.includes(name),
    );
    const labels = [...(card?.querySelectorAll('.scores li span:first-child') ?? [])];
    return labels.length ? labels.map(({ textContent }) => textContent) : undefined;
  };
  const labels = await (await page.waitForFunction(read, {}, name)).jsonValue();
  return labels ?? [];
}

test('a picked and a dropped picture are answered', async () => {
  await page.goto(`${server.origin}/`);
  await choose('www/samples/boat.jpg');
  assert.equal((await labelsOf('boat.jpg'))[0], 'a boat');
  await page.evaluate(async () => {
    const dataTransfer = new DataTransfer();
    const bytes = await (await fetch('www/samples/coffee.jpg')).blob();
    dataTransfer.items.add(new File([bytes], 'coffee.jpg'));
    document.body.dispatchEvent(new DragEvent('drop', { dataTransfer, bubbles: true, cancelable: true }));
  });
  assert.equal((await labelsOf('coffee.jpg'))[0], 'a coffee cup');
  assert.deepEqual(problems, []);
});

test('two workers say what one says', async () => {
  await page.goto(`${server.origin}/tests/browser/pages/blank.html`);
  const answers = await page.evaluate(async () => {
    const { Siglip } = await import('/www/siglip.js');
    const ask = async (/** @type {number} */ workers) => {
      const siglip = await Siglip.load('tiny', { precision: 'f32', workers });
      const scores = await siglip.classify('/www/samples/cat.jpg', ['a boat', 'a cat', 'a coffee cup']);
      siglip.dispose();
      return scores;
    };
    return { isolated: crossOriginIsolated, one: await ask(1), two: await ask(2) };
  });
  assert.equal(answers.isolated, false);
  assert.equal(answers.one[0].label, 'a cat');
  for (const [i, { label, score }] of answers.two.entries()) {
    assert.equal(label, answers.one[i].label);
    assertClose(score, answers.one[i].score, 1e-4, label);
  }
});

test('a second visit downloads no weights', async () => {
  const downloads = () => server.requestsOf('GET /www/models/tiny/model.safetensors').length;
  await page.goto(`${server.origin}/`);
  await labelsOf('insect.jpg');
  const before = downloads();
  await page.reload();
  assert.equal((await labelsOf('insect.jpg'))[0], 'an insect');
  assert.equal(downloads(), before);
});

test('a broken picture is told', async () => {
  await page.goto(`${server.origin}/`);
  await choose('tests/fixtures/pictures/formats/pillow_broken.png');
  await page.waitForSelector('::-p-text(This picture cannot be read)');
});
