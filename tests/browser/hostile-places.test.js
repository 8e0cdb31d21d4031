/** <siglip-classifier> where pages restrict what scripts may do, and where networks fail. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { after, afterEach, before, test } from 'node:test';
import { Harness, fileAt, openIn, problemsOf } from './harness.js';
import { Server, reporter } from './server.js';

/** @typedef {import('playwright-core').Page | import('playwright-core').Frame} Place */

const harness = new Harness();
/** Another site, which holds the copy of www/. */
let foreign = new Server();
before(async () => {
  foreign = await Server.start({ 'access-control-allow-origin': '*' });
});
after(() => foreign.close());
afterEach(() => {
  foreign.intercept = () => false;
});

const element = '<siglip-classifier labels="a cat, a boat" loading="eager"></siglip-classifier>';

/**
 * A document with the element in it.
 * @param {string} body
 * @param {string} [origin] where the script comes from; from the page's own without it
 * @param {string} [head]
 */
const documentWith = (body, origin = '', head = '') =>
  `<!doctype html><html lang="en"><meta charset="utf-8"><title>Host</title><link rel="icon" href="data:," />
   ${head}<script type="module" src="${origin}/www/siglip-classifier.js"></script><body>${body}`;

/**
 * Serves documents, by path, and opens the first.
 * @param {Record<string, {html: string, headers?: Record<string, string>}>} documents
 */
async function open(documents) {
  const page = await harness.open({ path: '/tests/browser/pages/blank.html' });
  harness.server.intercept = (path, response) => {
    const found = documents[path];
    if (!found) return false;
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8', ...found.headers });
    response.end(found.html);
  };
  return openIn(page.context(), `${harness.server.origin}${Object.keys(documents)[0]}`);
}

/** Chooses a picture, and returns the labels that the element then shows. @param {Place} place */
async function labelsIn(place) {
  await place.locator('siglip-classifier input[type=file]').setInputFiles(fileAt('www/samples/cat.jpg'));
  const labels = place.locator('siglip-classifier [part=label]');
  await labels.first().waitFor();
  return labels.allTextContents();
}

/** The frame of a page. @param {import('./harness.js').Page} page */
async function frameOf(page) {
  const frame = await (await page.waitForSelector('iframe')).contentFrame();
  assert.ok(frame);
  return frame;
}

test('in a sandboxed frame, which has no origin and no storage', async () => {
  const page = await open({
    '/host': {
      html: '<!doctype html><title>Host</title><iframe sandbox="allow-scripts" src="/frame"></iframe>',
    },
    '/frame': { html: documentWith(element, foreign.origin) },
  });
  const frame = await frameOf(page);
  assert.equal(await frame.evaluate(() => origin), 'null');
  assert.deepEqual(await labelsIn(frame), ['a cat', 'a boat']);
});

test("in another site's frame, whose storage is partitioned", async () => {
  // Another name of this machine is another site.
  const other = foreign.origin.replace('127.0.0.1', 'localhost');
  foreign.intercept = (path, response) => {
    if (path !== '/frame') return false;
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' });
    response.end(documentWith(element));
  };
  const page = await open({
    '/host': { html: `<!doctype html><title>Host</title><iframe src="${other}/frame"></iframe>` },
  });
  assert.deepEqual(await labelsIn(await frameOf(page)), ['a cat', 'a boat']);
});

test('on a page that is isolated from other origins, with one worker and with threads', async () => {
  const headers = {
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-embedder-policy': 'require-corp',
  };
  const two = element.replace('loading', 'workers="2" loading');
  for (const [body, origin] of [
    [element, foreign.origin],
    [two, foreign.origin],
    [two, ''],
  ]) {
    // A worker of the page's own origin has to be isolated, too.
    const blank = await harness.open({ path: '/tests/browser/pages/blank.html', headers });
    harness.server.intercept = (path, response) => {
      if (path !== '/host') return false;
      response.writeHead(200, { 'content-type': 'text/html; charset=utf-8', ...headers });
      response.end(documentWith(body, origin, reporter.replace('src="', `src="${origin}`)));
    };
    const page = await openIn(blank.context(), `${harness.server.origin}/host`);
    assert.equal(await page.evaluate(() => crossOriginIsolated), true);
    assert.deepEqual(await labelsIn(page), ['a cat', 'a boat']);
    assert.deepEqual(await problemsOf(page), []);
  }
});

