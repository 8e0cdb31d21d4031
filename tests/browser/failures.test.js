/** Errors, aborts and disposal in siglip.js. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Harness, untilWorkers, workersAlive } from './harness.js';
import { FakeHub, small } from './weights/fake-hub.js';

const harness = new Harness();
const open = () => harness.open({ path: '/tests/browser/pages/blank.html' });

/** The longest time in milliseconds from an abort to the rejection. Generous, because the machine may be busy. */
const SOON = 1000;

test('every failure has its code', async () => {
  const page = await open();
  harness.server.intercept = (path, response) => {
    if (path === '/refused.jpg') response.writeHead(503).end();
    else if (path.startsWith('/text/')) response.writeHead(200).end('<!doctype html><p>no JSON</p>');
    else return false;
  };
  const outcomes = await page.evaluate(async () => {
    const { Siglip } = await import('/www/siglip.js');
    const { outcome } = await import('/tests/browser/pages/outcome.js');
    const siglip = await Siglip.load();
    const boat = '/www/samples/boat.jpg';
    const broken = '/tests/fixtures/pictures/formats/pillow_broken.png';
    /** @type {any} */
    const nonsense = 42;
    /** @type {Record<string, Promise<unknown>>} */
    const calls = {
      'no labels': siglip.classify(boat, []),
      'labels that are none': siglip.classify(boat, [nonsense]),
      'a label of 10,000 characters': siglip.classify(boat, ['cat '.repeat(2500)]),
      'a template without a place': siglip.classify(boat, ['a cat'], { template: 'a photo' }),
      'a template that is none': siglip.classify(boat, ['a cat'], { template: nonsense }),
      'a threshold that is none': siglip.classify(boat, ['a cat'], { threshold: nonsense }),
      'a topK that is none': siglip.classify(boat, ['a cat'], { topK: nonsense / 4 }),
      'a picture that is none': siglip.embedImage(nonsense),
      'a broken picture': siglip.classify(broken, ['a cat']),
      'an empty picture': siglip.embedImage(new Blob([])),
      'a text file': siglip.embedImage(new Blob(['no picture at all'])),
      'a picture that is not there': siglip.embedImage('/nowhere.jpg'),
      'a picture that is refused': siglip.embedImage('/refused.jpg'),
      'a site that is not there': siglip.embedImage('http://127.0.0.1:9/picture.jpg'),
      'a model that is not there': Siglip.load('/nowhere'),
      'a model that is none': Siglip.load('/text'),
      'a site of models that is not there': Siglip.load('http://127.0.0.1:9/model/'),
      'a model of no kind': Siglip.load(nonsense),
      'a precision that is none': Siglip.load('tiny', { precision: nonsense }),
      'workers that are none': Siglip.load('tiny', { workers: -1 }),
      'files that are missing': Siglip.load([new File(['{}'], 'config.json')]),
      'a call after all these': siglip.classify(boat, ['a boat']),
    };
    const names = Object.keys(calls);
    const settled = await Promise.all(Object.values(calls).map(outcome));
    return Object.fromEntries(names.map((name, i) => [name, settled[i]]));
  });
  const codes = Object.fromEntries(Object.entries(outcomes).map(([name, { code }]) => [name, code]));
  assert.deepEqual(codes, {
    'no labels': 'bad-input',
    'labels that are none': 'bad-input',
    'a label of 10,000 characters': 'bad-input',
    'a template without a place': 'bad-input',
    'a template that is none': 'bad-input',
    'a threshold that is none': 'bad-input',
    'a topK that is none': 'bad-input',
    'a picture that is none': 'bad-input',
    'a broken picture': 'bad-image',
    'an empty picture': 'bad-image',
    'a text file': 'bad-image',
    'a picture that is not there': 'not-found',
    'a picture that is refused': 'network',
    'a site that is not there': 'network',
    'a model that is not there': 'not-found',
    'a model that is none': 'unsupported-model',
    'a site of models that is not there': 'network',
    'a model of no kind': 'bad-input',
    'a precision that is none': 'bad-input',
    'workers that are none': 'bad-input',
    'files that are missing': 'bad-input',
    'a call after all these': 'fulfilled',
  });
  for (const [name, { message, code }] of Object.entries(outcomes)) {
    if (code !== 'fulfilled') assert.match(message, /\w+ \w+/, name);
  }
});

