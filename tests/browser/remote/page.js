/**
 * A page of a browser that Playwright does not drive, with the part of Playwright's interface that the tests use: what
 * is written for one browser runs in all. A tab runs scripts and hands over native input; the rest is done in the page.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';
import { folderParts, putFiles } from './files.js';

/** @typedef {import('./in-page.js').Step} Step */

/**
 * What a browser's driver has to offer for a tab.
 * @typedef {object} Tab
 * @property {(url: string) => Promise<void>} goto
 * @property {() => Promise<void>} reload
 * @property {() => Promise<void>} close
 * @property {(body: string) => Promise<string>} run the body of an async function that returns a string
 * @property {(expression: string) => Promise<Handle>} handle of the element that an expression gives
 * @property {(keys: string) => Promise<void>} type into what has the focus
 * @property {(key: string) => Promise<void>} press a key by its name, perhaps with a modifier: `Control+Home`
 * @property {() => Promise<string[]>} problems uncaught exceptions and complaints in the console so far
 */
/** An element. @typedef {{click: () => Promise<void>, setFiles: (paths: string[]) => Promise<void>}} Handle */

/** How long an element is waited for, in milliseconds. */
const TIMEOUT = 60_000;
const POLL = 30;

const downloads = mkdtempSync(join(tmpdir(), 'siglip-downloads-'));
process.once('exit', () => rmSync(downloads, { recursive: true, force: true }));
let downloadCount = 0;

const engine = buildSync({
  entryPoints: [fileURLToPath(new URL('./in-page.js', import.meta.url))],
  bundle: true,
  write: false,
  format: 'iife',
  globalName: 'siglipTest',
}).outputFiles[0].text;

/** JSON, but for what it lacks. Runs in the page too. @param {unknown} value */
function encode(value) {
  const special = (/** @type {unknown} */ value) => ({ $: String(value) });
  return JSON.stringify({ value }, (_, value) => {
    if (value === undefined || (typeof value === 'number' && !Number.isFinite(value))) return special(value);
    return value;
  });
}

/** @param {string} text */
function decode(text) {
  /** @type {Record<string, unknown>} */
  const specials = { undefined, NaN: NaN, Infinity: Infinity, '-Infinity': -Infinity };
  const revive = (/** @type {any} */ value) => {
    if (value === null || typeof value !== 'object') return value;
    if (typeof value.$ === 'string' && value.$ in specials) return specials[value.$];
    for (const key of Object.keys(value)) value[key] = revive(value[key]);
    return value;
  };
  return revive(JSON.parse(text)).value;
}

/** @param {string | RegExp} text @param {boolean} [exact] the whole text, and no other case */
const toText = (text, exact) => {
  if (typeof text !== 'string') return { source: text.source, flags: text.flags };
  return exact ? { source: `^${text.replace(/[^\w\s]/g, '\\$&')}$`, flags: '' } : text;
};

export class RemotePage {
  #tab;
  #context;
  #url = '';

  /**
   * @param {Tab} tab
   * @param {unknown} context
   */
  constructor(tab, context) {
    this.#tab = tab;
    this.#context = context;
    this.keyboard = { press: tab.press, type: tab.type };
  }

  context() {
    return this.#context;
  }

  url() {
    return this.#url;
  }

  /** @param {string} url */
  async goto(url) {
    this.#url = url;
    await this.#tab.goto(url);
  }

  async reload() {
    await this.#tab.reload();
  }

  async close() {
    await this.#tab.close();
  }

  problems() {
    return this.#tab.problems();
  }

  /**
   * The next file that the page gives to the visitor. These browsers have no driver for it: what the page's link would save is taken
   * from the link.
   * @param {'download'} _
   */
  async waitForEvent(_) {
    await this.evaluate(() => {
      const { click } = HTMLAnchorElement.prototype;
      const globals = /** @type {any} */ (globalThis);
      globals.siglipDownload = undefined;
      HTMLAnchorElement.prototype.click = function () {
        if (!this.download) return click.call(this);
        HTMLAnchorElement.prototype.click = click;
        const { download: name, href } = this;
        const bytes = fetch(href).then((response) => response.arrayBuffer());
        bytes.then((bytes) => {
          const binary = Array.from(new Uint8Array(bytes), (byte) => String.fromCharCode(byte)).join('');
          globals.siglipDownload = { name, base64: btoa(binary) };
        });
      };
    });
    const taken = () => this.#evaluate('globalThis.siglipDownload');
    const { name, base64 } = await until(taken, 'a download');
    return {
      suggestedFilename: () => name,
      path: async () => {
        const path = join(downloads, String(downloadCount++));
        await writeFile(path, base64, 'base64');
        return path;
      },
    };
  }

  /** @param {number} milliseconds */
  waitForTimeout = (milliseconds) => sleep(milliseconds);

  /**
   * A function, with an argument that JSON can carry; an expression in parentheses; or statements, which give no result.
   * @param {string | ((arg: any) => unknown)} script
   * @param {unknown} [arg]
   */
  async evaluate(script, arg) {
    const isText = typeof script === 'string';
    if (isText && script.startsWith('(')) return this.#evaluate(script);
    return this.#evaluate(isText ? `(() => { ${script} })()` : `(${script})(${JSON.stringify(arg) ?? ''})`);
  }

