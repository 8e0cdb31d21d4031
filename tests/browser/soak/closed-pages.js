/** The page is closed at any moment of a download. Expected: the old or the new model, never a broken one. */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { WEIGHTS, otherWeights } from '../weights/checkpoint.js';
import { FakeHub, load, patient, small } from '../weights/fake-hub.js';
import { Random } from '../weights/random.js';
import { Room, inLanes } from './room.js';

/** @typedef {import('../harness.js').Page} Page */

/** Roughly the time of a download, in milliseconds. The page is closed within it. */
export const DOWNLOAD = 500;
const LANES = 4;
/** Chunks so small and slow that a download takes that long. */
export const slow = { pace: DOWNLOAD / (small[WEIGHTS].length / (1 << 15)) };
/** @type {import('/www/siglip.js').LoadOptions} */
export const options = { precision: 'f32' };

/** Begins a load whose end nobody sees. @param {Page} page @param {string} folder */
export function begin(page, folder) {
  const loading = page.evaluate((folder) => {
    void import('/www/siglip.js').then(({ Siglip }) =>
      Siglip.load(folder, { precision: 'f32', workers: 1 }).catch(() => {}),
    );
  }, folder);
  return loading.catch(() => {});
}

/**
 * What a later visit finds: a model, and the same without a server.
 * @param {Page} page
 * @param {FakeHub} hub
 * @param {string} folder
 * @param {string} expected
 * @param {string} told
 */
export async function check(page, hub, folder, expected, told) {
  const next = await load(page, folder, { ...options, ...patient });
  assert.equal(next.embeddings, expected, `${next.message} ${told}`);
  hub.isOpen = false;
  const kept = await load(page, folder, options);
  assert.equal(kept.embeddings, expected, `${kept.message} ${told}`);
}

/** @type {import('./room.js').Scenario} */
export const closedPages = (browser, seed, runs) =>
  Room.with(browser, async (room) => {
    const first = await room.newPage();
    const before = await room.rightAnswer(first, small, options);
    const after = await room.rightAnswer(first, otherWeights(small), options);
    assert.notEqual(before, after);
    return inLanes(room, { seed, runs, lanes: LANES }, async (later, seed) => {
      const random = new Random(seed);
      const { hub, folder } = room.add(seed, new FakeHub(small, slow));
      const page = await room.newPage();
      await begin(page, folder);
      await sleep(random.next() * DOWNLOAD * 1.3);
      await page.close();
      hub.behaviour = {};
      // Every fourth visit finds another version on the server.
      if (!random.chance(0.25)) {
        await check(later, hub, folder, before, `seed ${seed}`);
        return 'the same version';
      }
      hub.files = otherWeights(small);
      const next = await load(later, folder, { ...options, ...patient });
      assert.ok([before, after].includes(next.embeddings ?? ''), `${next.message} seed ${seed}`);
      return 'another version';
    });
  });
