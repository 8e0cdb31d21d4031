/** A page, or the whole browser, that ends at any moment of a download: the old or the new, never a broken one. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { launchChromiumAt } from '../browsers.js';
import { Harness, openIn } from '../harness.js';
import { Server } from '../server.js';
import { WEIGHTS, otherWeights } from './checkpoint.js';
import { Random } from './random.js';
import { Shop, load, patient, small } from './shop.js';

/** @typedef {import('../harness.js').Page} Page */

/** Moments at which a page is closed, and at which the browser is killed. */
const [PAGES, BROWSERS] = [40, 10];
/** Milliseconds that a download takes, about: the moments lie within. */
const DOWNLOAD = 500;
const LANES = 4;
const blank = '/tests/browser/pages/blank.html';
/** So small a piece, and so slowly, that a download is as long as that. */
const habits = { pace: DOWNLOAD / (small[WEIGHTS].length / (1 << 15)) };
/** @type {import('/www/siglip.js').LoadOptions} */
const options = { precision: 'f32' };

const harness = new Harness();

/** Begins a load that nobody will see the end of. @param {Page} page @param {string} folder */
function begin(page, folder) {
  const loading = page.evaluate(async (folder) => {
    const { Siglip } = await import('/www/siglip.js');
    await Siglip.load(folder, { precision: 'f32', workers: 1 });
  }, folder);
  loading.catch(() => {});
}

/**
 * What a later visit finds: a model, and the same without a server.
 * @param {Page} page
 * @param {Shop} shop
 * @param {string} folder
 * @param {string} expected
 * @param {string} told
 */
async function check(page, shop, folder, expected, told) {
  const next = await load(page, folder, { ...options, ...patient });
  assert.equal(next.embeddings, expected, `${next.message} ${told}`);
  shop.isOpen = false;
  const kept = await load(page, folder, options);
  assert.equal(kept.embeddings, expected, `${kept.message} ${told}`);
}

test(`${PAGES} pages closed at any moment`, async () => {
  const first = await harness.open({ path: blank });
  /** @type {Record<string, Shop>} */
  const shops = { clean: new Shop(), other: new Shop(otherWeights(small)) };
  harness.server.intercept = (path, response, method, request) => {
    const [, name, seed] = path.split('/');
    return name === 'run' && shops[seed].at(`/run/${seed}/`)(path, response, method, request);
  };
  const { embeddings: before = '' } = await load(first, '/run/clean/', { ...options, cache: false });
  const { embeddings: after = '' } = await load(first, '/run/other/', { ...options, cache: false });
  assert.ok(before && after && before !== after);

  let seed = 0;
  const lane = async () => {
    while (seed < PAGES) {
      const random = new Random(++seed);
      const [folder, told] = [`/run/${seed}/`, `seed ${seed}`];
      const shop = (shops[seed] = new Shop(small, habits));
      const page = await openIn(first.context(), first.url());
      begin(page, folder);
      await sleep(random.next() * DOWNLOAD * 1.3);
      await page.close();
      // Every fourth finds another version at the server.
      const changed = random.chance(0.25);
      shop.habits = {};
      const later = await openIn(first.context(), first.url());
      if (changed) {
        shop.files = otherWeights(small);
        const next = await load(later, folder, { ...options, ...patient });
        assert.ok([before, after].includes(next.embeddings ?? ''), `${next.message} ${told}`);
      } else {
        await check(later, shop, folder, before, told);
      }
      await later.close();
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
});

test(`${BROWSERS} browsers killed at any moment`, async () => {
  const profile = await mkdtemp(join(tmpdir(), 'siglip-web-'));
  const server = await Server.start();
  /** @type {Record<string, Shop>} */
  const shops = {};
  server.intercept = (path, response, method, request) => {
    const [, name, seed] = path.split('/');
    return name === 'run' && shops[seed].at(`/run/${seed}/`)(path, response, method, request);
  };
  try {
    let expected = '';
    for (let seed = 0; seed <= BROWSERS; seed++) {
      const { context, kill } = await launchChromiumAt(profile);
      try {
        const page = await openIn(context, server.origin + blank);
        if (seed === 0) {
          shops.clean = new Shop();
          expected = (await load(page, '/run/clean/', { ...options, cache: false })).embeddings ?? '';
          assert.ok(expected);
        } else {
          const last = seed - 1;
          shops[last].habits = {};
          await check(page, shops[last], `/run/${last}/`, expected, `seed ${last}`);
        }
        shops[seed] = new Shop(small, habits);
        begin(page, `/run/${seed}/`);
        await sleep(new Random(1000 + seed).next() * DOWNLOAD * 1.3);
      } finally {
        await kill();
      }
    }
  } finally {
    await server.close();
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  }
});
