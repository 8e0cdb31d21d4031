/** <siglip-classifier> in the settings of a page and of its visitors: properties, slots, looks, queue, moves, memory. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { browserOfTests } from './browsers.js';
import { Harness, openIn, problemsOf, workersAlive } from './harness.js';
import { reporter } from './server.js';

/** @typedef {import('./harness.js').Page} Page */

const harness = new Harness();
const isChromium = browserOfTests.name === 'chromium';

/**
 * Opens a page with the element in it.
 * @param {string} body
 * @param {{attributes?: string, options?: import('playwright-core').BrowserContextOptions}} [more] of the page's root, and of the browser's context
 */
async function host(body, { attributes = 'lang="en"', options } = {}) {
  const page = await harness.open({ path: '/tests/browser/pages/blank.html', options });
  harness.server.intercept = (path, response) => {
    if (path !== '/host') return false;
    response.setHeader('content-type', 'text/html; charset=utf-8');
    response.end(`<!doctype html><html ${attributes}><title>Host</title><link rel="icon" href="data:," />${reporter}
      <script>
        globalThis.events = [];
        for (const type of ['result', 'error'])
          document.addEventListener(type, ({ target, detail }) => events.push({ type, id: target.id, ...detail }));
      </script>
      <script type="module" src="/www/siglip-classifier.js"></script><body>${body}`);
  };
  const opened = await openIn(page.context(), `${harness.server.origin}/host`);
  await opened.waitForFunction(() => customElements.get('siglip-classifier'));
  return opened;
}

/** The ids of the elements that have had results, in order. @param {Page} page @returns {Promise<string[]>} */
const resultsOf = (page) =>
  page.evaluate(() =>
    /** @type {any} */ (globalThis).events
      .filter((/** @type {any} */ { type }) => type === 'result')
      .map((/** @type {any} */ { id }) => id),
  );

/** Waits until there have been so many results. @param {Page} page @param {number} count */
const answered = (page, count) =>
  page.waitForFunction(
    (count) =>
      /** @type {any} */ (globalThis).events.filter((/** @type {any} */ { type }) => type === 'result')
        .length >= count,
    count,
  );

test('each attribute is a property of its type, and each property an attribute', async () => {
  const page = await host('<p></p>');
  const found = await page.evaluate(() => {
    const Classifier = /** @type {any} */ (customElements.get('siglip-classifier'));
    /** Each property with its value, its attribute's text, and its value without the attribute. @type {[string, unknown, string, unknown][]} */
    const table = [
      ['labels', ['a cat', 'a dog'], 'a cat, a dog', []],
      ['labelSource', 'labels.json', 'labels.json', undefined],
      ['labelSet', 'animals', 'animals', undefined],
      ['template', '{}', '{}', 'This is a photo of {}.'],
      ['classes', 'c.json', 'c.json', ''],
      ['threshold', 0.25, '0.25', undefined],
      ['topK', 3, '3', undefined],
      ['scale', 2.5, '2.5', undefined],
      ['bias', -1, '-1', undefined],
      ['relative', true, '', false],
      ['src', 'cat.jpg', 'cat.jpg', ''],
      ['multiple', true, '', false],
      ['camera', true, '', false],
      ['model', '/m/', '/m/', 'tiny'],
      ['source', 'small', 'small', undefined],
      ['precision', 'f32', 'f32', 'q8'],
      ['workers', 2, '2', 'auto'],
      ['device', 'gpu', 'gpu', 'cpu'],
      ['engine', 'auto', 'auto', undefined],
      ['imageSize', 64, '64', undefined],
      ['maxPatches', 256, '256', undefined],
      ['workerUrl', '/worker.js', '/worker.js', undefined],
      ['loading', 'lazy', 'lazy', 'manual'],
      ['name', 'subject', 'subject', ''],
      ['required', true, '', false],
      ['disabled', true, '', false],
    ];
    const attributeOf = (/** @type {string} */ name) =>
      name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    const wrong = [];
    for (const [name, value, text, initial] of table) {
      const attribute = attributeOf(name);
      const element = new Classifier();
      const agrees = (/** @type {unknown} */ wanted) =>
        JSON.stringify(element[name]) === JSON.stringify(wanted) || wrong.push([name, element[name], wanted]);
      agrees(initial);
      element[name] = value;
      if (element.getAttribute(attribute) !== text) wrong.push([name, element.getAttribute(attribute), text]);
      const other = document.createElement('siglip-classifier');
      other.setAttribute(attribute, text);
      if (JSON.stringify(Reflect.get(other, name)) !== JSON.stringify(value)) wrong.push([name, value]);
      element.removeAttribute(attribute);
      agrees(initial);
    }
    const names = table.map(([name]) => attributeOf(name)).sort();
    return { wrong, names, observed: [...Classifier.observedAttributes].sort() };
  });
  assert.deepEqual(found.wrong, []);
  assert.deepEqual(found.names, found.observed);
});

