/** `ready: 'image'`: the image tower is downloaded first, and the text tower while images are embedded. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { browserOfTests } from '../browsers.js';
import { Harness, fileAt, openIn } from '../harness.js';
import { WEIGHTS, readCheckpoint } from './checkpoint.js';
import { FakeHub, load, small } from './fake-hub.js';

/** @typedef {import('../harness.js').Page} Page */
/** @typedef {import('/www/siglip.js').LoadOptions} LoadOptions */

const harness = new Harness();
const tiny = readCheckpoint('www/models/tiny');
const [vision, text] = ['onnx/vision_model_quantized.onnx', 'onnx/text_model_quantized.onnx'];
/** A checkpoint with a file for each tower. */
const split = {
  ...small,
  ...Object.fromEntries(
    [vision, text].map((name) => [name, readFileSync(fileAt(`tests/fixtures/random-small/${name}`))]),
  ),
};
const withoutFiles = browserOfTests.hasFiles ? false : 'only complete models are cached';

/** A page, and a hub on its server. @param {FakeHub} hub */
async function open(hub) {
  const page = await harness.open({ path: '/tests/browser/pages/blank.html' });
  harness.server.intercept = hub.at('/model/');
  return page;
}

/** What resolves when the test says so. */
function gate() {
  let open = () => {};
  /** @type {Promise<void>} */
  const until = new Promise((resolve) => (open = resolve));
  return { open, until };
}

/**
 * Loads the model until its image tower is ready, embeds a picture, and asks for scores and a text meanwhile.
 * @param {Page} page
 * @param {LoadOptions} [options]
 */
const begin = (page, options = {}) =>
  page.evaluate(async (options) => {
    const { Siglip } = await import('/www/siglip.js');
    const { outcome } = await import('/tests/browser/pages/outcome.js');
    /** @type {string[]} */
    const phases = [];
    /** @type {string[]} */
    const notices = [];
    let reached = 0;
    const siglip = await Siglip.load('/model/', {
      workers: 1,
      stallTimeout: 30_000,
      retryDelay: 1,
      ready: 'image',
      ...options,
      onProgress: ({ phase, ready, loaded }) => {
        const state = `${phase} ${ready ?? ''}`.trim();
        if (phases.at(-1) !== state) phases.push(state);
        if (loaded < reached) phases.push('went back');
        reached = loaded;
      },
      onNotice: ({ code }) => notices.push(code),
    });
    const { ready, towers, bytes } = siglip.info;
    const picture = new ImageData(8, 8);
    picture.data.forEach((_, i) => (picture.data[i] = (i * 37) % 256));
    const image = await siglip.embedImage(picture);
    const score = siglip.score(image, ['a cat', 'a dog']);
    const texts = siglip.embedText('a cat');
    let early = true;
    void Promise.allSettled([score, texts]).then(() => (early = false));
    // Another picture has its turn while those wait.
    const again = await siglip.embedImage(picture);
    const end = async () => {
      const [scores, text] = await Promise.all([score, texts]);
      const { ready, bytes } = siglip.info;
      return { scores: JSON.stringify(scores), embeddings: [...image, ...text].join(), ready, bytes, phases };
    };
    Object.assign(window, {
      siglip,
      end,
      outcome,
      failures: () => Promise.all([outcome(score), outcome(texts)]),
      notices,
    });
    return { ready, towers, bytes, early, same: again.join() === image.join(), phases: [...phases] };
  }, /** @type {any} */ (options));

/** @param {Page} page @returns {Promise<{scores: string, embeddings: string, ready: string, bytes: number, phases: string[]}>} */
const end = (page) => page.evaluate(() => /** @type {any} */ (window).end());

for (const workers of [1, 2]) {
  test(`pictures are embedded while the text tower arrives, in ${workers} of the workers`, async () => {
    const hub = new FakeHub(split);
    const page = await open(hub);
    const expected = await load(page, '/model/', { dtype: 'q8', cache: false, workers });
    const { open: release, until } = gate();
    hub.faults[text] = [{ stall: 0.5, until }];
    hub.log = [];
    const begun = await begin(page, { dtype: 'q8', workers });
    assert.deepEqual([begun.ready, begun.towers], ['image', 'both']);
    assert.ok(begun.early && begun.same);
    assert.ok(begun.phases.includes('ready image'), begun.phases.join());
    assert.ok(!begun.phases.includes('ready both'), begun.phases.join());
    release();
    const ended = await end(page);
    assert.equal(ended.embeddings, expected.embeddings);
    assert.equal(ended.ready, 'both');
    assert.ok(ended.bytes > begun.bytes, `${ended.bytes} bytes, not more than ${begun.bytes}`);
    assert.deepEqual(ended.phases.at(-1), 'ready both');
    assert.ok(!ended.phases.includes('went back'), ended.phases.join());
    assert.ok(hub.log.indexOf(`GET ${vision}`) < hub.log.indexOf(`GET ${text}`), hub.log.join());
    assert.equal(hub.log.filter((line) => line === `GET ${text}`).length, 1, hub.log.join());

    // Both towers are in the cache: for a load that waits for both, too, and with the labels of the visit before.
    hub.isOpen = false;
    for (const options of /** @type {LoadOptions[]} */ ([{ ready: 'image' }, {}])) {
      const cached = await load(page, '/model/', { dtype: 'q8', workers, ...options });
      assert.equal(cached.embeddings, expected.embeddings, cached.message);
    }
  });
}

