/**
 * Many pictures, loads and disposals. Expected: the page and its worker hold as much as after the first, and the browser's
 * process has as much memory as after the first few.
 */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { browserOfTests } from '../browsers.js';
import { Server } from '../server.js';
import { Room } from './room.js';

/** Pictures and loads before the first measurement, which fill caches and pools. */
const WARM = { pictures: 50, loads: 5 };
/** The largest allowed growth, as a share. Only Chromium's driver has all garbage collected before memory is looked at. */
const TOLERANCE = browserOfTests.name === 'chromium' ? 0.05 : 0.5;

/** What the command line of a process with pages contains. */
const OF_PAGES = { chromium: '--type=renderer', firefox: '-isForBrowser', webkit: 'WebKitWebProcess' };

/** Memory of the processes with pages of a browser that is resident, the largest, in bytes. @param {number} main */
async function pageMemory(main) {
  const sizes = [0];
  for (const pid of await readdir('/proc')) {
    // A process may end while it is read.
    const read = (/** @type {string} */ name) => readFile(`/proc/${pid}/${name}`, 'utf8').catch(() => '');
    const [, , , , group] = (await read('stat')).replace(/\(.*\)/, '()').split(' ');
    if (Number(group) !== main || !(await read('cmdline')).includes(OF_PAGES[browserOfTests.name])) continue;
    sizes.push(1024 * Number(/RssAnon:\s+(\d+) kB/.exec(await read('status'))?.[1] ?? 0));
  }
  return Math.max(...sizes);
}

/** @typedef {{usedSize: number, backingStorageSize: number}} Heap */

/**
 * Bytes that the page and its worker hold: objects of JavaScript, buffers, and the engine's memory.
 * @param {import('../harness.js').Page} page
 * @param {import('playwright-core').CDPSession} session
 */
async function heldBytes(page, session) {
  const { targetInfos } = await session.send('Target.getTargets', { filter: [{ type: 'worker' }] });
  let bytes = /** @type {number} */ (
    await page.evaluate(() => /** @type {any} */ (globalThis).bytesOfEngine())
  );
  /** @type {Heap[]} */
  const sizes = [await session.send('Runtime.getHeapUsage')];
  for (const { targetId } of targetInfos) sizes.push(await heapOfWorker(session, targetId));
  for (const { usedSize, backingStorageSize } of sizes) bytes += usedSize + backingStorageSize;
  return bytes;
}

/**
 * The driver opens no session of a worker, so this one goes through that of its page.
 * @param {import('playwright-core').CDPSession} session
 * @param {string} targetId
 * @returns {Promise<Heap>}
 */
async function heapOfWorker(session, targetId) {
  const { sessionId } = await session.send('Target.attachToTarget', { targetId, flatten: false });
  const answered = new Promise((resolve) =>
    session.on('Target.receivedMessageFromTarget', ({ message }) => {
      const { result } = JSON.parse(message);
      // An event has none.
      if (result) resolve(result);
    }),
  );
  const message = JSON.stringify({ id: 1, method: 'Runtime.getHeapUsage' });
  await session.send('Target.sendMessageToTarget', { sessionId, message });
  const heap = await answered;
  await session.send('Target.detachFromTarget', { sessionId });
  return heap;
}

/** @typedef {{context: import('./room.js').BrowserContext, pid: number, collectGarbage?: () => Promise<void>, kill: () => Promise<void>}} Started */
/** @typedef {(profile: string, flags: string[]) => Promise<Started>} Launch */

/**
 * `runs` pictures, and a tenth as many loads.
 * @type {import('./room.js').Scenario}
 */
export async function memoryGrowth(_browser, _seed, runs) {
  const profile = await mkdtemp(join(tmpdir(), 'siglip-web-'));
  const server = await Server.start();
  const { context, pid, collectGarbage, kill } = await /** @type {Launch} */ (browserOfTests.launchAt)(
    profile,
    ['--js-flags=--expose-gc'],
  );
  try {
    const room = new Room(server, context);
    const page = await room.newPage();
    const session = browserOfTests.name === 'chromium' && (await context.newCDPSession(page));
    const look = async () => {
      const sizes = [];
      for (let i = 0; i < 5; i++) {
        await page.evaluate(() => /** @type {any} */ (globalThis).collect());
        await (session ? session.send('HeapProfiler.collectGarbage') : collectGarbage?.());
        await page.waitForTimeout(200);
        sizes.push(await pageMemory(pid));
      }
      return { process: Math.min(...sizes), held: session ? await heldBytes(page, session) : 0 };
    };
    await page.evaluate(async () => {
      const { Siglip } = await import('/www/siglip.js');
      // Files, because the driver keeps a few kilobytes of every request of the page.
      const files = await Promise.all(
        ['cat', 'dog', 'boat', 'coffee', 'insect'].map(async (name) =>
          (await fetch(`/www/samples/${name}.jpg`)).blob(),
        ),
      );
      const labels = Array.from({ length: 20 }, (_, i) => `a cat of ${i} years`);
      const load = async () => {
        const siglip = await Siglip.load('tiny');
        await siglip.classify(files[0], labels);
        siglip.dispose();
      };
      const loads = async (/** @type {number} */ count) => {
        for (let i = 0; i < count; i++) await load();
      };
      const siglip = await Siglip.load('tiny', { workerUrl: '/tests/browser/pages/collecting-worker.js' });
      const pictures = async (/** @type {number} */ count) => {
        for (let i = 0; i < count; i++) await siglip.classify(files[i % 5], labels);
      };
      const channel = new BroadcastChannel('collect');
      const bytesOfEngine = () =>
        new Promise((resolve) => {
          channel.onmessage = ({ data }) => resolve(data);
          channel.postMessage({ tells: true });
        });
      Object.assign(globalThis, { loads, pictures, bytesOfEngine, collect: () => channel.postMessage({}) });
    });
    /** @param {'pictures' | 'loads'} kind @param {number} count */
    const repeat = (kind, count) =>
      page.evaluate(({ kind, count }) => /** @type {any} */ (globalThis)[kind](count), { kind, count });
    /** @type {import('./room.js').Tally} */
    const tally = {};
    for (const [kind, count] of /** @type {const} */ ([
      ['pictures', runs],
      ['loads', Math.ceil(runs / 10)],
    ])) {
      const measures = [];
      for (const [when, more] of /** @type {const} */ ([
        ['the first', 1],
        [`${WARM[kind]} more`, WARM[kind]],
        [`${count} more`, count],
      ])) {
        await repeat(kind, more);
        const { process, held } = await look();
        measures.push({ process, held });
        tally[`kB of the process after ${when} of ${kind}`] = Math.round(process / 1024);
        if (session) tally[`kB held after ${when} of ${kind}`] = Math.round(held / 1024);
      }
      const [first, warm, last] = measures;
      const growth = [last.process / warm.process - 1, session ? last.held / first.held - 1 : 0];
      assert.ok(Math.max(...growth) <= TOLERANCE, `${growth} more of ${kind}, ${JSON.stringify(tally)}`);
    }
    return tally;
  } finally {
    await kill();
    await server.close();
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  }
}
