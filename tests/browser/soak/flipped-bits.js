/** One bit in the cache flips. Expected: the model is downloaded again; wrong weights are never used. */
import assert from 'node:assert/strict';
import { load, patient } from '../weights/fake-hub.js';
import { Random } from '../weights/random.js';
import { Room, inLanes } from './room.js';

/**
 * Flips a bit of the one file, or entry of the Cache API, that is kept for a model.
 * @param {{folder: string, share: number, bit: number}} where
 */
async function flip({ folder, share, bit }) {
  /** @param {Blob} blob */
  const flipped = async (blob) => {
    const bytes = new Uint8Array(await blob.arrayBuffer());
    if (!new TextDecoder().decode(bytes.subarray(0, 1000)).includes(folder)) return undefined;
    bytes[Math.floor(share * bytes.length)] ^= 1 << bit;
    return bytes;
  };
  let flips = 0;
  for (const name of await caches.keys()) {
    const cache = await caches.open(name);
    for (const request of await cache.keys()) {
      const response = /** @type {Response} */ (await cache.match(request));
      const bytes = await flipped(await response.blob());
      if (!bytes) continue;
      await cache.put(request, new Response(bytes, response));
      flips++;
    }
  }
  const root = await navigator.storage?.getDirectory?.().catch(() => undefined);
  for await (const directory of root?.values() ?? []) {
    for await (const handle of /** @type {FileSystemDirectoryHandle} */ (directory).values()) {
      const file = /** @type {FileSystemFileHandle} */ (handle);
      const bytes = await flipped(await file.getFile());
      if (!bytes) continue;
      const writable = await file.createWritable();
      await writable.write(bytes);
      await writable.close();
      flips++;
    }
  }
  return flips;
}

/** @type {import('./room.js').Scenario} */
export const flippedBits = (browser, seed, runs) =>
  Room.with(browser, async (room) => {
    const first = await room.newPage();
    const expected = await room.rightAnswer(first);
    // One at a time, because flip() reads every file, and another load would create and delete files.
    return inLanes(room, { seed, runs, lanes: 1 }, async (page, seed) => {
      const random = new Random(seed);
      const { hub, folder } = room.add(`flip-${seed}`);
      await load(page, folder, patient);
      const where = { folder, share: random.next(), bit: random.below(8) };
      const told = JSON.stringify({ seed, ...where });
      assert.equal(await page.evaluate(flip, where), 1, told);
      // Without a server no model can load. Half of the runs try that first.
      if (random.chance(0.5)) {
        hub.isOpen = false;
        const alone = await load(page, folder);
        assert.equal(alone.code, 'network', `${alone.embeddings ? 'wrong weights' : alone.message}: ${told}`);
        hub.isOpen = true;
      }
      // If the bit was the text tower's, the first visit downloads that tower, and the second one the model.
      for (let visit = 0; visit < 2; visit++) {
        const next = await load(page, folder, patient);
        assert.equal(next.embeddings, expected, `${next.message}: ${told}`);
      }
      hub.isOpen = false;
      assert.equal((await load(page, folder)).embeddings, expected, told);
      return 'fetched anew';
    });
  });