test('a gated model loads with a token, and without one the error says what to do', async () => {
  const page = await open();
  const hub = new FakeHub();
  const serve = hub.at('/google/medsiglip-448/resolve/main/');
  harness.server.intercept = (path, response, method, request) => {
    const { authorization } = request.headers;
    if (!path.startsWith('/google/') || authorization === 'Bearer hf_granted') {
      return serve(path, response, method, request);
    }
    response.writeHead(authorization ? 403 : 401).end();
  };
  const outcomes = await page.evaluate(async () => {
    const { Siglip } = await import('/www/siglip.js');
    const { outcome } = await import('/tests/browser/pages/outcome.js');
    const outcomes = [];
    for (const Authorization of [undefined, 'Bearer hf_other', 'Bearer hf_granted']) {
      const headers = Authorization ? { Authorization } : undefined;
      const load = Siglip.load('google/medsiglip-448', { baseUrl: '/', headers, cache: false });
      outcomes.push(await outcome(load));
    }
    return outcomes;
  });
  for (const [at, status] of [401, 403].entries()) {
    assert.equal(outcomes[at].code, 'network');
    assert.match(
      outcomes[at].message,
      new RegExp(`medsiglip-448/.*HTTP ${status}.*accept its terms at the hub.*Authorization: 'Bearer`),
    );
  }
  assert.equal(outcomes[2].code, 'fulfilled', outcomes[2].message);
  assert.ok(hub.headers.length > 3);
  for (const { authorization } of hub.headers) assert.equal(authorization, 'Bearer hf_granted');
});

test('progress never goes back and ends with everything', async () => {
  const page = await open();
  // So slow that every browser sees parts of it: 20 pieces of 32 KiB, with a pause before each.
  harness.server.intercept = new FakeHub(small, { pace: 50 }).at('/slow/');
  const events = await page.evaluate(async () => {
    const { Siglip } = await import('/www/siglip.js');
    /** @type {import('/www/siglip.js').Progress[]} */
    const events = [];
    await Siglip.load('/slow/', { onProgress: (progress) => events.push(progress) });
    return events;
  });
  assert.deepEqual([...new Set(events.map(({ phase }) => phase))], ['download', 'prepare', 'ready']);
  assert.ok(events.length > 3);
  for (const [i, { loaded, total }] of events.entries()) {
    assert.ok(loaded <= total, `${loaded} of ${total}`);
    if (i) assert.ok(loaded >= events[i - 1].loaded, 'it has gone back');
  }
  const last = events[events.length - 1];
  assert.equal(last.loaded, last.total);
});

test('an abort rejects a call at once, and the next call works', async () => {
  const page = await open();
  const { aborted, late, next } = await page.evaluate(async () => {
    const { Siglip } = await import('/www/siglip.js');
    const { outcome } = await import('/tests/browser/pages/outcome.js');
    const siglip = await Siglip.load();
    const controller = new AbortController();
    const many = Array.from({ length: 20_000 }, (_, i) => `cat number ${i}`);
    const call = outcome(siglip.classify('/www/samples/cat.jpg', many, { signal: controller.signal }));
    await new Promise((resolve) => setTimeout(resolve, 100));
    const start = performance.now();
    controller.abort();
    const aborted = { ...(await call), ms: performance.now() - start };
    const late = await outcome(siglip.embedText('a cat', { signal: controller.signal }));
    return { aborted, late, next: await siglip.classify('/www/samples/cat.jpg', ['a cat', 'a boat']) };
  });
  assert.equal(aborted.code, 'aborted');
  assert.equal(aborted.name, 'AbortError');
  assert.ok(aborted.ms < SOON, `${aborted.ms} ms`);
  assert.equal(late.code, 'aborted');
  assert.equal(next[0].label, 'a cat');
});

