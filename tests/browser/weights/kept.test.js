/** Weights that arrive, are kept, and are found again. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { browserOfTests, onlyChromium } from '../browsers.js';
import { Harness, fileAt, openIn } from '../harness.js';
import { WEIGHTS, otherWeights, readCheckpoint, sha256, sharded } from './checkpoint.js';
import { FakeHub, load, small } from './fake-hub.js';

const harness = new Harness();
const blank = '/tests/browser/pages/blank.html';

/** A page, and a hub on its server. @param {FakeHub} hub */
async function open(hub) {
  const page = await harness.open({ path: blank });
  harness.server.intercept = hub.at('/model/');
  return page;
}

/** @param {import('../harness.js').Page} page */
const listed = (page) => page.evaluate(async () => (await import('/www/siglip.js')).cachedModels());

for (const precision of /** @type {const} */ (['q8', 'f32'])) {
  for (const workers of [1, 2]) {
    test(`a model of ${precision} is the same from the server and from what was kept, with ${workers} workers`, async () => {
      const hub = new FakeHub();
      const page = await open(hub);
      const first = await load(page, '/model/', { precision, workers });
      assert.deepEqual(first.notices, []);
      hub.isOpen = false;
      const second = await load(page, '/model/', { precision, workers });
      assert.ok(first.embeddings, first.message);
      assert.equal(second.embeddings, first.embeddings, second.message);
      if (workers === 2) {
        const other = await load(page, '/model/', { precision, workers: 1 });
        assert.ok(other.embeddings, 'what is kept does not depend on the number of workers');
      }
    });
  }
}

test('what is kept is listed, and deleted one by one or all at once', async () => {
  const page = await open(new FakeHub());
  await load(page, '/model/', { towers: 'text' });
  await load(page, '/model/');
  await load(page, '/model/', { precision: 'f32' });
  const origin = harness.server.origin;
  const list = await listed(page);
  const names = list.map(({ model, precision, towers, complete }) =>
    [model, precision, towers, complete].join(' '),
  );
  assert.deepEqual(names.sort(), [
    `${origin}/model/ f32 both true`,
    `${origin}/model/ q8 both true`,
    `${origin}/model/ q8 text true`,
  ]);
  for (const { bytes } of list) assert.ok(bytes > 10_000);
  await load(page, 'tiny');
  await page.evaluate(async () => (await import('/www/siglip.js')).deleteModel('/model/'));
  assert.deepEqual(
    (await listed(page)).map(({ model }) => model),
    [`${origin}/www/models/tiny/`],
  );
  await page.evaluate(async () => (await import('/www/siglip.js')).deleteAllModels());
  assert.deepEqual(await listed(page), []);
});

test('a file that is locked for a moment is deleted after that', async () => {
  const page = await open(new FakeHub());
  await load(page, '/model/');
  const wasLocked = await page.evaluate(async () => {
    const { deleteModel } = await import('/www/siglip.js');
    const root = await navigator.storage?.getDirectory?.().catch(() => undefined);
    let isLocked = false;
    for await (const folder of root?.values() ?? []) {
      for await (const file of /** @type {FileSystemDirectoryHandle} */ (folder).values()) {
        const writable = await /** @type {FileSystemFileHandle} */ (file).createWritable();
        isLocked = await /** @type {FileSystemDirectoryHandle} */ (folder).removeEntry(file.name).then(
          () => false,
          () => true,
        );
        setTimeout(() => writable.abort(), 200);
      }
    }
    await deleteModel('/model/');
    return isLocked;
  });
  assert.equal(wasLocked, browserOfTests.hasFiles);
  assert.deepEqual(await listed(page), []);
});

test('a model in several files, or of files that were chosen, is the same', async () => {
  const hub = new FakeHub(sharded(small, 3));
  const page = await open(hub);
  const several = await load(page, '/model/');
  hub.isOpen = false;
  const kept = await load(page, '/model/');
  harness.server.intercept = new FakeHub().at('/model/');
  const one = await load(page, '/model/', { cache: false });
  assert.ok(one.embeddings, one.message);
  assert.equal(several.embeddings, one.embeddings, several.message);
  assert.equal(kept.embeddings, one.embeddings, kept.message);

  for (const files of [small, sharded(small, 2)]) {
    const contents = Object.entries(files).map(([name, bytes]) => [name, bytes.toString('base64')]);
    const chosen = await page.evaluate(async (contents) => {
      const { Siglip } = await import('/www/siglip.js');
      const bytes = (/** @type {string} */ base64) => Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
      const files = contents.map(([name, base64]) => new File([bytes(base64)], name));
      const siglip = await Siglip.load(files, { workers: 1 });
      const text = await siglip.embedText('a cat');
      siglip.dispose();
      return [...text].join();
    }, contents);
    assert.ok(one.embeddings.endsWith(chosen));
  }
});

