/** <siglip-search>: a site's own pictures, found by words in the visitor's browser. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { complaintsOfAxe } from '../axe.js';
import { browserOfTests } from '../browsers.js';
import {
  Harness,
  assertClose,
  eventsOf,
  fileAt,
  openIn,
  problemsOf,
  untilWorkers,
  workersAlive,
} from '../harness.js';
import { reporter } from '../server.js';

/** @typedef {import('../harness.js').Page} Page */
/** @typedef {import('../../../www/siglip-search.js').SiglipSearch} SiglipSearch */

const harness = new Harness();
const INDEX = '/examples/search/pictures.siglip-index';
const element = (/** @type {string} */ more = '') =>
  `<siglip-search index="${INDEX}" pictures="/www/samples" ${more}></siglip-search>`;

/**
 * Opens a page with the element in it, which keeps the element's events for {@link eventsOf}.
 * @param {string} body
 * @param {Record<string, string>} [files] that the page's server has beside it
 */
async function host(body, files = {}) {
  const page = await harness.open({ path: '/tests/browser/pages/blank.html' });
  harness.server.intercept = (path, response) => {
    if (path === '/host') {
      response.setHeader('content-type', 'text/html; charset=utf-8');
      response.end(`<!doctype html><html lang="en"><title>Host</title><link rel="icon" href="data:," />${reporter}
        <script type="module" src="/www/siglip-search.js"></script>
        <script type="module" src="/www/siglip-classifier.js"></script><body><main><h1>Host</h1>${body}</main>
        <script>
          globalThis.events = [];
          for (const type of ['ready', 'result', 'error'])
            document.addEventListener(type, ({ detail }) => events.push({ type, detail }));
        </script>`);
    } else if (path in files) response.end(files[path]);
    else return false;
  };
  const opened = await openIn(page.context(), `${harness.server.origin}/host`);
  await opened.waitForFunction(() => customElements.get('siglip-search'));
  return opened;
}

/** Sets the first element's properties; null stands for undefined. @param {Page} page @param {object} properties */
const set = (page, properties) =>
  page.evaluate((properties) => {
    const element = /** @type {Element} */ (document.querySelector('siglip-search'));
    for (const [name, value] of Object.entries(properties))
      Object.assign(element, { [name]: value ?? undefined });
  }, properties);

const inElement = (/** @type {Page} */ page, /** @type {string} */ part) =>
  page.locator(`siglip-search [part=${part}]`);

/** @param {Page} page @param {string} words */
async function searchFor(page, words) {
  await inElement(page, 'input').fill(words);
  await inElement(page, 'input').press('Enter');
}

test('words find pictures in the index of `siglip index`, with its scores, by the text tower alone', async () => {
  const page = await host(element('template="This is a photo of {}." top-k="3"'));
  await page.getByText('The first search loads the model (at most 10.0 MB).').waitFor();
  await harness.untilQuiet();
  assert.deepEqual(harness.server.requestsOf('models/'), []);
  assert.deepEqual(harness.server.requestsOf('siglip-index'), []);

  await searchFor(page, 'a boat');
  await page.getByText('3 pictures for “a boat”, the best first.').waitFor();
  assert.deepEqual(await inElement(page, 'label').allTextContents(), [
    'boat.jpg',
    'coffee.jpg',
    'insect.jpg',
  ]);
  assert.equal(
    await inElement(page, 'link').first().getAttribute('href'),
    `${harness.server.origin}/www/samples/boat.jpg`,
  );
  const [{ query, found, ms }] = await eventsOf(page, 'result');
  assert.equal(query, 'a boat');
  assert.ok(ms > 0);
  // `siglip search examples/search/pictures.siglip-index "This is a photo of a boat."` prints these.
  for (const [i, probability] of [0.973881, 0.002527, 0.000869].entries())
    assertClose(found[i].probability, probability, 0.02 * probability, found[i].name);
  const [info] = await eventsOf(page, 'ready');
  assert.equal(info.towers, 'text');
  await page.waitForFunction(() => {
    const { shadowRoot } = /** @type {Element} */ (document.querySelector('siglip-search'));
    const pictures = /** @type {HTMLImageElement[]} */ ([...(shadowRoot?.querySelectorAll('img') ?? [])]);
    return pictures.every(({ naturalWidth }) => naturalWidth > 0);
  });
  assert.deepEqual(await complaintsOfAxe(page), []);

  // The index is fetched once; the field keeps the focus, and Tab leads on to the pictures.
  await searchFor(page, 'an insect');
  await page.getByText('3 pictures for “an insect”').waitFor();
  assert.equal(await inElement(page, 'label').first().textContent(), 'insect.jpg');
  assert.equal(harness.server.requestsOf('siglip-index').length, 1);
  if (browserOfTests.name === 'chromium') {
    for (const part of ['button', 'link']) {
      await page.keyboard.press('Tab');
      const focused = await page.evaluate(() =>
        document.activeElement?.shadowRoot?.activeElement?.getAttribute('part'),
      );
      assert.equal(focused, part);
    }
  }
  await searchFor(page, '  ');
  await inElement(page, 'item').first().waitFor({ state: 'detached' });
  assert.deepEqual(await problemsOf(page), []);
});

