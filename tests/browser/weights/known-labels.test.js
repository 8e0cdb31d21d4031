/** Labels that an earlier visit has embedded: they need no text tower. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { browserOfTests } from '../browsers.js';
import { Harness } from '../harness.js';
import { WEIGHTS, otherWeights, readCheckpoint } from './checkpoint.js';
import { FakeHub, small } from './fake-hub.js';

/** @typedef {import('../harness.js').Page} Page */

const harness = new Harness();
const tiny = readCheckpoint('www/models/tiny');
const labels = ['a cat', 'a dog', 'a horse in кириллица'];

/** A page, and a hub on its server. @param {FakeHub} hub */
async function open(hub) {
  const page = await harness.open({ path: '/tests/browser/pages/blank.html' });
  harness.server.intercept = hub.at('/model/');
  return page;
}

/**
 * What a visit comes to: each list of labels is scored for a picture, with what it took.
 * @typedef {{towers: string, answers: {scores: string, texts: number, bytes: number}[], bytes: number}} Visit
 */

/**
 * Loads the model and has it score lists of labels.
 * @param {Page} page
 * @param {string[][]} lists
 * @param {import('/www/siglip.js').LoadOptions & {before?: string}} [options] `before`: deletes this model after the load
 * @returns {Promise<Visit>}
 */
const visit = (page, lists, options = {}) =>
  page.evaluate(
    async ({ lists, options }) => {
      const { Siglip, deleteModel } = await import('/www/siglip.js');
      const workerUrl = '/tests/browser/pages/reading-worker.js';
      /** @param {string} name @returns {Promise<any>} */
      const ask = (name) => {
        const channel = new BroadcastChannel(name);
        const answer = new Promise((resolve) => {
          channel.onmessage = ({ data }) => resolve(data);
        });
        channel.postMessage('');
        return answer.finally(() => channel.close());
      };
      const siglip = await Siglip.load('/model/', {
        workers: 1,
        stallTimeout: 30_000,
        ...options,
        workerUrl,
      });
      try {
        const bytes = options.workers === 2 ? 0 : await ask('reads');
        if (options.before) await deleteModel(options.before);
        const picture = new ImageData(8, 8);
        picture.data.forEach((_, i) => (picture.data[i] = (i * 37) % 256));
        const embedding = await siglip.embedImage(picture);
        const answers = [];
        for (const labels of lists) {
          const scores = JSON.stringify(await siglip.score(embedding, labels));
          const passes = /** @type {string[]} */ (options.workers === 2 ? [] : await ask('passes'));
          const texts = passes.filter((pass) => pass === 'texts').length;
          answers.push({ scores, texts, bytes: options.workers === 2 ? 0 : await ask('reads') });
        }
        return { towers: siglip.info.towers, answers, bytes };
      } finally {
        siglip.dispose();
      }
    },
    { lists, options },
  );

/** Waits until the labels of so many models are stored. Returns the length of all. @param {Page} page @param {number} count */
async function untilKept(page, count) {
  for (let tries = 0; ; tries++) {
    const sizes = await page.evaluate(async () => {
      const sizes = [];
      for (const name of await caches.keys()) {
        const cache = await caches.open(name);
        for (const request of await cache.keys()) {
          if (!request.url.endsWith('.labels')) continue;
          sizes.push((await (await cache.match(request))?.blob())?.size ?? 0);
        }
      }
      const root = await navigator.storage?.getDirectory?.().catch(() => undefined);
      for await (const folder of root?.values() ?? []) {
        for await (const file of /** @type {FileSystemDirectoryHandle} */ (folder).values()) {
          if (!file.name.endsWith('.labels')) continue;
          sizes.push((await /** @type {FileSystemFileHandle} */ (file).getFile()).size);
        }
      }
      return sizes.filter((size) => size > 0);
    });
    if (sizes.length === count) return sizes.reduce((sum, size) => sum + size, 0);
    assert.ok(tries < 200, `labels of ${sizes.length} models, not of ${count}`);
    await page.waitForTimeout(50);
  }
}

/** The length of what is cached of the model. @param {Page} page */
const cachedBytes = (page) =>
  page.evaluate(async () => {
    const { cachedModels } = await import('/www/siglip.js');
    return (await cachedModels()).map(({ bytes }) => bytes)[0];
  });

const hasFiles = browserOfTests.hasFiles ? false : 'without files a model is read whole';