test('on a page that enforces Trusted Types, which allows the policy `siglip-web`', async () => {
  const headers = {
    'content-security-policy': "require-trusted-types-for 'script'; trusted-types siglip-web",
  };
  const two = element.replace('loading', 'workers="2" loading');
  for (const [body, origin] of [
    [element, ''],
    [two, ''],
    [element, foreign.origin],
    [two, foreign.origin],
  ]) {
    const page = await open({
      '/host': { html: documentWith(body, origin, reporter.replace('src="', `src="${origin}`)), headers },
    });
    assert.deepEqual(await labelsIn(page), ['a cat', 'a boat']);
    // Whether a page enforces them can only be found out by trying.
    const others = (await problemsOf(page)).filter((problem) => !problem.includes('TrustedScriptURL'));
    assert.deepEqual(others, []);
  }
});

test('Trusted Types without that policy keep the worker back, and the error names the policy', async () => {
  const headers = { 'content-security-policy': "require-trusted-types-for 'script'; trusted-types 'none'" };
  const page = await open({ '/host': { html: documentWith(element), headers } });
  await page.getByText('trusted-types siglip-web').waitFor();
});

test('in a shadow root inside of a shadow root, made before the script', async () => {
  const page = await open({
    '/host': {
      html: documentWith(
        `<div id="outer"><template shadowrootmode="open"><div id="inner">
        <template shadowrootmode="open">${element}</template></div></template></div>`,
        '',
        reporter,
      ),
    },
  });
  assert.deepEqual(await labelsIn(page), ['a cat', 'a boat']);
  assert.deepEqual(await problemsOf(page), []);
});

test('on a page that adds to the prototypes of arrays and objects', async () => {
  const additions = `<script>
    Array.prototype.remove = function () {};
    Object.prototype.extend = function () {};
    String.prototype.format = function () {};
  </script>`;
  const page = await open({ '/host': { html: documentWith(element, '', reporter + additions) } });
  assert.deepEqual(await labelsIn(page), ['a cat', 'a boat']);
  assert.deepEqual(await problemsOf(page), []);
});

test('on a page that is a file, the element works from a server that allows every site', async () => {
  const path = join(tmpdir(), `siglip-web-${process.pid}.html`);
  writeFileSync(path, documentWith(element, foreign.origin));
  const blank = await harness.open({ path: '/tests/browser/pages/blank.html' });
  const page = await blank.context().newPage();
  await page.goto(pathToFileURL(path).href);
  assert.deepEqual(await labelsIn(page), ['a cat', 'a boat']);
});

test('index.html that is opened as a file says that it has to be served', async () => {
  const blank = await harness.open({ path: '/tests/browser/pages/blank.html' });
  const page = await blank.context().newPage();
  await page.goto(pathToFileURL(fileAt('index.html')).href);
  await page.getByText('cargo xtask serve').waitFor();
  // A page that starts hides it.
  await blank.goto(harness.server.origin);
  await blank.waitForFunction(() => 'started' in document.documentElement.dataset);
  assert.equal(await blank.getByText('cargo xtask serve').isVisible(), false);
});

test('a host that answers slowly, and one that fails in the middle', async () => {
  const blank = await harness.open({ path: '/tests/browser/pages/blank.html' });
  let fails = true;
  foreign.intercept = (path, response) => {
    if (!fails || path !== '/www/worker.js') return false;
    setTimeout(() => response.writeHead(503).end(), 500);
  };
  harness.server.intercept = (path, response) => {
    if (path !== '/host') return false;
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' });
    response.end(documentWith(element, foreign.origin));
  };
  const page = await openIn(blank.context(), `${harness.server.origin}/host`);
  await page.getByText('worker.js could not be started').waitFor();
  fails = false;
  await page.getByRole('button', { name: 'Try again' }).click();
  assert.deepEqual(await labelsIn(page), ['a cat', 'a boat']);
});