  /** An expression, not through eval(), which a page's policy may forbid. @param {string} expression */
  async #evaluate(expression) {
    const body = `
      const encode = ${encode};
      try { return encode({ result: await ${expression} }); }
      catch (error) { return encode({ error: { name: error?.name, message: String(error?.message ?? error), stack: error?.stack } }); }`;
    const { result, error } = decode(await this.#tab.run(body));
    if (error) throw Object.assign(new Error(`page: ${error.message}`), { pageStack: error.stack });
    return result;
  }

  /**
   * @param {(arg: any) => unknown} predicate
   * @param {unknown} [arg]
   */
  async waitForFunction(predicate, arg) {
    const holds = `Boolean(await (${predicate})(${JSON.stringify(arg) ?? ''}))`;
    await until(() => this.#evaluate(holds), `${predicate}`);
  }

  /** @param {string} expression over `elements`, those that the steps find @param {Step[]} steps */
  async query(steps, expression) {
    const body = `const elements = siglipTest.find(${JSON.stringify(steps)}); return (${expression})`;
    const code = `(globalThis.siglipTest ? (() => { ${body} })() : 'no engine')`;
    const answer = await this.#evaluate(code);
    if (answer !== 'no engine') return answer;
    await this.evaluate(`${engine}; globalThis.siglipTest = siglipTest;`);
    return this.#evaluate(code);
  }

  /** The driver's own hold of the element that the steps find. @param {Step[]} steps */
  async handle(steps) {
    return this.#tab.handle(`siglipTest.find(${JSON.stringify(steps)})[0]`);
  }

  /** @param {string} keys */
  type = (keys) => this.#tab.type(keys);
  /** @param {string} key */
  press = (key) => this.#tab.press(key);

  locator = locating(() => new RemoteLocator(this, [])).locator;
  getByText = locating(() => new RemoteLocator(this, [])).getByText;
  getByLabel = locating(() => new RemoteLocator(this, [])).getByLabel;
  getByRole = locating(() => new RemoteLocator(this, [])).getByRole;
}

/** The code of a driver's error: what was asked of a document is lost with it. */
export const NAVIGATED = 'navigated';

/**
 * A value in place of what was asked of a document that is gone.
 * @template T
 * @param {T} value
 * @returns {(error: {code?: string}) => T}
 */
const ifNavigated = (value) => (error) => {
  if (error.code !== NAVIGATED) throw error;
  return value;
};

/**
 * Waits before something is looked at once more. A look takes the browser's time too: what takes long is looked at less and less often.
 * @param {number} shortest in milliseconds
 * @param {number} begun when it was first looked at
 */
export const untilNextLook = (shortest, begun) => sleep(shortest + (Date.now() - begun) / 10);

/**
 * Waits until something is true. What is lost with a document is asked of the next one.
 * @template T
 * @param {() => Promise<T>} look
 * @param {string} what
 */
async function until(look, what) {
  const begun = Date.now();
  for (;;) {
    const value = await look().catch(ifNavigated(undefined));
    if (value) return value;
    if (Date.now() > begun + TIMEOUT) throw new Error(`not within ${TIMEOUT} ms: ${what}`);
    await untilNextLook(POLL, begun);
  }
}

/**
 * @typedef {{hasText?: string | RegExp, has?: RemoteLocator}} Filter
 * @param {Filter} filter @returns {Step[]}
 */
const filters = ({ hasText, has }) => [
  ...(hasText === undefined ? [] : [{ hasText: toText(hasText) }]),
  ...(has ? [{ has: has.steps }] : []),
];

/** @typedef {{exact?: boolean}} Exactness */
/** The ways to an element, for a page and for a locator. @param {() => RemoteLocator} start */
function locating(start) {
  return {
    locator: (/** @type {string} */ css, /** @type {Filter} */ filter = {}) =>
      start().with({ css }, ...filters(filter)),
    getByText: (/** @type {string | RegExp} */ text, /** @type {Exactness} */ { exact } = {}) =>
      start().with({ text: toText(text, exact) }),
    getByLabel: (/** @type {string | RegExp} */ label, /** @type {Exactness} */ { exact } = {}) =>
      start().with({ label: toText(label, exact) }),
    getByRole: (
      /** @type {string} */ role,
      /** @type {{name?: string | RegExp} & Exactness} */ { name, exact } = {},
    ) => start().with({ role, ...(name === undefined ? {} : { name: toText(name, exact) }) }),
  };
}

export class RemoteLocator {
  #page;
  /** @type {Step[]} */
  steps;

  /**
   * @param {RemotePage} page
   * @param {Step[]} steps
   */
  constructor(page, steps) {
    this.#page = page;
    this.steps = steps;
    Object.assign(
      this,
      locating(() => this),
    );
  }

