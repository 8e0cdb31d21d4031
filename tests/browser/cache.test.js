/** The cache of models, and pages without storage. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { offlineFiles } from '../../scripts/offline-files.js';
import { browserOfTests } from './browsers.js';
import { Harness, fileAt, openIn, problemsOf } from './harness.js';

/** @typedef {import('./harness.js').Page} Page */

const harness = new Harness();
const WEIGHTS = 'model.safetensors';
const blank = '/tests/browser/pages/blank.html';

/**
 * Loads the embedded model and asks it.
 * @param {Page} page
 * @param {import('/www/siglip.js').LoadOptions} [options]
 */
const ask = (page, options = {}) =>
  page.evaluate(async (options) => {
    const { Siglip } = await import('/www/siglip.js');
    const siglip = await Siglip.load('tiny', options);
    const [best] = await siglip.classify('/www/samples/cat.jpg', ['a boat', 'a cat', 'a coffee cup']);
    const notices = siglip.info.notices.map(({ code }) => code);
    siglip.dispose();
    return { best: best.label, notices };
  }, options);

const downloads = () =>
  harness.server.log.filter((line) => line.startsWith('GET') && line.endsWith(WEIGHTS)).length;

/** Opens the page with an HTTP cache alone, and closes it once it answers. */
async function visitOnce() {
  const page = await harness.open({ headers: { 'cache-control': 'max-age=3600' } });
  await page.locator('.scores li').first().waitFor();
  await harness.untilQuiet();
  const url = page.url();
  await page.close();
  return { context: page.context(), url };
}

if (browserOfTests.hasHttpCache)
  test('the page works on a second visit without a network', async () => {
    const { context, url } = await visitOnce();
    await harness.server.close();
    const again = await openIn(context, url);
    assert.equal(await again.locator('.scores li span').first().textContent(), 'an insect');
    assert.deepEqual(await problemsOf(again), []);
  });
// The driver gives a profile without an HTTP cache.
else
  test('without an HTTP cache, a second visit needs the network', async () => {
    const { context, url } = await visitOnce();
    const failed = await context.newPage();
    harness.server.intercept = (_, response) => void response.destroy();
    // The driver does not tell that a page cannot be reached.
    await Promise.race([failed.goto(url).catch(() => {}), failed.waitForTimeout(3000)]);
    assert.equal(await failed.locator('main').count(), 0);
    await failed.close();
    harness.server.intercept = () => false;
    const again = await openIn(context, url);
    assert.equal(await again.locator('.scores li span').first().textContent(), 'an insect');
    assert.deepEqual(await problemsOf(again), []);
  });

/**
 * Opens the page and waits until it is kept for visits without a network.
 * @param {Record<string, string>} [headers]
 */
async function openKept(headers) {
  const page = await harness.open({ headers, hasServiceWorker: true });
  await page.getByText('opens without a network').waitFor();
  return page;
}

/** The versions that are kept, by the names of their caches. @param {Page} page @returns {Promise<string[]>} */
const versions = (page) =>
  page.evaluate(async () => (await caches.keys()).filter((name) => name.startsWith('siglip-code ')).sort());

/** @param {Page} page @param {string[]} expected */
async function untilVersions(page, expected) {
  for (let tries = 0; ; tries++) {
    const kept = await versions(page);
    if (kept.join() === expected.sort().join()) return;
    assert.ok(tries < 200, `${kept} in place of ${expected}`);
    await page.waitForTimeout(100);
  }
}

test('one visit is enough for the next without a network, and without any HTTP cache', async () => {
  const page = await openKept({ 'cache-control': 'no-store' });
  const url = page.url();
  await page.close();
  await harness.server.close();
  const again = await openIn(page.context(), url);
  assert.equal(await again.locator('.scores li span').first().textContent(), 'an insect');
  // Parts whose code is fetched when they are first used.
  await again.getByLabel('Table').click();
  await again.locator('[role=grid]').waitFor();
  await again.getByRole('button', { name: 'Search a folder…' }).click();
  await again.getByRole('heading', { name: /^Search/ }).waitFor();
  await again.locator('a', { hasText: 'Nothing leaves this browser' }).click();
  await again.getByRole('heading', { name: 'Your pictures stay here' }).waitFor();
  assert.deepEqual(await problemsOf(again), []);
});

test('a server that says nothing keeps nobody waiting', async () => {
  const page = await openKept();
  harness.server.log = [];
  harness.server.intercept = (path) => path === '/' && undefined;
  const again = await openIn(page.context(), page.url());
  assert.equal(await again.locator('.scores li span').first().textContent(), 'an insect');
  assert.deepEqual(
    harness.server.requestsOf('app.js'),
    [],
    'a page from the cache has its scripts from there',
  );
});