test('slots take the place of the invitation, the progress, the results and the error', async () => {
  const page =
    await host(`<siglip-classifier labels="a cat, a boat" src="/www/samples/cat.jpg" loading="eager">
      <b slot="placeholder">Your picture</b> <b slot="progress">One moment</b> <b slot="result">Own result</b>
      <b slot="error">Call us</b></siglip-classifier>`);
  for (const text of ['Your picture', 'One moment', 'Own result']) await page.getByText(text).waitFor();
  await answered(page, 1);
  assert.ok(await page.getByText('Drop or paste a picture here').isHidden());
  assert.ok(await page.locator('siglip-classifier figure').isHidden());
  assert.ok(await page.getByText('Call us').isHidden());
  await page.evaluate(() => document.querySelector('siglip-classifier')?.setAttribute('model', '/nowhere/'));
  await page.getByText('Call us').waitFor();
  // The browser says that the model is not there, too.
  const problems = (await problemsOf(page)).filter((problem) => !problem.includes('404'));
  assert.deepEqual(problems, []);
});

test('code that is fetched later and does not come has its error, and the rest works', async () => {
  const page = await host('<siglip-classifier labels="a cat, a boat" loading="eager"></siglip-classifier>');
  await page.locator('siglip-classifier').getByText('Ready.').waitFor();
  const { intercept } = harness.server;
  harness.server.intercept = (path, ...rest) => {
    if (!/camera|headlines/.test(path)) return intercept(path, ...rest);
    rest[0].writeHead(503).end();
  };
  await page.evaluate(() => {
    const element = /** @type {import('/www/siglip-classifier.js').SiglipClassifier} */ (
      document.querySelector('siglip-classifier')
    );
    element.camera = true;
  });
  await page.locator('siglip-classifier').getByRole('alert').waitFor();
  await page.evaluate(() =>
    document.querySelector('siglip-classifier')?.setAttribute('src', '/www/samples/cat.jpg'),
  );
  await answered(page, 1);
  assert.equal(await page.locator('siglip-classifier [part=label]').first().textContent(), 'a cat');
});

test('pictures in view are scored before others that came first', async () => {
  const element = (/** @type {string} */ id, /** @type {string} */ style) =>
    `<siglip-classifier id="${id}" style="${style}" labels="a cat, a boat" src="/www/samples/cat.jpg" loading="eager"></siglip-classifier>`;
  const far = 'position: absolute; top: 500vh';
  const page = await host(
    `${['1', '2', '3'].map((id) => element(id, far)).join('')}${element('seen', '')}${element('4', far)}`,
  );
  await answered(page, 5);
  assert.deepEqual(await resultsOf(page), ['seen', '1', '2', '3', '4']);
});

test('an element that is moved keeps its model and its picture, while it loads and after', async () => {
  const page =
    await host(`<section></section><aside></aside><siglip-classifier id="moved" labels="a cat, a boat"
    src="/www/samples/cat.jpg" loading="eager" worker-url="/tests/browser/pages/counted-worker.js"></siglip-classifier>`);
  const move = (/** @type {string} */ to) =>
    page.evaluate(
      (to) => document.querySelector(to)?.append(document.querySelector('siglip-classifier') ?? ''),
      to,
    );
  await move('section');
  await answered(page, 1);
  await move('aside');
  await page.evaluate(() =>
    document.querySelector('siglip-classifier')?.setAttribute('labels', 'a dog, a cat'),
  );
  await answered(page, 2);
  assert.deepEqual(await page.locator('aside [part=label]').allTextContents(), ['a cat', 'a dog']);
  assert.equal(await page.locator('aside figure').count(), 1);
  assert.equal(await workersAlive(page), 1);
  assert.equal(harness.server.requestsOf('GET /www/models/tiny/model.safetensors').length, 1);
});

