/**
 * An old tab and a new one over the same storage, whose code keeps models in another format: each finds its own, neither
 * answers from the other's, and what one deletes the other fetches again.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { browserOfTests } from '../browsers.js';
import { fileAt } from '../harness.js';
import { load, patient } from '../weights/fake-hub.js';
import { Random } from '../weights/random.js';
import { Room, inLanes } from './room.js';

/** The storage's name with its format, in the scripts and in the modules alike. */
const FORMAT = /siglip-web-(\d)/g;

/** The same code with another format of what it keeps: a name of the same length. @param {string} path */
async function otherVersion(path) {
  const text = await readFile(fileAt(path), 'latin1');
  return Buffer.from(
    text.replace(FORMAT, (_, format) => `siglip-web-${(Number(format) + 1) % 10}`),
    'latin1',
  );
}

/** @type {import('./room.js').Scenario} */
export const twoVersions = (browser, seed, runs) =>
  Room.with(browser, async (room) => {
    let isOther = false;
    const { intercept } = room.server;
    room.server.intercept = async (path, response, method, request) => {
      if (!isOther || !/^\/www\/.*\.(js|wasm)$/.test(path)) return intercept(path, response, method, request);
      response.setHeader('content-type', path.endsWith('.js') ? 'text/javascript' : 'application/wasm');
      response.setHeader('cache-control', 'no-store');
      response.end(await otherVersion(path));
    };
    const first = await room.newPage();
    const expected = await room.rightAnswer(first);
    const other = await first.evaluate(
      async () => (await (await fetch('/www/lib/model-cache.js')).text()).length,
    );
    assert.ok(other > 0);
    // In a profile in memory, WebKit empties a cache that no page has open.
    if (!browserOfTests.keepsProfiles)
      await first.evaluate(async () => {
        const names = Array.from({ length: 10 }, (_, format) => `siglip-web-${format}`);
        Object.assign(globalThis, { held: await Promise.all(names.map((name) => caches.open(name))) });
      });
    /** @param {import('../harness.js').Page} page @param {boolean} version @param {string} folder */
    const loadAs = async (page, version, folder) => {
      isOther = version;
      await page.reload();
      return load(page, folder, patient);
    };
    return inLanes(room, { seed, runs, lanes: 1 }, async (page, seed) => {
      const random = new Random(seed);
      const { hub, folder } = room.add(`versions-${seed}`);
      const order = random.chance(0.5) ? [false, true] : [true, false];
      for (const version of [...order, ...order]) {
        const told = JSON.stringify({ seed, version });
        const { embeddings, message, notices } = await loadAs(page, version, folder);
        assert.equal(embeddings, expected, `${message}: ${told}`);
        assert.deepEqual(notices, [], told);
      }
      // One deletes its model. The other's stays, or is downloaded again.
      await page.evaluate(async () => (await import('/www/siglip.js')).deleteAllModels());
      for (const version of order) {
        assert.equal((await loadAs(page, version, folder)).embeddings, expected, `deleted: seed ${seed}`);
      }
      hub.isOpen = false;
      for (const version of order) {
        assert.equal((await loadAs(page, version, folder)).embeddings, expected, `kept: seed ${seed}`);
      }
      return order[0] ? 'new tab first' : 'old tab first';
    });
  });