test('a new version is used at once; what is kept of the old one stays until its last page is closed', async () => {
  const page = await openKept({ 'cache-control': 'no-cache' });
  const [name] = await versions(page);
  harness.server.intercept = async (path, response) => {
    // The names of a packaged site's scripts have hashes: the old ones are gone.
    if (path === '/www/app/table/view.js') return void response.writeHead(404).end();
    if (path === '/privacy.html') {
      response.setHeader('content-type', 'text/html');
      return void response.end('<!doctype html><h1>The new version</h1>');
    }
    if (path !== '/offline-files.js') return false;
    response.setHeader('content-type', 'text/javascript');
    const list = (await offlineFiles(fileAt('.'))).replace(/.*table\/view.*/, '');
    return void response.end(list.replace(/(?<="version": ")\w+/, 'newer'));
  };
  const next = await openIn(page.context(), `${harness.server.origin}/privacy.html`);
  await next.getByRole('heading', { name: 'The new version' }).waitFor();
  await page.getByLabel('Table').click();
  await page.locator('[role=grid]').waitFor();
  await untilVersions(page, [name, name.replace(/\w+$/, 'newer')]);
  await Promise.all([page.close(), next.close()]);
  // A browser takes a moment to notice that a page is closed, and the new version waits for that.
  let newer = next;
  for (let tries = 0; tries < 50; tries++) {
    newer = await openIn(page.context(), `${harness.server.origin}${blank}`);
    if ((await versions(newer)).length === 1) break;
    await newer.close();
  }
  assert.deepEqual(await versions(newer), [name.replace(/\w+$/, 'newer')]);
  const builds = await newer.evaluate(async () => {
    const [name] = (await caches.keys()).filter((name) => name.startsWith('siglip-code '));
    return (await (await caches.open(name)).keys()).filter(({ url }) => url.endsWith('.wasm')).length;
  });
  assert.equal(builds, 1, 'the build in use is kept from version to version');
});

test('a model is downloaded once; without the cache, each time', async () => {
  const page = await harness.open({ path: blank });
  for (const cache of [true, true]) await ask(page, { cache });
  assert.equal(downloads(), 1);
  await ask(page, { cache: false });
  assert.equal(downloads(), 2);
});

for (const damage of /** @type {const} */ (['cut short', 'garbled'])) {
  test(`cached files that were ${damage} are downloaded again`, async () => {
    const page = await harness.open({ path: blank });
    await ask(page);
    const damaged = await page.evaluate(async (damage) => {
      const spoil = async (/** @type {Blob} */ blob) =>
        damage === 'cut short' ? blob.slice(0, blob.size / 2) : new Blob([new Uint8Array(blob.size).fill(7)]);
      let damaged = 0;
      for (const name of await caches.keys()) {
        const cache = await caches.open(name);
        for (const request of await cache.keys()) {
          const response = /** @type {Response} */ (await cache.match(request));
          await cache.put(request, new Response(await spoil(await response.blob()), response));
          damaged++;
        }
      }
      const spoilFolder = async (/** @type {any} */ folder) => {
        for await (const handle of folder.values()) {
          if (handle.kind === 'directory') {
            await spoilFolder(handle);
            continue;
          }
          const spoilt = await spoil(await handle.getFile());
          const writable = await handle.createWritable();
          await writable.write(spoilt);
          await writable.close();
          damaged++;
        }
      };
      const root = await navigator.storage?.getDirectory?.().catch(() => undefined);
      if (root) await spoilFolder(root);
      return damaged;
    }, damage);
    assert.ok(damaged > 0);
    assert.equal((await ask(page)).best, 'a cat');
    assert.equal(downloads(), 2);
    assert.equal((await ask(page)).best, 'a cat');
    assert.equal(downloads(), 2, 'what replaced it is whole');
  });
}

test('an interrupted download is reported, and the next load works', async () => {
  const page = await harness.open({ path: blank });
  harness.server.intercept = (path, response) => {
    if (!path.endsWith(WEIGHTS)) return false;
    response.writeHead(200, { 'content-length': 11_607_572 });
    response.write(Buffer.alloc(1000), () => response.destroy());
  };
  const { code, message } = await page.evaluate(async () => {
    const { Siglip } = await import('/www/siglip.js');
    const { outcome } = await import('/tests/browser/pages/outcome.js');
    return outcome(Siglip.load());
  });
  assert.ok(['network', 'bad-weights'].includes(code), message);
  harness.server.intercept = () => false;
  assert.equal((await ask(page)).best, 'a cat');
});

test('new weights on the server replace those in the cache', async () => {
  const page = await harness.open({ path: blank, headers: { etag: '"1"' } });
  await ask(page);
  harness.server.headers = { etag: '"2"' };
  // It loads from the cache and asks the server in the background. A later visit gets the new weights.
  await ask(page);
  assert.equal(downloads(), 1);
  for (let visit = 0; visit < 20 && downloads() === 1; visit++) await ask(page);
  assert.equal(downloads(), 2);
});

test('when storage is full, the model works from memory and says so', async () => {
  const page = await harness.open({ path: blank });
  if (browserOfTests.name === 'chromium') {
    const session = await page.context().newCDPSession(page);
    await session.send('Storage.overrideQuotaForOrigin', {
      origin: harness.server.origin,
      quotaSize: 1_000_000,
    });
  } else harness.server.workerFaults = { storage: { at: 1, error: 'QuotaExceededError' } };
  const { best, notices } = await ask(page);
  assert.equal(best, 'a cat');
  assert.deepEqual(notices, ['quota']);

  const visit = await openIn(page.context(), `${harness.server.origin}/`);
  assert.equal(await visit.locator('.scores li span').first().textContent(), 'an insect');
  assert.match((await visit.locator('#notices').textContent()) ?? '', /storage .* is full/);
});

test('the page works without any storage, on a site without TLS', async () => {
  const page = await harness.open();
  const visit = await openIn(page.context(), harness.server.origin.replace('127.0.0.1', 'insecure.test'));
  assert.equal(await visit.evaluate(() => isSecureContext), false);
  assert.equal(await visit.locator('.scores li span').first().textContent(), 'an insect');
  assert.match((await visit.locator('#notices').textContent()) ?? '', /the next visit downloads it again/);
  assert.deepEqual(await problemsOf(visit), []);
});
