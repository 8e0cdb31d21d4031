/** The cache of models, and pages without storage. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { browserOfTests } from './browsers.js';
import { Harness, openIn, problemsOf } from './harness.js';

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

const withoutHttpCache = !browserOfTests.hasHttpCache && 'the driver gives a profile without an HTTP cache';
test('the page works on a second visit without a network', { skip: withoutHttpCache }, async () => {
  const page = await harness.open({ headers: { 'cache-control': 'max-age=3600' } });
  await page.locator('.scores li').first().waitFor();
  const url = page.url();
  await page.close();
  await harness.server.close();
  const again = await openIn(page.context(), url);
  assert.equal(await again.locator('.scores li span').first().textContent(), 'an insect');
  assert.deepEqual(await problemsOf(again), []);
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