test('a GGUF is the same model, from a server, from what was kept and from a file', async () => {
  const read = (/** @type {string} */ name) => readFileSync(fileAt(`tests/fixtures/random-small/${name}`));
  const gguf = read('model.f16.gguf');
  const hub = new FakeHub({ ...small, [WEIGHTS]: read('model.f16.safetensors'), 'model.f16.gguf': gguf });
  const page = await open(hub);
  const { embeddings = '', message } = await load(page, '/model/');
  assert.ok(embeddings, message);
  for (const isOpen of [true, false]) {
    hub.isOpen = isOpen;
    const answer = await load(page, '/model/model.f16.gguf');
    assert.equal(answer.embeddings, embeddings, answer.message);
  }
  const chosen = await page.evaluate(async (base64) => {
    const { Siglip } = await import('/www/siglip.js');
    const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
    const siglip = await Siglip.load(new File([bytes], 'any name.gguf'), { workers: 1 });
    return [...(await siglip.embedText('a cat'))].join();
  }, gguf.toString('base64'));
  assert.ok(embeddings.endsWith(chosen));
});

test('a download that was given up is continued, in another page too', async () => {
  const hub = new FakeHub(small, { pace: 20 });
  const page = await open(hub);
  const options = { precision: /** @type {const} */ ('f32') };
  await page.evaluate(async () => {
    const { Siglip } = await import('/www/siglip.js');
    const controller = new AbortController();
    /** @type {import('/www/siglip.js').LoadOptions} */
    const options = { precision: 'f32', workers: 1, signal: controller.signal };
    options.onProgress = ({ loaded, total }) => loaded > 0.9 * total && controller.abort();
    await Siglip.load('/model/', options).catch(() => {});
  });
  const [part] = await listed(page);
  assert.equal(part?.complete, false);
  hub.log = [];
  const other = await openIn(page.context(), page.url());
  await page.close();
  const continued = await load(other, '/model/', options);
  assert.match(hub.log.join(), new RegExp(`^GET ${WEIGHTS} bytes=\\d+-$`), 'and only that is asked for');
  const whole = await load(other, '/model/', { ...options, cache: false });
  assert.ok(whole.embeddings, whole.message);
  assert.equal(continued.embeddings, whole.embeddings, continued.message);
  assert.deepEqual(
    (await listed(other)).map(({ complete }) => complete),
    [true],
  );
});

test('one tower is fetched, held and kept without the other', async () => {
  const tiny = readCheckpoint('www/models/tiny');
  const hub = new FakeHub(tiny);
  const page = await open(hub);
  const both = await load(page, '/model/', { cache: false });
  hub.log = [];
  const parts = [await load(page, '/model/', { towers: 'image' })];
  assert.match(hub.log.join(), /model\.safetensors bytes=\d+-/, 'the texts, which come first, are left out');
  assert.doesNotMatch(hub.log.join(), /tokenizer/);
  parts.push(await load(page, '/model/', { towers: 'text' }));
  assert.ok(both.embeddings, both.message);
  assert.equal(parts.map(({ embeddings }) => embeddings).join(), both.embeddings);
  hub.isOpen = false;
  assert.equal((await load(page, '/model/', { towers: 'image' })).embeddings, parts[0].embeddings);
  const { code } = await page.evaluate(async () => {
    const { Siglip } = await import('/www/siglip.js');
    const { outcome } = await import('/tests/browser/pages/outcome.js');
    return outcome((await Siglip.load('/model/', { towers: 'image' })).embedText('a cat'));
  });
  assert.equal(code, 'bad-input');

  // A server that cannot leave anything out is read to the end.
  hub.isOpen = true;
  hub.behaviour = { ranges: false };
  const image = await load(page, '/model/', { towers: 'image', cache: false });
  assert.equal(image.embeddings, parts[0].embeddings, image.message);
});

/**
 * Answers in the place of huggingface.co, which has pointers with this sha256 where large files belong.
 * @param {import('../harness.js').Page} page
 * @param {string} hash
 */
async function answerForHub(page, hash) {
  /** @type {string[]} */
  const log = [];
  await page.context().route('https://huggingface.co/test/small/**', (route) => {
    const [, kind, name] = /small\/(resolve|raw)\/main\/(.*)$/.exec(route.request().url()) ?? [];
    log.push(`${kind} ${name}`);
    const body =
      kind === 'resolve'
        ? small[name]
        : `version https://git-lfs.github.com/spec/v1\noid sha256:${hash}\nsize ${small[name].length}\n`;
    return route.fulfill({ body, headers: { 'access-control-allow-origin': '*' } });
  });
  return log;
}