test('more labels than the text cache holds are all scored', async () => {
  const page = await open();
  const { count, sorted, top } = await page.evaluate(async () => {
    const { Siglip } = await import('/www/siglip.js');
    const siglip = await Siglip.load();
    const labels = Array.from({ length: 4200 }, (_, i) => `cat number ${i}`);
    const scores = await siglip.classify('/www/samples/cat.jpg', labels);
    // Labels with words that the model cannot read come last.
    const ranks = scores.map(({ logit, unknown }) => (unknown ? -Infinity : logit));
    const sorted = ranks.every((rank, i) => !i || rank <= ranks[i - 1]);
    const top = await siglip.classify('/www/samples/cat.jpg', labels.slice(-100), { topK: 3 });
    return { count: new Set(scores.map(({ label }) => label)).size, sorted, top };
  });
  assert.equal(count, 4200);
  assert.ok(sorted);
  assert.equal(top.length, 3);
});

test('an abort rejects a load and a slow picture at once, and ends the download', async () => {
  const page = await open();
  /** @type {Promise<void>} */
  let closed = Promise.resolve();
  harness.server.intercept = (path, response) => {
    if (path !== '/www/models/tiny/model.safetensors' && path !== '/slow.jpg') return false;
    closed = new Promise((resolve) => response.on('close', resolve));
    response.writeHead(200).write('\0');
  };
  await page.evaluate(async () => {
    const { Siglip } = await import('/www/siglip.js');
    const { outcome } = await import('/tests/browser/pages/outcome.js');
    const controller = new AbortController();
    const load = outcome(Siglip.load('tiny', { signal: controller.signal }));
    Object.assign(globalThis, { controller, load });
  });
  while (!harness.server.requestsOf('model.safetensors').length) await page.waitForTimeout(10);
  const load = await page.evaluate(async () => {
    const { controller, load } = /** @type {any} */ (globalThis);
    const start = performance.now();
    controller.abort();
    return { ...(await load), ms: performance.now() - start };
  });
  assert.deepEqual([load.code, load.name], ['aborted', 'AbortError']);
  assert.ok(load.ms < SOON, `${load.ms} ms`);
  assert.equal(harness.server.requestsOf('model.safetensors').length, 1);
  await closed;

  const { intercept } = harness.server;
  harness.server.intercept = (path, ...rest) => path === '/slow.jpg' && intercept(path, ...rest);
  const { picture, meanwhile } = await page.evaluate(async () => {
    const { Siglip } = await import('/www/siglip.js');
    const { outcome } = await import('/tests/browser/pages/outcome.js');
    const siglip = await Siglip.load('tiny');
    const controller = new AbortController();
    const slow = outcome(siglip.embedImage('/slow.jpg', { signal: controller.signal }));
    const meanwhile = await siglip.classify('/www/samples/cat.jpg', ['a cat', 'a boat']);
    const start = performance.now();
    controller.abort();
    return { picture: { ...(await slow), ms: performance.now() - start }, meanwhile };
  });
  assert.equal(picture.code, 'aborted');
  assert.ok(picture.ms < SOON, `${picture.ms} ms`);
  assert.equal(meanwhile[0].label, 'a cat', 'a slow picture holds nobody up');
  await closed;
});

test('dispose ends the worker and rejects running and later calls', async () => {
  const page = await open();
  await page.evaluate(async () => {
    const { Siglip } = await import('/www/siglip.js');
    const workerUrl = '/tests/browser/pages/counted-worker.js';
    Object.assign(globalThis, { siglip: await Siglip.load('tiny', { workerUrl }) });
  });
  assert.equal(await workersAlive(page), 1);
  const outcomes = await page.evaluate(async () => {
    const { outcome } = await import('/tests/browser/pages/outcome.js');
    const { siglip } = /** @type {{siglip: import('/www/siglip.js').Siglip}} */ (
      /** @type {unknown} */ (globalThis)
    );
    const many = Array.from({ length: 5000 }, (_, i) => `cat number ${i}`);
    const running = outcome(siglip.classify('/www/samples/cat.jpg', many));
    siglip.dispose();
    return [
      await running,
      await outcome(siglip.embedText('a cat')),
      await outcome(siglip.embedImage('/x.jpg')),
    ];
  });
  for (const { code, name } of outcomes) assert.deepEqual([code, name], ['aborted', 'AbortError']);
  await untilWorkers(page, 0);
});