  /** @param {...Step} steps */
  with(...steps) {
    return new RemoteLocator(this.#page, [...this.steps, ...steps]);
  }

  first = () => this.with({ nth: 0 });
  last = () => this.with({ nth: -1 });
  /** @param {number} n */
  nth = (n) => this.with({ nth: n });
  /** @param {Filter} filter */
  filter = (filter) => this.with(...filters(filter));
  count = () => this.#query('elements.length');
  all = async () => Array.from({ length: await this.count() }, (_, n) => this.nth(n));
  allTextContents = () => this.#query('elements.map((element) => element.textContent)');
  allInnerTexts = () => this.#query('elements.map((element) => element.innerText)');
  isVisible = () => this.#query('elements.length > 0 && siglipTest.isVisible(elements[0])');
  isHidden = async () => !(await this.isVisible());

  /** @param {(elements: Element[]) => unknown} script */
  evaluateAll = (script) => this.#query(`(${script})(elements)`);

  /** @param {{state?: 'visible' | 'attached' | 'hidden' | 'detached'}} [options] */
  async waitFor({ state = 'visible' } = {}) {
    const visible = 'elements.some(siglipTest.isVisible)';
    const wanted = {
      visible,
      attached: 'elements.length > 0',
      hidden: `!${visible}`,
      detached: 'elements.length === 0',
    }[state];
    await until(() => this.#query(wanted), `${JSON.stringify(this.steps)} ${state}`);
  }

  boundingBox = () =>
    this.#one('(({ x, y, width, height }) => ({ x, y, width, height }))(element.getBoundingClientRect())');
  /** @param {(element: any, arg: any) => unknown} script @param {unknown} [arg] */
  evaluate = (script, arg) => this.#one(`(${script})(element, ${JSON.stringify(arg)})`);
  textContent = () => this.#one('element.textContent');
  innerText = () => this.#one('element.innerText');
  inputValue = () => this.#one('element.value');
  /** @param {string} name */
  getAttribute = (name) => this.#one(`element.getAttribute(${JSON.stringify(name)})`);
  focus = () => this.#one('element.focus()');
  scrollIntoViewIfNeeded = () => this.#one("element.scrollIntoView({ block: 'center' })");

  /** @param {string | {index: number}} option its value, its text or its place */
  selectOption = (option) =>
    this.#one(`(element.selectedIndex = ((wanted) => wanted.index ?? [...element.options].findIndex(
      ({ value, label }) => value === wanted || label === wanted))(${JSON.stringify(option)}), ${events('input', 'change')})`);

  /** @param {string} value */
  fill = (value) =>
    this.#one(`element.type === 'range'
      ? (element.value = ${JSON.stringify(value)}, ${events('input', 'change')})
      : (element.focus(), element.select(),
          document.execCommand(${value ? `'insertText', false, ${JSON.stringify(value)}` : "'delete'"}))`);

  async click() {
    await this.waitFor();
    await this.#isStill();
    // The page may still have moved in between: a click that the element has not got is repeated.
    const click = async () => {
      await this.#one(`(globalThis.siglipClicked = false, element.addEventListener('click',
        () => { globalThis.siglipClicked = true; }, { once: true, capture: true }))`);
      await (await this.#page.handle(this.steps)).click();
      const hasIt = this.#page.evaluate(() => /** @type {any} */ (globalThis).siglipClicked !== false);
      // Where the page has gone to another address, the click was on a link.
      return await hasIt.catch(ifNavigated(true));
    };
    await until(click, `${JSON.stringify(this.steps)} clicked`);
  }

  check = async () => {
    if (!(await this.#one('element.checked'))) await this.click();
  };

  /** @param {string | string[]} paths */
  async setInputFiles(paths) {
    await this.#one('undefined');
    const [path, ...more] = [paths].flat();
    if (!more.length && (await stat(path)).isDirectory()) {
      await this.#one(`(${putFiles})(element, ${JSON.stringify(await folderParts(path))})`);
    } else await (await this.#page.handle(this.steps)).setFiles([path, ...more]);
  }

  /** @param {string} key */
  async press(key) {
    await this.focus();
    await this.#page.press(key);
  }

  /** @param {string} text */
  async pressSequentially(text) {
    await this.focus();
    await this.#page.type(text);
  }

  /** Waits until two looks find the element in the same place: a click goes to a place, and a page moves as it loads. */
  async #isStill() {
    let last = '';
    const look = async () => {
      const before = last;
      last = await this.#one('JSON.stringify(element.getBoundingClientRect())');
      return last === before;
    };
    await until(look, `${JSON.stringify(this.steps)} still`);
  }

  /** @param {string} expression over `elements` */
  #query = (expression) => this.#page.query(this.steps, expression);

  /** Waits until there is one element, no more. @param {string} expression over `element` */
  async #one(expression) {
    await this.waitFor({ state: 'attached' });
    const count = await this.count();
    if (count !== 1) throw new Error(`${count} elements, not one: ${JSON.stringify(this.steps)}`);
    return this.#query(`((element) => ${expression})(elements[0])`);
  }
}

/** @param {...string} types */
const events = (...types) =>
  types.map((type) => `element.dispatchEvent(new Event('${type}', { bubbles: true }))`).join();