test('what cannot be looked for has its reason, and the next search works', async () => {
  const other = 'SIGLIPIX\u0001\0\0\0';
  const page = await host('<siglip-search></siglip-search>', { '/other.index': other, '/none.index': '<p>' });
  const alert = inElement(page, 'error');
  for (const [properties, words, reason] of /** @type {const} */ ([
    [{}, 'a boat', 'The attribute “index” names no file'],
    [{ index: 'gone.index' }, 'a boat', 'the server answers 404'],
    [{ index: 'none.index' }, 'a boat', 'this is not an index of pictures'],
    [{ index: 'other.index' }, 'a boat', 'the index is damaged'],
    [{ index: INDEX }, 'a blorp', 'cannot read blorp'],
  ])) {
    await set(page, properties);
    await searchFor(page, words);
    await alert.filter({ hasText: new RegExp(reason, 'i') }).waitFor();
  }
  // A new index is searched at once.
  const codes = (await eventsOf(page, 'error')).map(({ code }) => code);
  assert.deepEqual(
    codes.filter((code, i) => code !== codes[i - 1]),
    ['bad-input', 'not-found', 'bad-input'],
  );
  await set(page, { pictures: '/www/samples/' });
  await searchFor(page, 'a boat');
  await page.getByText('5 pictures for “a boat”').waitFor();
  assert.ok(await alert.isHidden());
  await set(page, { model: '/nowhere/' });
  await alert.filter({ hasText: '404' }).waitFor();
  await set(page, { model: 'tiny' });
  await searchFor(page, 'an insect');
  await page.getByText('5 pictures for “an insect”').waitFor();
});

test('attributes and properties agree, and a change searches again', async () => {
  const page = await host(element('query="a boat" loading="eager"'));
  await page.getByText('5 pictures for “a boat”').waitFor();
  await set(page, { topK: 2 });
  await page.getByText('2 pictures for “a boat”').waitFor();
  await set(page, { topK: null, threshold: 0.9 });
  await page.getByText('One picture for “a boat”.').waitFor();
  await set(page, { threshold: 0.999 });
  await page.getByText('No picture fits “a boat”.').waitFor();
  await set(page, { threshold: null, query: 'an insect', template: 'a photo of {}' });
  await page.getByText('5 pictures for “an insect”').waitFor();
  const attributes = await page.evaluate(() => {
    const element = /** @type {SiglipSearch} */ (document.querySelector('siglip-search'));
    element.disabled = true;
    return {
      names: [...element.attributes].map(({ name, value }) => `${name}=${value}`).sort(),
      values: [element.value, element.query, element.topK, element.threshold, element.pictures],
      disabled: element.shadowRoot?.querySelectorAll(':disabled').length,
    };
  });
  assert.deepEqual(attributes, {
    names: [
      'disabled=',
      `index=${INDEX}`,
      'loading=eager',
      'pictures=/www/samples',
      'query=an insect',
      'template=a photo of {}',
    ],
    values: ['an insect', 'an insect', 24, null, '/www/samples'].map((value) => value ?? undefined),
    disabled: 2,
  });
});

test('it shares the model of a classifier, survives a move, and frees what it has when it is removed', async () => {
  const counted = 'worker-url="/tests/browser/pages/counted-worker.js"';
  const page = await host(`<siglip-classifier ${counted} loading="eager" labels="a boat"></siglip-classifier>
    <div>${element(counted)}</div>`);
  await page.locator('siglip-classifier').getByText('Ready.').waitFor();
  await searchFor(page, 'a boat');
  await page.getByText('5 pictures for “a boat”').waitFor();
  assert.equal(await workersAlive(page), 1);
  await page.evaluate(() => document.body.prepend(document.querySelector('siglip-search') ?? ''));
  await page.evaluate(() => document.querySelector('siglip-classifier')?.remove());
  await searchFor(page, 'an insect');
  await page.getByText('5 pictures for “an insect”').waitFor();
  assert.equal(await workersAlive(page), 1);
  assert.equal(harness.server.requestsOf('siglip-index').length, 1);
  await page.evaluate(() => document.querySelector('siglip-search')?.remove());
  await untilWorkers(page, 0);
});

