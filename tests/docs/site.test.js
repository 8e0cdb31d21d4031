/** The documentation's site in target/docs/: its links, its examples under a sub-path, its width on a phone, its table of sizes. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { buildSizes, scriptSizes } from '../../scripts/docs/sizes.js';
import { launchChromium } from '../browser/browsers.js';
import { fileAt, openIn, problemsOf } from '../browser/harness.js';
import { serve } from '../npm/site.js';

const site = fileAt('target/docs');
const pages = readdirSync(site, { recursive: true, encoding: 'utf8' }).filter(
  (name) => name.endsWith('.html') && !/^(page|rust)\b/.test(name),
);

/** @type {import('playwright-core').Browser} */
let browser;
/** The site is in a folder of this one. @type {Awaited<ReturnType<typeof serve>>} */
let host;
before(async () => {
  browser = await launchChromium();
  host = await serve(dirname(site));
});
after(async () => {
  await browser.close();
  host.close();
});

/** Where links out of the documentation lead. */
const repository = /^repository = "(.+)"$/m.exec(readFileSync(fileAt('Cargo.toml'), 'utf8'))?.[1];

test('every link leads to a page or a file, and every fragment to a place on it', () => {
  const html = new Map(pages.map((name) => [name, readFileSync(join(site, name), 'utf8')]));
  /** @type {string[]} */
  const broken = [];
  let count = 0;
  for (const [name, text] of html) {
    const markup = text.replace(/<code\b.*?<\/code>/gs, '');
    for (const [, address] of markup.matchAll(/\s(?:href|src)="([^"]+)"/g)) {
      const [, file] = address.split(new RegExp(`^${repository}/(?:blob|tree)/main/([^#]+)`));
      if (file && !existsSync(fileAt(file))) broken.push(`${name}: ${address}`);
      if (/^(\w+:|\/\/)/.test(address)) continue;
      const { pathname, hash } = new URL(address.replaceAll('&amp;', '&'), `http://site/${name}`);
      const path = decodeURIComponent(pathname)
        .slice(1)
        .replace(/(^|\/)$/, '$1index.html');
      count++;
      const target = html.get(path);
      const fragment = decodeURIComponent(hash.slice(1));
      if (!existsSync(join(site, path))) broken.push(`${name}: ${address}`);
      else if (target && fragment && !target.includes(`id="${fragment}"`)) broken.push(`${name}: ${address}`);
    }
  }
  assert.ok(count > 1000, `${count} links`);
  assert.deepEqual(broken, []);
});

/** A page of the site. @param {string} name @param {import('playwright-core').BrowserContextOptions} [options] */
async function open(name, options) {
  const context = await browser.newContext(options);
  return openIn(context, `${host.origin}/docs/${name}`);
}

test('the examples run on the page, in any folder of a host', async () => {
  const page = await open('quick-start-page.html');
  const element = page.locator('siglip-classifier').first();
  await element.getByRole('button', { name: 'Load the model' }).click();
  await element.locator('[part~=score]').first().waitFor();
  assert.equal(await element.locator('[part~=label]').first().textContent(), 'a cat');
  await page.getByRole('button', { name: 'Run' }).click();
  await page.locator('.live output', { hasText: 'a cat\n2' }).waitFor();
  assert.deepEqual(
    host.log.filter((path) => !path.startsWith('/docs/')),
    [],
  );
  assert.deepEqual(await problemsOf(page), []);
});

test('the diagrams are drawn', async () => {
  const page = await open('architecture.html');
  await page.waitForFunction(() => document.querySelectorAll('pre.mermaid > svg').length === 5);
  assert.deepEqual(await problemsOf(page), []);
});

test('no page is wider than a phone', async () => {
  // Scripts would take a second for each page.
  const page = await open('index.html', { viewport: { width: 390, height: 800 }, javaScriptEnabled: false });
  for (const name of pages) {
    if (/(^|\/)toc\.html$/.test(name)) continue;
    await page.goto(`${host.origin}/docs/${name}`);
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(width <= 390, `${name} is ${width} pixels wide`);
  }
});

test('the engine and the scripts have not grown by a tenth since their sizes were recorded', async () => {
  const recorded = readFileSync(fileAt('docs/sizes.md'), 'utf8');
  for (const { name, raw } of [...(await buildSizes(false)), ...(await scriptSizes())]) {
    const [, cells] = recorded.split(`| ${name} | `);
    const known = Number((cells ?? '').split(' | ')[0].replaceAll(',', ''));
    const advice = `${name} has ${raw} bytes, not ${known}: run \`cargo xtask docs --record\``;
    assert.ok(raw <= 1.1 * known, advice);
  }
});