test('a second visit with the same labels reads no text tower', { skip: hasFiles }, async () => {
  const hub = new FakeHub(tiny);
  const page = await open(hub);
  await visit(page, [], { towers: 'image' });
  const image = await cachedBytes(page);
  await page.evaluate(async () => (await import('/www/siglip.js')).deleteAllModels());
  const first = await visit(page, [labels, ['a boat']]);
  assert.equal(first.answers[0].texts, 1);
  const whole = await cachedBytes(page);
  assert.ok(whole > 1.3 * image, `${whole} bytes, of the image tower ${image}`);
  await untilKept(page, 1);

  hub.isOpen = false;
  const second = await visit(page, [labels, ['a boat'], labels.slice(1), ['a boat', 'a submarine']]);
  assert.equal(second.towers, 'both');
  const [same, boat, some, other] = second.answers;
  assert.deepEqual([same.scores, boat.scores], [first.answers[0].scores, first.answers[1].scores]);
  for (const { texts, bytes } of [same, boat, some]) assert.deepEqual([texts, bytes], [0, 0]);
  // The labels, where the towers are, and the digest's state in each record of the image tower, 200 bytes.
  const more = second.bytes - image - (await untilKept(page, 1));
  assert.ok(more > -1000 && more < 5000, `${second.bytes} bytes read, ${more} more than the image tower has`);
  // Only the label that is new has its text embedded, with the text tower that was left out until now.
  assert.equal(other.texts, 1);
  assert.ok(other.bytes > whole - image && other.bytes < whole, `${other.bytes} bytes read`);
  hub.isOpen = true;
  const anew = await visit(page, [['a boat', 'a submarine']], { cache: false });
  assert.equal(anew.answers[0].scores, other.scores);

  await page.evaluate(async () => (await import('/www/siglip.js')).deleteModel('/model/'));
  await untilKept(page, 0);
});

test('a new label is read by the text tower in two workers', async () => {
  const hub = new FakeHub();
  const page = await open(hub);
  const expected = await visit(page, [labels, ['a boat', 'a cat']], { cache: false });
  await visit(page, [labels], { workers: 2 });
  await untilKept(page, 1);
  hub.isOpen = false;
  const { answers } = await visit(page, [labels, ['a boat', 'a cat'], labels], { workers: 2 });
  const [same, other] = expected.answers.map(({ scores }) => scores);
  assert.deepEqual(
    answers.map(({ scores }) => scores),
    [same, other, same],
  );
});

test('labels of another precision, of another model and of a broken file are embedded anew', async () => {
  const hub = new FakeHub();
  const page = await open(hub);
  const first = await visit(page, [labels]);
  await untilKept(page, 1);
  const f32 = await visit(page, [labels], { precision: 'f32' });
  assert.equal(f32.answers[0].texts, 1);
  await untilKept(page, 2);

  // Every label from the broken one on is embedded again.
  await page.evaluate(async () => {
    const flip = (/** @type {Uint8Array} */ bytes) => (bytes[bytes.length - 3] ^= 1);
    for (const name of await caches.keys()) {
      const cache = await caches.open(name);
      for (const request of await cache.keys()) {
        if (!request.url.endsWith('.labels')) continue;
        const bytes = new Uint8Array((await (await cache.match(request))?.arrayBuffer()) ?? []);
        flip(bytes);
        await cache.put(request, new Response(bytes));
      }
    }
    const root = await navigator.storage?.getDirectory?.().catch(() => undefined);
    for await (const folder of root?.values() ?? []) {
      for await (const file of /** @type {FileSystemDirectoryHandle} */ (folder).values()) {
        if (!(file instanceof FileSystemFileHandle) || !file.name.endsWith('.labels')) continue;
        const bytes = new Uint8Array(await (await file.getFile()).arrayBuffer());
        flip(bytes);
        const writable = await file.createWritable();
        await writable.write(bytes);
        await writable.close();
      }
    }
  });
  const broken = await visit(page, [labels.slice(0, 2), labels]);
  assert.deepEqual(
    broken.answers.map(({ texts }) => texts),
    [0, 1],
  );
  assert.equal(broken.answers[1].scores, first.answers[0].scores);

  // The model is another one now: it is downloaded anew, and so are its labels.
  await page.evaluate(async () => (await import('/www/siglip.js')).deleteModel('/model/'));
  hub.files = otherWeights(small);
  const other = await visit(page, [labels]);
  assert.equal(other.answers[0].texts, 1);
  assert.notEqual(other.answers[0].scores, first.answers[0].scores);
});

test('a text tower that the cache has lost comes from the server', async () => {
  const hub = new FakeHub(tiny);
  const page = await open(hub);
  const expected = await visit(page, [labels]);
  await untilKept(page, 1);
  hub.log = [];
  const { answers } = await visit(page, [['a boat'], labels], { before: '/model/' });
  assert.equal(answers[1].scores, expected.answers[0].scores);
  await untilKept(page, 0);
  if (hasFiles) return;
  const got = hub.log.filter((line) => line.startsWith(`GET ${WEIGHTS}`));
  assert.equal(got.length, 1, hub.log.join());
  assert.deepEqual(await page.evaluate(async () => (await import('/www/siglip.js')).cachedModels()), []);

  // A text tower of another model is refused, and what is loaded goes on.
  await visit(page, [labels]);
  await untilKept(page, 1);
  hub.files = otherWeights(tiny);
  const error = await visit(page, [['a boat']], { before: '/model/' }).catch((error) => String(error));
  assert.match(String(error), /has changed on the server since the image tower was loaded|of another model/);
});

test('without files the Cache API keeps the labels', async () => {
  const hub = new FakeHub();
  const page = await open(hub);
  harness.server.workerFaults = { without: ['files'] };
  const first = await visit(page, [labels]);
  await untilKept(page, 1);
  hub.isOpen = false;
  const second = await visit(page, [labels, ['a boat']]);
  assert.equal(second.answers[0].scores, first.answers[0].scores);
  assert.deepEqual(
    second.answers.map(({ texts }) => texts),
    [0, 1],
  );
  await page.evaluate(async () => (await import('/www/siglip.js')).deleteModel('/model/'));
  await untilKept(page, 0);
});