test('it speaks another language, and a page shows the pictures in its own way', async () => {
  const page = await host('<p></p>');
  await page.evaluate((index) => {
    const Search = /** @type {typeof import('/www/siglip-search.js').SiglipSearch} */ (
      customElements.get('siglip-search')
    );
    Search.translate({ Search: 'Suchen', '{} pictures for “{}”, the best first.': '{0} Bilder zu „{1}“' });
    const element = Object.assign(new Search(), { index, innerHTML: '<p slot="result">Own</p>' });
    element.addEventListener('result', (event) => {
      const { found } = /** @type {CustomEvent} */ (event).detail;
      /** @type {Element} */ (element.firstElementChild).textContent = `Own: ${found[0].url}`;
    });
    document.body.append(element);
  }, INDEX);
  await inElement(page, 'input').fill('a boat');
  await page.getByRole('button', { name: 'Suchen' }).click();
  await page.getByText('5 Bilder zu „a boat“').waitFor();
  await page.getByText(`Own: ${harness.server.origin}/examples/search/boat.jpg`).waitFor();
  assert.ok(await inElement(page, 'item').first().isHidden());
});

test('a file is opened as an index, which is only searched', async () => {
  const page = await host('<p></p>');
  const found = await page.evaluate(async (address) => {
    const { Siglip } = await import('/www/siglip.js');
    const siglip = await Siglip.load('tiny', { towers: 'text' });
    const index = await siglip.index(await (await fetch(address)).blob());
    const [best] = await index.search('a boat');
    const refused = await index.remove('boat.jpg').catch(({ code, message }) => `${code}: ${message}`);
    await index.close();
    const wrong = await siglip.index(new Blob(['nothing'])).catch(({ code }) => code);
    siglip.dispose();
    return { best: best.name, readOnly: index.readOnly, refused, wrong };
  }, INDEX);
  assert.match(String(found.refused), /^bad-input: An index that was opened from a file is only searched/);
  assert.deepEqual([found.best, found.readOnly, found.wrong], ['boat.jpg', true, 'bad-input']);
});

test('on another site, under the policy in the guide with the sites of index and pictures', async () => {
  const foreign = await harness.startServer({ 'access-control-allow-origin': '*' });
  const guide = readFileSync(fileAt('docs/embedding.md'), 'utf8');
  const policy = (guide.match(/^script-src [^]*?(?=```)/m)?.[0] ?? '')
    .replaceAll('https://example.org', foreign.origin)
    .replace(/(connect|img)-src/g, "$1-src 'self'")
    .replaceAll('\n', ' ');
  const page = await harness.open({ path: '/tests/browser/pages/blank.html' });
  harness.server.intercept = (path, response) => {
    if (path !== '/host') return false;
    response.setHeader('content-type', 'text/html; charset=utf-8');
    response.setHeader('content-security-policy', `default-src 'none'; ${policy}`);
    response.end(`<!doctype html><html lang="en"><title>Host</title><link rel="icon" href="data:," />
      ${reporter.replace('src="', `src="${foreign.origin}`)}
      <script type="module" src="${foreign.origin}/www/siglip-search.js"></script><body>
      <div><template shadowrootmode="open">${element()}</template></div>`);
  };
  const opened = await openIn(page.context(), `${harness.server.origin}/host`);
  await searchFor(opened, 'a boat');
  await opened.getByText('5 pictures for “a boat”').waitFor();
  assert.ok(harness.server.requestsOf('siglip-index').length);
  assert.deepEqual(await problemsOf(opened), []);
});

test('the example page works', async () => {
  const page = await harness.open({ path: '/examples/search.html' });
  await searchFor(page, 'a boat');
  await page.getByText(/Last search: boat\.jpg, 9\d\.\d %/).waitFor();
  await searchFor(page, 'a cat');
  await page.getByText(/Last search: cat\.jpg/).waitFor();
  assert.deepEqual(await problemsOf(page), []);
});
