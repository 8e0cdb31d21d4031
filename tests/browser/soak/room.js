/** The environment of a soak scenario: a server with checkpoints, and pages of one context. */
import assert from 'node:assert/strict';
import { openIn } from '../harness.js';
import { Server } from '../server.js';
import { FakeHub, ended, load, small } from '../weights/fake-hub.js';

/** @typedef {import('../harness.js').Page} Page */
/** @typedef {import('../harness.js').BrowserContext} BrowserContext */
/** @typedef {import('/www/siglip.js').LoadOptions} LoadOptions */
/** How often each outcome came up. @typedef {Record<string, number>} Tally */
/** A scenario: so many runs of a seed. @typedef {(browser: Browser, seed: number, runs: number) => Promise<Tally>} Scenario */
/** @typedef {{newContext: () => Promise<BrowserContext>}} Browser */

export const blank = '/tests/browser/pages/blank.html';
/** The codes that a load may end with. */
export const LOAD_CODES = ['network', 'not-found', 'integrity', 'bad-weights', 'unsupported-model'];

export class Room {
  /** @type {Record<string, FakeHub>} */
  hubs = {};
  server;
  context;

  /**
   * @param {Server} server
   * @param {BrowserContext} context
   */
  constructor(server, context) {
    this.server = server;
    this.context = context;
    server.intercept = (path, response, method, request) => {
      const [, folder, name] = path.split('/');
      if (folder !== 'run') return false;
      const hub = this.hubs[name];
      // A finished load may still ask the server for a newer version.
      return hub ? hub.at(`/run/${name}/`)(path, response, method, request) : void response.destroy();
    };
  }

  /**
   * Opens one, and closes it behind the work.
   * @template T
   * @param {Browser} browser
   * @param {(room: Room) => Promise<T>} work
   */
  static async with(browser, work) {
    const server = await Server.start();
    try {
      const context = await ended(browser.newContext(), 'the start of a context');
      return await work(new Room(server, context)).finally(() => context.close());
    } finally {
      await server.close();
    }
  }

  newPage() {
    return openIn(this.context, `${this.server.origin}${blank}`);
  }

  /**
   * The address of a hub of its own.
   * @param {string | number} name
   * @param {FakeHub} [hub]
   */
  add(name, hub = new FakeHub()) {
    this.hubs[name] = hub;
    return { hub, folder: `/run/${name}/` };
  }

  /**
   * The scores of a checkpoint without faults.
   * @param {Page} page
   * @param {import('../weights/checkpoint.js').Files} [files]
   * @param {LoadOptions} [options]
   */
  async rightAnswer(page, files = small, options = {}) {
    const { folder } = this.add('right', new FakeHub(files));
    const { embeddings, message } = await load(page, folder, { ...options, cache: false });
    assert.ok(embeddings, message);
    return embeddings;
  }
}

/** @param {Tally} tally @param {string} outcome */
export function count(tally, outcome) {
  tally[outcome] = (tally[outcome] ?? 0) + 1;
}

/**
 * Runs consecutive seeds, several at a time, each lane in its own page.
 * @param {Room} room
 * @param {{seed: number, runs: number, lanes: number}} plan
 * @param {(page: Page, seed: number) => Promise<string>} run gives its outcome
 */
export async function inLanes(room, { seed: first, runs, lanes }, run) {
  /** @type {Tally} */
  const tally = {};
  let next = first;
  const lane = async () => {
    const page = await room.newPage();
    while (next < first + runs) count(tally, await run(page, next++));
    await page.close();
  };
  await Promise.all(Array.from({ length: Math.min(lanes, runs) }, lane));
  return tally;
}
