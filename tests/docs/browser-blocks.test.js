/** Runs the scripts and the HTML of the documentation in Chromium, with small models in the place of published ones. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { after, before, test } from 'node:test';
import { launchChromium } from '../browser/browsers.js';
import { fileAt, openIn, problemsOf } from '../browser/harness.js';
import { Server } from '../browser/server.js';
import { givenFor } from './given.js';
import { blocks, executable, printed } from './pages.js';

/** @type {import('playwright-core').Browser} */
let browser;
/** One context for all pages, so that the embedded model is downloaded once. @type {import('playwright-core').BrowserContext} */
let context;
/** @type {Server} */
let server;

/** What the pages load from beside them. @type {Record<string, string>} */
const beside = {
  'animals.gguf': 'target/docs-test/animals.gguf',
  'classes.json': 'tests/fixtures/classes/means.json',
  'pictures/pictures.siglip-index': 'target/docs-test/pictures.siglip-index',
};

/** The file that stands for one of a published model. @param {string} address */
function modelFile(address) {
  const { hostname, pathname } = new URL(address);
  const file = pathname.replace(/^.*?\/resolve\/[^/]+\//, '').replace(/^\/models\/[^/]+\//, '');
  if (pathname.endsWith('.gguf')) return 'tests/fixtures/bundles/whole-q8_0.gguf';
  if (/^\/(Xenova|onnx-community)\//.test(pathname)) {
    const export_ = pathname.startsWith('/Xenova') ? 'raw' : 'slim';
    return `tests/fixtures/onnx/${file.replace('onnx/', `${export_}/`)}`;
  }
  if (hostname === 'huggingface.co' && pathname.startsWith('/prithivMLmods'))
    return `tests/fixtures/random-classifier/${file}`;
  // Its patches fit the resolutions that the documentation asks for.
  if (pathname.includes('base-patch16-224')) return `www/models/tiny/${file}`;
  return `tests/fixtures/${pathname.includes('naflex') ? 'random-naflex' : 'random-small'}/${file}`;
}

before(async () => {
  // An index of an earlier embedded model would be refused.
  await rm(fileAt('target/docs-test'), { recursive: true, force: true });
  await mkdir(fileAt('target/docs-test'), { recursive: true });
  await writeFile(fileAt('target/docs-test/animals.txt'), 'a cat\na dog\na horse\n');
  const siglip = (/** @type {string[]} */ ...parameters) =>
    execFileSync(fileAt('target/debug/siglip'), parameters, {
      cwd: fileAt('.'),
      stdio: ['ignore', 'ignore', 'pipe'],
    });
  siglip('bundle', 'www/models/tiny', beside['animals.gguf'], '--labels', 'target/docs-test/animals.txt');
  siglip('index', 'www/samples', '-o', beside['pictures/pictures.siglip-index']);
  server = await Server.start();
  server.intercept = async (path, response) => {
    const name = path.slice(1);
    const file =
      beside[name] ?? (/^(pictures\/)?\w+\.jpg$/.test(name) ? `www/samples/${basename(name)}` : undefined);
    const generated = served.get(path);
    if (!file && generated === undefined) return false;
    if (generated !== undefined) {
      response.setHeader('content-type', path.endsWith('.js') ? 'text/javascript' : 'text/html');
      response.end(generated);
    } else response.end(await readFile(fileAt(/** @type {string} */ (file))));
  };
  browser = await launchChromium();
  context = await browser.newContext();
  await context.route(
    /^https:\/\/(huggingface\.co|mirror\.example\.org|example\.org\/models)\//,
    async (route) => {
      const headers = { 'access-control-allow-origin': '*', 'access-control-allow-headers': '*' };
      const body = await readFile(fileAt(modelFile(route.request().url()))).catch(() => undefined);
      await route.fulfill(body ? { body, headers } : { status: 404, headers });
    },
  );
});

after(async () => {
  await browser.close();
  await server.close();
});

/** The pages and scripts of the block that runs. @type {Map<string, string>} */
const served = new Map();

/** A copy on another site is here this one. @param {string} code */
const local = (code) => code.replaceAll('https://example.org/siglip/', '/');

const importMap = JSON.stringify({
  imports: {
    'siglip-web': '/target/npm/siglip-web/siglip.js',
    'siglip-web/element': '/target/npm/siglip-web/element.js',
    'siglip-web/tiny': '/target/npm/siglip-web/tiny.js',
    'siglip-web/transformers': '/target/npm/siglip-web/transformers.js',
  },
});

/** A page with this in its body. @param {string} body */
function open(body) {
  served.set(
    '/block.html',
    `<!doctype html><meta charset="utf-8"><title>A block</title><script type="importmap">${importMap}</script><body>${body}`,
  );
  return openIn(context, `${server.origin}/block.html`);
}

/** The page of the scripts, which share a model. @type {import('playwright-core').Page | undefined} */
let shared;

for (const [i, { at, code }] of executable('js').entries()) {
  if (code.includes('siglip-web/node') || code.startsWith('// sw.js')) continue;
  test(`${at}, a script`, { timeout: 60_000 }, async () => {
    const script = local(code);
    served.set(`/block-${i}.js`, givenFor(script) + script);
    const page = script.includes("querySelector('siglip-classifier')")
      ? await open('<siglip-classifier></siglip-classifier>')
      : (shared ??= await open(''));
    /** @type {string[]} */
    const output = [];
    const listen = (/** @type {import('playwright-core').ConsoleMessage} */ message) =>
      message.type() === 'log' && output.push(message.text());
    page.on('console', listen);
    await page.evaluate((address) => import(address), `/block-${i}.js`);
    page.off('console', listen);
    if (printed(code).length) assert.deepEqual(output, printed(code));
    assert.deepEqual(await problemsOf(page), []);
  });
}

for (const { at, code } of executable('html')) {
  test(`${at}, a page`, { timeout: 60_000 }, async () => {
    const script = '<script type="module" src="/www/siglip-classifier.js"></script>';
    const page = await open((code.includes('<script') ? '' : script) + local(code));
    if (code.includes('<siglip-search')) {
      const search = page.locator('siglip-search');
      await search.getByRole('searchbox').fill('a cat');
      await search.getByRole('button', { name: 'Search' }).click();
      await search.locator('[part~=item]').first().waitFor();
      return;
    }
    const labels = await page.evaluate(async () => {
      await customElements.whenDefined('siglip-classifier');
      const element = /** @type {import('../../www/siglip-classifier.js').SiglipClassifier} */ (
        document.querySelector('siglip-classifier')
      );
      /** @type {Promise<string[]>} */
      const answered = new Promise((resolve, reject) => {
        element.addEventListener('result', (event) => {
          const { scores } = /** @type {CustomEvent} */ (event).detail;
          resolve(scores.map((/** @type {{label: string}} */ { label }) => label));
        });
        element.addEventListener('error', (event) =>
          reject(new Error(/** @type {any} */ (event).detail.message)),
        );
      });
      if (!element.hasAttribute('src')) element.add('/cat.jpg');
      await element.load();
      return answered;
    });
    assert.ok(labels.length > 0, 'no scores');
    assert.deepEqual(await problemsOf(page), []);
    await page.close();
  });
}

test('the service worker of the documentation answers without a network', async () => {
  const block = blocks.find(({ code }) => code.startsWith('// sw.js'));
  assert.ok(block, 'no service worker');
  served.set('/sw.js', block.code);
  const page = await open('');
  const classify = () =>
    page.evaluate(async () => {
      const { Siglip } = await import('/www/siglip.js');
      const siglip = await Siglip.load();
      const [best] = await siglip.classify(document.createElement('canvas'), ['a cat']);
      siglip.dispose();
      return best.label;
    });
  await page.evaluate(async () => {
    await navigator.serviceWorker.register('/sw.js');
    await navigator.serviceWorker.ready;
  });
  await page.reload();
  assert.equal(await classify(), 'a cat');
  const requests = server.log.length;
  await server.close();
  assert.equal(await classify(), 'a cat');
  assert.equal(server.log.length, requests);
});

test('every block is run, or says why not', (t) => {
  const languages = new Set(blocks.map(({ language }) => language));
  const known = ['', 'caddyfile', 'console', 'html', 'js', 'json', 'mermaid', 'nginx', 'sh', 'text'];
  assert.deepEqual(
    [...languages].filter((language) => !known.includes(language)),
    [],
  );
  for (const { at, code } of executable('json')) assert.doesNotThrow(() => JSON.parse(code), at);
  for (const { at, notRun } of blocks) {
    if (notRun === undefined) continue;
    assert.ok(notRun.length > 10, `${at} is not run and does not say why`);
    t.diagnostic(`${at} is not run: ${notRun}`);
  }
});
