/** The base of every test file: a server, a browser, and pages whose errors are recorded. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before } from 'node:test';
import { browserOfTests } from './browsers.js';
import { RemotePage } from './remote/page.js';
import { Server, root } from './server.js';

/** @typedef {import('playwright-core').Page} Page */
/** @typedef {import('playwright-core').BrowserContext} BrowserContext */

/** A file of the repository. @param {string} path */
export const fileAt = (path) => join(root, path);

/**
 * The Python reference's answers of the embedded model for the sample pictures.
 * @type {{template: string, labels: string[], answers: {image: string, logits: number[], scores: number[]}[]}}
 */
export const reference = JSON.parse(readFileSync(fileAt('tests/parity/answers-tiny.json'), 'utf8'));

/** A server and a browser, the one that BROWSER names, for the tests of one file; each test has contexts, and with them storage, of its own. */
export class Harness {
  /** @type {import('playwright-core').Browser} */
  browser = /** @type {any} */ (undefined);
  /** The newest. */
  server = new Server();
  /** @type {Server[]} */
  #servers = [];
  /** @type {BrowserContext[]} */
  #contexts = [];

  /** @param {() => Promise<unknown>} [launch] another browser than that */
  constructor(launch = () => browserOfTests.launch()) {
    before(async () => {
      this.browser = /** @type {any} */ (await launch());
    });
    after(() => this.browser?.close());
    afterEach(async () => {
      await Promise.all(this.#contexts.splice(0).map((context) => context.close()));
      await Promise.all(this.#servers.splice(0).map((server) => server.close()));
    });
  }

  /** One more server, such as another site. @param {Record<string, string>} [headers] */
  async startServer(headers = {}) {
    const server = await Server.start(headers);
    this.#servers.push(server);
    return server;
  }

  /** Waits until the pages have stopped fetching what they fetch by themselves. */
  async untilQuiet() {
    for (let seen = -1; seen !== this.server.log.length;) {
      seen = this.server.log.length;
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }

  /**
   * A page of a fresh context, on a fresh server. `showsVideo` is for WebKit, which otherwise shows no frames.
   * @param {{path?: string, headers?: Record<string, string>, hasServiceWorker?: boolean, options?: import('playwright-core').BrowserContextOptions & {showsVideo?: boolean}}} [options]
   */
  async open({ path = '/', headers = {}, hasServiceWorker = false, options = {} } = {}) {
    this.server = await this.startServer(headers);
    this.server.hasServiceWorker = hasServiceWorker;
    const context = await this.browser.newContext(options);
    this.#contexts.push(context);
    return openIn(context, `${this.server.origin}${path}`);
  }
}

/** Uncaught exceptions and complaints in the console, by page of Playwright. @type {WeakMap<Page, string[]>} */
const problems = new WeakMap();

/**
 * Another page, with the storage of those before.
 * @param {BrowserContext} context
 * @param {string} url
 */
export async function openIn(context, url) {
  const page = await context.newPage();
  if (page instanceof RemotePage) {
    await page.goto(url);
    await untilStarted(page);
    return page;
  }
  page.setDefaultTimeout(20_000);
  /** @type {string[]} */
  const list = [];
  problems.set(page, list);
  page.on('pageerror', (error) => list.push(String(error)));
  page.on('console', (message) => message.type() === 'error' && list.push(message.text()));
  await page.goto(url);
  await untilStarted(page);
  return page;
}

/** Waits until this project's own page takes files. @param {Page} page */
async function untilStarted(page) {
  if (await page.locator('script[src$="app/start.js"]').count())
    await page.waitForFunction(() => 'started' in document.documentElement.dataset);
}

/** What has gone wrong in a page: broken promises, scripts stopped by a policy, files not found. @param {Page} page */
export const problemsOf = async (page) =>
  page instanceof RemotePage ? page.problems() : (problems.get(page) ?? []);

/**
 * @param {number} actual
 * @param {number} expected
 * @param {number} tolerance
 * @param {string} message
 */
export function assertClose(actual, expected, tolerance, message) {
  const difference = Math.abs(actual - expected);
  assert.ok(difference <= tolerance, `${message}: ${actual} is ${difference} from ${expected}`);
}

/**
 * How many workers live that were started with pages/counted-worker.js, of all pages of the context.
 * @param {Page} page
 * @returns {Promise<number>}
 */
export const workersAlive = (page) =>
  page.evaluate(async () => {
    const { held = [] } = await navigator.locks.query();
    return held.filter(({ name }) => name === 'siglip-worker').length;
  });

/** Waits until so many live. @param {Page} page @param {number} count */
export async function untilWorkers(page, count) {
  for (let tries = 0; (await workersAlive(page)) !== count; tries++) {
    assert.ok(tries < 200, `not ${count} workers but ${await workersAlive(page)}`);
    await page.waitForTimeout(50);
  }
}

/**
 * The details of an element's events of this type, which the page keeps in `events`.
 * @param {Page} page
 * @param {string} type
 * @returns {Promise<any[]>}
 */
export const eventsOf = (page, type) =>
  page.evaluate(
    (type) =>
      /** @type {any} */ (globalThis).events
        .filter((/** @type {any} */ event) => event.type === type)
        .map((/** @type {any} */ event) => event.detail),
    type,
  );