test('of a single file the towers are fetched in parts, the image tower first', async () => {
  const hub = new FakeHub(tiny);
  const page = await open(hub);
  const expected = await load(page, '/model/', { cache: false });
  hub.log = [];
  const begun = await begin(page);
  assert.equal(begun.ready, 'image');
  assert.equal((await end(page)).embeddings, expected.embeddings);
  const got = hub.log.filter((line) => line.includes(WEIGHTS));
  assert.match(
    got.join(),
    /^GET model.safetensors,GET model.safetensors bytes=\d{6,}-,GET model.safetensors(,GET .*)?$/,
  );
});

test('a server that sends only whole files sends both towers at once', async () => {
  for (const behaviour of [{ ranges: false }, { etag: false }]) {
    const hub = new FakeHub(tiny, behaviour);
    const page = await open(hub);
    const begun = await begin(page);
    assert.equal(begun.ready, 'both');
    const ended = await end(page);
    const expected = await load(page, '/model/', { cache: false });
    assert.equal(ended.embeddings, expected.embeddings);
    const [model] = await page.evaluate(async () => (await import('/www/siglip.js')).cachedModels());
    assert.equal(model.towers, 'both');
  }
});

test('after a failure the next call that needs the text tower tries again', async () => {
  const hub = new FakeHub(split);
  const page = await open(hub);
  const expected = await load(page, '/model/', { dtype: 'q8', cache: false });
  hub.faults[text] = Array.from({ length: 10 }, () => ({ status: 503 }));
  await begin(page, { dtype: 'q8' });
  const codes = await page.evaluate(async () => {
    const { siglip, failures, outcome, notices } = /** @type {any} */ (window);
    const waiting = await failures();
    const again = await outcome(siglip.embedText('a cat'));
    const { length } = await siglip.embedImage(new ImageData(8, 8));
    return { codes: [...waiting, again].map(({ code }) => code), notices, length };
  });
  assert.deepEqual(codes.codes, ['network', 'network', 'network']);
  assert.deepEqual(codes.notices, ['text-later']);
  assert.ok(codes.length > 0);
  hub.faults = {};
  const later = await page.evaluate(async () => {
    const { siglip } = /** @type {any} */ (window);
    return [...(await siglip.embedText('a cat'))].join();
  });
  assert.ok(expected.embeddings?.endsWith(later), expected.message);
});

test('a text tower that was interrupted is continued by the next visit', { skip: withoutFiles }, async () => {
  const hub = new FakeHub({ ...small, ...tiny });
  const page = await open(hub);
  const expected = await load(page, '/model/', { cache: false });
  // The text tower's answer is the third of that file.
  hub.faults[WEIGHTS] = [{}, {}, { stall: 0.4 }];
  hub.behaviour = { pace: 5 };
  const { bytes: ofImage } = await begin(page);
  for (let tries = 0; ; tries++) {
    const models = await page.evaluate(async () => (await import('/www/siglip.js')).cachedModels());
    // Both towers are one entry.
    if (models.some(({ complete, bytes }) => !complete && bytes > ofImage + 1e6)) break;
    assert.ok(tries < 200, JSON.stringify(models));
    await page.waitForTimeout(50);
  }
  const other = await openIn(page.context(), page.url());
  await page.evaluate(() => /** @type {any} */ (window).siglip.dispose());
  await page.close();
  hub.log = [];
  const begun = await begin(other);
  assert.equal(begun.ready, 'image');
  assert.equal((await end(other)).embeddings, expected.embeddings);
  const got = hub.log.filter((line) => line.startsWith('GET'));
  assert.match(got.join(), /GET model.safetensors bytes=\d{6,}-/);
  assert.ok(!got.includes(`GET ${WEIGHTS}`), got.join());
});

test('the signal of the load ends the text tower too, until a call needs it', async () => {
  const hub = new FakeHub(split);
  const page = await open(hub);
  hub.faults[text] = [{ stall: 0.5 }];
  await page.evaluate(async () => {
    const { Siglip } = await import('/www/siglip.js');
    const controller = new AbortController();
    /** @type {string[]} */
    const notices = [];
    const siglip = await Siglip.load('/model/', {
      workers: 1,
      dtype: 'q8',
      ready: 'image',
      signal: controller.signal,
      onNotice: ({ code }) => notices.push(code),
    });
    Object.assign(window, { siglip, controller, notices });
  });
  while (!hub.log.includes(`GET ${text}`)) await page.waitForTimeout(20);
  // In a step of its own: a call at once would join the load that has stalled.
  await page.evaluate(() => /** @type {any} */ (window).controller.abort());
  const codes = await page.evaluate(async () => {
    const { siglip, notices } = /** @type {any} */ (window);
    const { outcome } = await import('/tests/browser/pages/outcome.js');
    const { length } = await siglip.embedText('a cat');
    const waits = new AbortController();
    waits.abort();
    const aborted = await outcome(siglip.embedText('a dog', { signal: waits.signal }));
    siglip.dispose();
    return { length, notices, aborted: aborted.code };
  });
  assert.ok(codes.length > 0);
  assert.deepEqual([codes.notices, codes.aborted], [[], 'aborted']);
});
