/** Firefox, through WebDriver BiDi. */
import puppeteer from 'puppeteer-core';
import { RemotePage } from './page.js';

/** @typedef {import('./page.js').Tab} Tab */

/** @param {string} executablePath @param {Record<string, unknown>} preferences @param {string} [profile] a folder */
async function start(executablePath, preferences, profile) {
  const browser = await puppeteer.launch({
    browser: 'firefox',
    protocol: 'webDriverBiDi',
    headless: true,
    executablePath,
    userDataDir: profile,
    extraPrefsFirefox: preferences,
    args: ['--remote-allow-system-access'],
    protocolTimeout: 300_000,
  });
  await stopListeningToWorkers(browser);
  return browser;
}

/** @param {import('puppeteer-core').BrowserContext} context */
function contextOf(context) {
  const self = {
    async newPage() {
      // A window cannot open while another one is closing.
      const page = await context.newPage().catch(() => context.newPage());
      return new RemotePage(tabOf(page), self);
    },
    close: () => context.close(),
  };
  return self;
}

/**
 * Firefox with a fresh profile.
 * @param {string} executablePath
 * @param {Record<string, unknown>} preferences
 */
export async function launch(executablePath, preferences) {
  const browser = await start(executablePath, preferences);
  return {
    newContext: async () => contextOf(await browser.createBrowserContext()),
    close: () => browser.close(),
  };
}

/**
 * Firefox with a persistent profile. It can be killed, and told to collect garbage in all of its processes.
 * @param {string} executablePath
 * @param {Record<string, unknown>} preferences
 * @param {string} profile a folder
 */
export async function launchAt(executablePath, preferences, profile) {
  const browser = await start(executablePath, preferences, profile);
  const main = browser.process();
  const ended = new Promise((resolve) => main?.on('exit', resolve));
  return {
    context: contextOf(browser.defaultBrowserContext()),
    pid: main?.pid,
    async kill() {
      // Its processes are a group.
      if (main?.pid && main.exitCode === null && main.signalCode === null) process.kill(-main.pid, 'SIGKILL');
      await ended;
    },
    collectGarbage: () =>
      runInBrowser(browser, `Services.obs.notifyObservers(null, 'child-mmu-request')`).then(() => {}),
  };
}

/**
 * Takes away Firefox's listener to workers, which WebDriver BiDi adds to every process. With it, one in a hundred calls of
 * `new Worker` inside a worker never returns (Firefox 153); without it, or without a driver, all do. A Firefox that has
 * no such listener answers with an exception, which is of no interest.
 * @param {import('puppeteer-core').Browser} browser
 */
async function stopListeningToWorkers(browser) {
  const script = 'chrome://remote/content/shared/js-process-actors/WebDriverWorkerListenerActor.sys.mjs';
  await runInBrowser(
    browser,
    `ChromeUtils.importESModule('${script}').unregisterWebDriverWorkerListenerActor()`,
  );
}

/** Runs a script of Firefox's own, not of a page. @param {import('puppeteer-core').Browser} browser @param {string} expression */
async function runInBrowser(browser, expression) {
  /** @type {{send: (method: string, parameters: object) => Promise<any>}} */
  const connection = /** @type {any} */ (browser).connection;
  const tree = await connection.send('browsingContext.getTree', { 'moz:scope': 'chrome' });
  const [{ context }] = tree.result.contexts;
  return connection.send('script.evaluate', { target: { context }, expression, awaitPromise: false });
}

/** @param {import('puppeteer-core').Page} page @returns {Tab} */
function tabOf(page) {
  /** @type {string[]} */
  const problems = [];
  page.on('pageerror', (error) => problems.push(String(error)));
  page.on('console', (message) => message.type() === 'error' && problems.push(message.text()));
  return {
    goto: async (url) => void (await page.goto(url)),
    reload: async () => void (await page.reload()),
    close: () => page.close(),
    // Firefox collects a promise that it awaits for the driver, unless the page holds it too.
    run: (body) =>
      page
        .evaluate(
          `(() => {
            const pending = (globalThis.siglipPending ??= new Set());
            const promise = (async () => { ${body} })();
            pending.add(promise);
            return promise.finally(() => pending.delete(promise));
          })()`,
        )
        .then(String),
    async handle(expression) {
      const handle = /** @type {import('puppeteer-core').ElementHandle<HTMLInputElement>} */ (
        (await page.evaluateHandle(expression)).asElement()
      );
      return { click: () => handle.click(), setFiles: (paths) => handle.uploadFile(...paths) };
    },
    type: (keys) => page.keyboard.type(keys),
    async press(keys) {
      const [key, ...modifiers] = /** @type {import('puppeteer-core').KeyInput[]} */ (
        keys.split('+').reverse()
      );
      for (const modifier of modifiers) await page.keyboard.down(modifier);
      await page.keyboard.press(key === 'Space' ? ' ' : key);
      for (const modifier of modifiers) await page.keyboard.up(modifier);
    },
    problems: async () => problems,
  };
}
