/** The browser is killed at any moment of a download. Expected: a complete model, or a partial one that can be resumed. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { browserOfTests } from '../browsers.js';
import { Server } from '../server.js';
import { FakeHub, small } from '../weights/fake-hub.js';
import { Random } from '../weights/random.js';
import { DOWNLOAD, begin, check, options, slow } from './closed-pages.js';
import { Room } from './room.js';

/** @typedef {{context: import('./room.js').BrowserContext, kill: () => Promise<void>}} Started */

/** @param {import('./room.js').Page} page */
const modelsKept = (page) =>
  page.evaluate(async () => (await (await import('/www/siglip.js')).cachedModels()).length);

/** Where the driver's profiles are in memory, nothing survives: the next browser downloads the model. @type {import('./room.js').Scenario} */
export async function killedBrowsers(_browser, first, runs) {
  const profile = await mkdtemp(join(tmpdir(), 'siglip-web-'));
  const server = await Server.start();
  /** @type {Room['hubs']} */
  let hubs = {};
  let expected = '';
  try {
    for (let seed = first; seed <= first + runs; seed++) {
      const { context, kill } = /** @type {Started} */ (await browserOfTests.launchAt(profile));
      try {
        const room = new Room(server, context);
        room.hubs = hubs;
        const page = await room.newPage();
        if (seed === first) expected = await room.rightAnswer(page, small, options);
        else {
          const last = seed - 1;
          if (!browserOfTests.keepsProfiles) assert.equal(await modelsKept(page), 0);
          hubs[last].behaviour = {};
          await check(page, hubs[last], `/run/${last}/`, expected, `seed ${last}`);
        }
        hubs = room.hubs;
        await begin(page, room.add(seed, new FakeHub(small, slow)).folder);
        await sleep(new Random(1000 + seed).next() * DOWNLOAD * 1.3);
      } finally {
        await kill();
      }
    }
  } finally {
    await server.close();
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  }
  return { killed: runs };
}