test('from right to left, bars grow to the left and the text begins at the right', async () => {
  const page = await host(
    '<siglip-classifier labels="قطة, a cat, a boat" src="/www/samples/cat.jpg" loading="eager"></siglip-classifier>',
    { attributes: 'lang="ar" dir="rtl"' },
  );
  await answered(page, 1);
  await page.locator('siglip-classifier [part=bar]').first().waitFor();
  const sides = await page.evaluate(() => {
    const { shadowRoot } = /** @type {Element} */ (document.querySelector('siglip-classifier'));
    const boxOf = (/** @type {string} */ selector) =>
      /** @type {Element} */ (shadowRoot?.querySelector(selector)).getBoundingClientRect();
    const [bar, filled, label, score] = ['[part=bar]', '[part=bar] i', '[part=label]', '[part=score]'].map(
      boxOf,
    );
    return {
      begins: Math.abs(bar.right - filled.right),
      isShorter: filled.left > bar.left,
      labelIsRight: label.right > score.right,
      fits: document.documentElement.scrollWidth <= innerWidth,
    };
  });
  assert.ok(sides.begins < 1, `${sides.begins}`);
  assert.deepEqual(sides, { begins: sides.begins, isShorter: true, labelIsRight: true, fits: true });
});

test(
  'forced colours keep bars visible, and reduced motion keeps them still',
  { skip: !isChromium },
  async () => {
    const body =
      '<siglip-classifier labels="a cat, a boat" src="/www/samples/cat.jpg" loading="eager"></siglip-classifier>';
    const styles = async (/** @type {import('playwright-core').BrowserContextOptions} */ options) => {
      const page = await host(body, { options });
      await page.locator('siglip-classifier [part=bar]').first().waitFor();
      return page.evaluate(() => {
        const { shadowRoot } = /** @type {Element} */ (document.querySelector('siglip-classifier'));
        const filled = /** @type {Element} */ (shadowRoot?.querySelector('[part=bar] i'));
        const probe = Object.assign(document.createElement('p'), { style: 'background: Highlight' });
        document.body.append(probe);
        return {
          transition: getComputedStyle(filled).transitionDuration,
          border: getComputedStyle(/** @type {Element} */ (filled.parentElement)).borderTopStyle,
          isHighlighted: getComputedStyle(filled).backgroundColor === getComputedStyle(probe).backgroundColor,
        };
      });
    };
    assert.deepEqual(await styles({}), { transition: '0.3s', border: 'none', isHighlighted: false });
    assert.deepEqual(await styles({ forcedColors: 'active', reducedMotion: 'reduce' }), {
      transition: '0s',
      border: 'solid',
      isHighlighted: true,
    });
  },
);

test('a hundred elements that come and go leave no memory behind', { skip: !isChromium }, async () => {
  const page = await host('<siglip-classifier labels="a cat" loading="eager"></siglip-classifier>');
  await page.locator('siglip-classifier').getByText('Ready.').waitFor();
  const devtools = await page.context().newCDPSession(page);
  const mount = (/** @type {number} */ times) =>
    page.evaluate(async (times) => {
      for (let i = 0; i < times; i++) {
        const element = document.createElement('siglip-classifier');
        const done = new Promise((resolve) => element.addEventListener('result', resolve, { once: true }));
        Object.assign(element, {
          labels: ['a cat', 'a boat'],
          src: '/www/samples/cat.jpg',
          loading: 'eager',
          camera: true,
        });
        document.body.append(element);
        await done;
        element.remove();
        /** @type {any} */ (globalThis).events.length = 0;
      }
    }, times);
  const measure = async () => {
    for (let i = 0; i < 3; i++) await devtools.send('HeapProfiler.collectGarbage');
    const { usedSize } = await devtools.send('Runtime.getHeapUsage');
    const { nodes, jsEventListeners } = await devtools.send('Memory.getDOMCounters');
    return { usedSize, nodes, jsEventListeners };
  };
  await mount(10);
  const before = await measure();
  await mount(100);
  const after = await measure();
  const grown = (after.usedSize - before.usedSize) / 100;
  // One element has some 80 nodes and 20 kB.
  assert.ok(grown < 1000, `${grown} bytes stay of each element`);
  assert.ok(after.nodes - before.nodes < 100, `${after.nodes - before.nodes} nodes stay`);
  assert.ok(after.jsEventListeners - before.jsEventListeners < 20, `${after.jsEventListeners} listeners`);
});