test(
  'a file of the hub is held against the sha256 of its pointer',
  onlyChromium('answers for huggingface.co'),
  async () => {
    const right = await open(new FakeHub());
    const log = await answerForHub(right, sha256(small[WEIGHTS]));
    const { embeddings, message } = await load(right, 'test/small', { cache: false });
    assert.ok(embeddings, message);
    assert.deepEqual(log.slice(-2), [`resolve ${WEIGHTS}`, `raw ${WEIGHTS}`]);

    const wrong = await open(new FakeHub());
    await answerForHub(wrong, sha256(Buffer.from('something else')));
    const refused = await load(wrong, 'test/small', { cache: false });
    assert.equal(refused.code, 'integrity');
    assert.match(refused.message ?? '', /huggingface\.co\/test\/small/);
  },
);

test('a file is held against the sha256 that the page gives', async () => {
  const page = await open(new FakeHub());
  const right = sha256(small[WEIGHTS]);
  for (const hash of [
    right,
    right.toUpperCase(),
    { [WEIGHTS]: right, 'config.json': sha256(small['config.json']) },
  ]) {
    assert.ok((await load(page, '/model/', { sha256: hash, cache: false })).embeddings);
  }
  await load(page, '/model/');
  const wrong = sha256(Buffer.from('something else'));
  for (const hash of [wrong, { 'tokenizer.json': wrong }]) {
    const { code, message } = await load(page, '/model/', { sha256: hash });
    assert.equal(code, 'integrity');
    assert.match(message ?? '', /it is not cached/);
    assert.deepEqual(await listed(page), [], 'not even what was kept before it was asked for');
  }
  assert.equal((await load(page, '/model/', { sha256: 'none' })).code, 'bad-input');
});

test('headers go along with every request for the model', async () => {
  const hub = new FakeHub();
  const page = await open(hub);
  await load(page, '/model/', { headers: { authorization: 'Bearer secret' } });
  assert.equal(hub.headers.length, 4);
  for (const headers of hub.headers) assert.equal(headers.authorization, 'Bearer secret');
  const kept = await page.evaluate(async () => {
    let text = '';
    for (const name of await caches.keys()) {
      const cache = await caches.open(name);
      for (const response of await cache.matchAll()) text += await response.text();
    }
    const root = await navigator.storage?.getDirectory?.().catch(() => undefined);
    for await (const folder of root?.values() ?? []) {
      for await (const file of /** @type {FileSystemDirectoryHandle} */ (folder).values()) {
        text += await (await /** @type {FileSystemFileHandle} */ (file).getFile()).text();
      }
    }
    return text;
  });
  assert.ok(kept.includes('/model/') && !kept.includes('secret'));
});

test('two pages at once do not harm each other', async () => {
  const hub = new FakeHub(small, { pace: 10 });
  const page = await open(hub);
  const other = await openIn(page.context(), page.url());
  const outcomes = await Promise.all([load(page, '/model/'), load(other, '/model/')]);
  hub.isOpen = false;
  const kept = await load(page, '/model/');
  assert.ok(kept.embeddings, kept.message);
  for (const { embeddings, message } of outcomes) assert.equal(embeddings, kept.embeddings, message);
  assert.equal((await listed(page)).length, 1);
});

test('where there are no files, the Cache API keeps it', async () => {
  const hub = new FakeHub();
  const page = await open(hub);
  harness.server.workerFaults = { without: ['files'] };
  const first = await load(page, '/model/');
  assert.deepEqual(first.notices, []);
  hub.isOpen = false;
  const second = await load(page, '/model/');
  assert.ok(second.embeddings, second.message);
  assert.equal(second.embeddings, first.embeddings);
  assert.deepEqual(
    (await listed(page)).map(({ complete }) => complete),
    [true],
  );
  await page.evaluate(async () => (await import('/www/siglip.js')).deleteModel('/model/'));
  assert.deepEqual(await listed(page), []);
});

test('an operation of the Cache API that fails once does not hold up the load', async () => {
  const page = await open(new FakeHub());
  const expected = await load(page, '/model/', { cache: false });
  // Opening, finding, storing, the first pieces, the end.
  for (let at = 1; at <= 8; at++) {
    await page.evaluate(async () => (await import('/www/siglip.js')).deleteAllModels());
    const storage = { at, error: 'QuotaExceededError', once: true };
    harness.server.workerFaults = { without: ['files'], storage };
    const { embeddings, message } = await load(page, '/model/');
    assert.equal(embeddings, expected.embeddings, `${at}: ${message}`);
  }
});

test('another version at the server is not mixed with what came before', async () => {
  const hub = new FakeHub(small, { pace: 2 });
  const page = await open(hub);
  hub.faults[WEIGHTS] = [{ cut: 0.6 }];
  const other = otherWeights(small);
  const half = load(page, '/model/', { precision: 'f32', retryDelay: 200 });
  await page.waitForTimeout(150);
  hub.files = other;
  const mixed = await half;
  const [expected, before] = [
    await load(page, '/model/', { precision: 'f32', cache: false }),
    (hub.files = small) && (await load(page, '/model/', { precision: 'f32', cache: false })),
  ];
  assert.notEqual(expected.embeddings, before.embeddings);
  assert.equal(mixed.embeddings, expected.embeddings, mixed.message);
});
