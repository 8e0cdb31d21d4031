/** <siglip-classifier> on pages of other sites. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { Harness, eventsOf, fileAt, openIn, problemsOf, untilWorkers, workersAlive } from './harness.js';
import { Server, reporter } from './server.js';

/** @typedef {import('./harness.js').Page} Page */

const harness = new Harness();
/** Another site, which holds the copy of www/. */
let foreign = new Server();
before(async () => {
  foreign = await Server.start({ 'access-control-allow-origin': '*' });
});
after(() => foreign.close());

/** The policy that docs/embedding.md asks for. */
const guide = readFileSync(fileAt('docs/embedding.md'), 'utf8');
const policy = (/** @type {string} */ origin) =>
  `default-src 'none'; ${(guide.match(/^script-src [^]*?(?=```)/m)?.[0] ?? '')
    .replaceAll('https://example.org', origin)
    .replaceAll('\n', ' ')}`;

/**
 * Serves and opens a page with the element in it.
 * @param {string} body
 * @param {{origin?: string, csp?: string, head?: string}} [options] where the script comes from: nowhere else than the page, unless told
 */
async function embed(body, { origin = '', csp, head = '' } = {}) {
  const page = await harness.open({ path: '/tests/browser/pages/blank.html' });
  foreign.log = [];
  harness.server.intercept = (path, response) => {
    if (path !== '/host') return false;
    response.setHeader('content-type', 'text/html; charset=utf-8');
    if (csp) response.setHeader('content-security-policy', csp);
    response.end(`<!doctype html><html lang="en"><title>Host</title><link rel="icon" href="data:," />
      ${reporter.replace('src="', `src="${origin}`)}${head}
      <script type="module" src="${origin}/www/siglip-classifier.js"></script><body>${body}`);
  };
  const host = await openIn(page.context(), `${harness.server.origin}/host`);
  await host.waitForFunction(() => customElements.get('siglip-classifier'));
  return host;
}

/** The labels that the element shows, once it shows some. @param {Page} page */
async function labelsOf(page) {
  const labels = page.locator('siglip-classifier [part=label]');
  await labels.first().waitFor();
  return labels.allTextContents();
}

/**
 * Keeps the element's events for {@link eventsOf}.
 * @param {Page} page
 */
const listen = (page) =>
  page.evaluate(() => {
    /** @type {{type: string, detail: any}[]} */
    const events = [];
    Object.assign(globalThis, { events });
    for (const type of ['progress', 'ready', 'result', 'error']) {
      document.addEventListener(type, (event) => {
        const { detail } = /** @type {CustomEvent} */ (event);
        events.push({ type, detail: { ...detail, file: detail.file?.name ?? detail.file } });
      });
    }
  });

const photo = fileAt('www/samples/cat.jpg');

test('on another site, under the policy in the guide, the engine and the model load only when asked for', async () => {
  const page = await embed('<siglip-classifier labels="a cat, a boat, a coffee cup"></siglip-classifier>', {
    origin: foreign.origin,
    csp: policy(foreign.origin),
  });
  await listen(page);
  await page.getByText('Choose a picture').waitFor();
  await page.locator('siglip-classifier input[type=file]').setInputFiles(photo);
  assert.deepEqual(foreign.requestsOf('models/'), []);
  assert.deepEqual(foreign.requestsOf('wasm/'), []);
  assert.deepEqual(foreign.requestsOf('www/worker.js'), []);

  await page.getByRole('button', { name: 'Load the model (10.0 MB)' }).click();
  assert.equal((await labelsOf(page))[0], 'a cat');
  assert.equal(await page.evaluate(() => crossOriginIsolated), false);
  const [info] = await eventsOf(page, 'ready');
  assert.equal(info.imageSize, 70);
  const [result] = await eventsOf(page, 'result');
  assert.equal(result.file, 'cat.jpg');
  assert.deepEqual(Object.keys(result.scores[0]), ['label', 'score', 'logit', 'cosine']);
  assert.ok(result.ms > 0);
  const progress = await eventsOf(page, 'progress');
  for (const [i, { loaded, total }] of progress.entries()) {
    assert.ok(loaded <= total && loaded >= (progress[i - 1]?.loaded ?? 0));
  }
  for (const part of ['dropzone', 'button', 'progress', 'list', 'item', 'label', 'bar', 'score', 'error']) {
    assert.ok((await page.locator(`siglip-classifier [part=${part}]`).count()) > 0, part);
  }
  assert.deepEqual(await problemsOf(page), []);
});

test('on a foreign site, a TIFF has the decoders of rare formats fetched from where the script is', async () => {
  const page = await embed('<siglip-classifier labels="a cat, a boat" loading="eager"></siglip-classifier>', {
    origin: foreign.origin,
    csp: policy(foreign.origin),
  });
  const input = page.locator('siglip-classifier input[type=file]');
  await input.setInputFiles(fileAt('tests/fixtures/pictures/rare/boat.tif'));
  assert.equal((await labelsOf(page))[0], 'a boat');
  assert.equal(foreign.requestsOf('wasm/rare-formats/').length, 2);
});

test('a page of another site can have several workers', async () => {
  const page = await embed(
    '<siglip-classifier labels="a cat, a boat" workers="2" loading="eager"></siglip-classifier>',
    {
      origin: foreign.origin,
      csp: policy(foreign.origin),
    },
  );
  await page.locator('siglip-classifier input[type=file]').setInputFiles(photo);
  assert.equal((await labelsOf(page))[0], 'a cat');
  assert.deepEqual(await problemsOf(page), []);
});

test("a worker script on the page's own origin works under a policy without blob:", async () => {
  const csp = policy(foreign.origin)
    .replace(/worker-src[^;]*/, "worker-src 'self'")
    .replace("'wasm-unsafe-eval'", "'self' 'wasm-unsafe-eval'")
    .replace('connect-src', "connect-src 'self'");
  const element = (/** @type {string} */ attribute) =>
    `<siglip-classifier labels="a cat, a boat" loading="eager" ${attribute}></siglip-classifier>`;
  const refused = await embed(element(''), { origin: foreign.origin, csp });
  const alert = refused.locator('siglip-classifier').getByRole('alert');
  await alert.waitFor();
  assert.match((await alert.textContent()) ?? '', /worker-src/);

  const page = await embed(element('worker-url="/www/worker.js"'), { origin: foreign.origin, csp });
  await page.locator('siglip-classifier input[type=file]').setInputFiles(photo);
  assert.equal((await labelsOf(page))[0], 'a cat');
  assert.deepEqual(await problemsOf(page), []);
});

test('loading="lazy" loads the model when the element comes into view, "eager" at once', async () => {
  const page = await embed(
    '<div style="height: 400vh"></div><siglip-classifier labels="a cat" loading="lazy"></siglip-classifier>',
  );
  await page.waitForTimeout(300);
  assert.deepEqual(harness.server.requestsOf('models/'), []);
  await listen(page);
  await page.locator('siglip-classifier').scrollIntoViewIfNeeded();
  await page.waitForFunction(() =>
    /** @type {any} */ (globalThis).events.some((/** @type {any} */ { type }) => type === 'ready'),
  );

  const eager = await embed('<siglip-classifier labels="a cat" loading="eager"></siglip-classifier>');
  await eager.locator('siglip-classifier [part=progress]', { hasText: 'Ready.' }).waitFor();
});

test('elements with the same model share one, which is freed with the last element', async () => {
  const element = `<siglip-classifier labels="a cat, a boat" loading="eager" src="/www/samples/cat.jpg"
      worker-url="/tests/browser/pages/counted-worker.js"></siglip-classifier>`;
  const page = await embed(element.repeat(3));
  await page.waitForFunction(() =>
    [...document.querySelectorAll('siglip-classifier')].every((element) =>
      element.shadowRoot?.querySelector('[part=item]'),
    ),
  );
  assert.equal(await workersAlive(page), 1);
  assert.equal(harness.server.requestsOf('GET /www/models/tiny/model.safetensors').length, 1);
  await page.evaluate(() => {
    const [first, second, third] = document.querySelectorAll('siglip-classifier');
    first.remove();
    second.remove();
    third.setAttribute('labels', 'a coffee cup, a cat');
  });
  await page.locator('siglip-classifier [part=label]', { hasText: 'a coffee cup' }).waitFor();
  await page.evaluate(() => document.querySelector('siglip-classifier')?.remove());
  await untilWorkers(page, 0);
});

test('attributes and properties agree, and a change scores the image again', async () => {
  const page = await embed('<siglip-classifier labels="a cat, a boat" loading="eager"></siglip-classifier>');
  await listen(page);
  await page.evaluate(async () => {
    const element = /** @type {import('/www/siglip-classifier.js').SiglipClassifier} */ (
      document.querySelector('siglip-classifier')
    );
    await element.load();
    element.src = '/www/samples/cat.jpg';
  });
  assert.deepEqual(await labelsOf(page), ['a cat', 'a boat']);
  /** @param {string} code sets properties of `element` */
  const change = async (code) => {
    const before = (await eventsOf(page, 'result')).length;
    await page.evaluate(`{ const element = document.querySelector('siglip-classifier'); ${code} }`);
    await page.waitForFunction(
      (before) =>
        /** @type {any} */ (globalThis).events.filter((/** @type {any} */ { type }) => type === 'result')
          .length > before,
      before,
    );
    return labelsOf(page);
  };
  assert.deepEqual((await change("element.labels = ['a coffee cup', 'a cat', 'a dog', ' a cat ']")).sort(), [
    'a cat',
    'a coffee cup',
    'a dog',
  ]);
  assert.equal(await page.locator('siglip-classifier').getAttribute('labels'), 'a coffee cup, a cat, a dog');
  assert.equal((await change('element.topK = 2')).length, 2);
  assert.equal(await page.locator('siglip-classifier').getAttribute('top-k'), '2');
  await change('element.topK = undefined; element.template = "{}"');
  const [first, second] = (await eventsOf(page, 'result')).at(-1).scores;
  assert.deepEqual(await change(`element.threshold = ${(first.score + second.score) / 2}`), [first.label]);
  assert.deepEqual(await change("element.threshold = undefined; element.src = '/www/samples/coffee.jpg'"), [
    'a coffee cup',
    'a cat',
    'a dog',
  ]);
  assert.equal(await page.locator('siglip-classifier figure').count(), 1);
  await change("element.multiple = true; element.add('/www/samples/cat.jpg')");
  assert.equal(await page.locator('siglip-classifier figure').count(), 2);
});

test('properties set before the script arrives are kept', async () => {
  const page = await harness.open({ path: '/tests/browser/pages/blank.html' });
  const labels = await page.evaluate(async () => {
    const element = document.createElement('siglip-classifier');
    Object.assign(element, { labels: ['a cat', 'a boat'], topK: 1, workers: 2 });
    document.body.append(element);
    await import('/www/siglip-classifier.js');
    return [...element.attributes].map(({ name, value }) => `${name}=${value}`);
  });
  assert.deepEqual(labels.sort(), ['labels=a cat, a boat', 'top-k=1', 'workers=2']);
});

test('a failure fires an event and is shown, and another model can be loaded after it', async () => {
  const page = await embed(
    '<siglip-classifier model="/nowhere/" labels="a cat, a boat"></siglip-classifier>',
  );
  await listen(page);
  await page.getByRole('button', { name: 'Load the model' }).click();
  const alert = page.locator('siglip-classifier').getByRole('alert');
  await alert.waitFor();
  assert.match((await alert.textContent()) ?? '', /404/);
  assert.equal((await eventsOf(page, 'error'))[0].code, 'not-found');
  await page.getByRole('button', { name: 'Try again' }).waitFor();

  await page.evaluate(() => document.querySelector('siglip-classifier')?.setAttribute('model', 'tiny'));
  await page.getByRole('button', { name: 'Load the model (10.0 MB)' }).click();
  await page
    .locator('siglip-classifier input[type=file]')
    .setInputFiles(fileAt('tests/fixtures/pictures/formats/pillow_broken.png'));
  await page.getByText('This picture cannot be read').waitFor();
  assert.equal((await eventsOf(page, 'error'))[1].code, 'bad-image');
  await page.locator('siglip-classifier input[type=file]').setInputFiles(photo);
  assert.equal((await labelsOf(page))[0], 'a cat');
});

test('a picture dropped or pasted on the element is classified, and the page does not handle the event', async () => {
  const page = await embed(
    '<siglip-classifier labels="a cat, a boat" loading="eager" multiple></siglip-classifier>',
  );
  const untouched = await page.evaluate(async () => {
    const element = /** @type {Element} */ (document.querySelector('siglip-classifier'));
    const dataTransfer = new DataTransfer();
    const bytes = await (await fetch('/www/samples/boat.jpg')).blob();
    dataTransfer.items.add(new File([bytes], 'boat.jpg'));
    const options = { bubbles: true, cancelable: true, composed: true };
    const text = new DataTransfer();
    text.setData('text/plain', 'words');
    // Firefox drops the data of a synthetic event.
    const paste = (/** @type {DataTransfer} */ clipboardData) =>
      Object.defineProperty(new ClipboardEvent('paste', options), 'clipboardData', { value: clipboardData });
    return [
      element.dispatchEvent(new DragEvent('drop', { dataTransfer, ...options })),
      element.dispatchEvent(paste(dataTransfer)),
      element.dispatchEvent(paste(text)),
    ];
  });
  assert.deepEqual(untouched, [false, false, true]);
  await page.waitForFunction(
    () =>
      document.querySelector('siglip-classifier')?.shadowRoot?.querySelectorAll('[part=item]').length === 4,
  );
});

test('the example page works', async () => {
  const page = await harness.open({ path: '/examples/several-elements.html' });
  await page.locator('#manual').getByRole('button', { name: 'Load the model' }).click();
  const best = page.locator('#manual [part=label]').first();
  assert.equal(await best.textContent(), 'an insect');
  await page.locator('#lazy').scrollIntoViewIfNeeded();
  await page.locator('#lazy input[type=file]').setInputFiles([photo, fileAt('www/samples/boat.jpg')]);
  await page.getByText('Last result: boat.jpg: a boat').waitFor();
  assert.deepEqual(await problemsOf(page), []);
});
