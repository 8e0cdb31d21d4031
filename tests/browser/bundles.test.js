/** Bundles for fixed labels, and labels that are exported and imported: the same scores without a text tower. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Harness, openIn, problemsOf } from './harness.js';
import { labelsOf } from './page-actions.js';
import { bundleOf } from './weights/bundle-file.js';

const harness = new Harness();
const LABELS = ['a cat', 'a dog', 'a boat', 'an insect', 'a coffee cup'];
const BUNDLE = '/bundles/classifier.gguf';

/** Serves bundles by their addresses, besides the repository. @param {Record<string, Buffer>} bundles */
function serve(bundles) {
  harness.server.intercept = (path, response) => {
    if (!Object.hasOwn(bundles, path)) return false;
    response.setHeader('etag', `"${bundles[path].length}"`);
    response.setHeader('content-length', bundles[path].length);
    response.end(bundles[path]);
  };
}

/** A blank page with the labels of the embedded model as JSON. */
async function open() {
  const page = await harness.open({ path: '/tests/browser/pages/blank.html' });
  const json = await page.evaluate(async (labels) => {
    const { Siglip } = await import('/www/siglip.js');
    const siglip = await Siglip.load();
    const json = await siglip.exportLabels(labels, { name: 'things' });
    siglip.dispose();
    return json;
  }, LABELS);
  return { page, json };
}

test('a bundle has the scores of the whole model, in one worker or two, from the network or the cache', async () => {
  const { page, json } = await open();
  serve({ [BUNDLE]: bundleOf(json) });
  const answers = await page.evaluate(
    async ({ labels, address }) => {
      const { Siglip } = await import('/www/siglip.js');
      const picture = '/www/samples/cat.jpg';
      const whole = await Siglip.load();
      const expected = await whole.classify(picture, labels);
      const loads = [];
      for (const options of [{ workers: 1 }, { workers: 2 }, { workers: 2 }, {}]) {
        const siglip = await Siglip.load(address, options);
        const scores = await siglip.classify(picture);
        const top = await siglip.classify(picture, undefined, { topK: 2 });
        const some = await siglip.classify(picture, ['a boat', 'a cat']);
        const lists = await siglip.classify([picture, picture]);
        loads.push({ scores, top, some, lists, info: siglip.info });
        siglip.dispose();
      }
      return { expected, loads };
    },
    { labels: LABELS, address: BUNDLE },
  );
  assert.equal(answers.loads.length, 4);
  for (const { scores, top, some, lists, info } of answers.loads) {
    assert.equal(info.towers, 'image');
    assert.deepEqual(info.labelSets, [{ name: 'things', labels: LABELS }]);
    assert.equal(scores.length, LABELS.length);
    for (const [i, { label, score }] of scores.entries()) {
      assert.equal(label, answers.expected[i].label);
      assert.ok(Math.abs(score - answers.expected[i].score) <= 1e-6, `${label}: ${score}`);
    }
    assert.deepEqual(top, scores.slice(0, 2));
    assert.deepEqual(
      some,
      scores.filter(({ label }) => label === 'a boat' || label === 'a cat'),
    );
    assert.deepEqual(lists, [scores, scores]);
  }
  assert.equal(harness.server.requestsOf('GET /bundles').length, 1);
  assert.deepEqual(await problemsOf(page), []);
});

test('a bundle in q8_0 with two label sets has the scores of the whole model in q8_0', async () => {
  const page = await harness.open({ path: '/tests/browser/pages/blank.html' });
  const { sets, worst } = await page.evaluate(async () => {
    const { Siglip } = await import('/www/siglip.js');
    const [bundle, whole] = await Promise.all(
      ['q8_0', 'whole-q8_0'].map((name) =>
        Siglip.load(`/tests/fixtures/bundles/${name}.gguf`, { workers: 1 }),
      ),
    );
    const sets = bundle.info.labelSets ?? [];
    let worst = 0;
    for (const name of ['cat', 'boat', 'coffee']) {
      for (const { name: labelSet, labels } of sets) {
        const picture = `/www/samples/${name}.jpg`;
        const scores = await bundle.classify(picture, undefined, { labelSet });
        const expected = await whole.classify(picture, labels);
        for (const { label, score } of expected) {
          const own = scores.find((each) => each.label === label)?.score ?? NaN;
          worst = Math.max(worst, Math.abs(own - score));
        }
      }
    }
    return { sets, worst };
  });
  assert.deepEqual(sets, [
    { name: 'things', labels: ['a cat', 'a dog', 'a boat'] },
    { name: 'colours', labels: ['red', 'green'] },
  ]);
  assert.ok(worst <= 1e-6, `${worst}`);
  assert.deepEqual(await problemsOf(page), []);
});

test('other labels, texts and a text tower are refused, with the reason', async () => {
  const { page, json } = await open();
  serve({ [BUNDLE]: bundleOf(json) });
  const refusals = await page.evaluate(async (address) => {
    const { Siglip } = await import('/www/siglip.js');
    const siglip = await Siglip.load(address);
    const picture = '/www/samples/cat.jpg';
    const calls = [
      () => siglip.classify(picture, ['a tree']),
      () => siglip.classify(picture, ['a cat', 'x'.repeat(10_000)]),
      () => siglip.classify(picture, []),
      () => siglip.classify(picture, undefined, { labelSet: 'animals' }),
      () => siglip.embedText('a tree'),
      () => siglip.exportLabels(['a tree']),
      () => Siglip.load(address, { towers: 'text' }),
      () => siglip.importLabels('{}'),
      async () => (await Siglip.load()).classify(picture),
    ];
    const refusals = [];
    for (const call of calls) {
      refusals.push(
        await call().then(
          () => ({ code: 'none', message: `${call}` }),
          ({ code, message }) => ({ code, message }),
        ),
      );
    }
    const after = await siglip.classify(picture);
    return { refusals, after: after.length };
  }, BUNDLE);
  assert.equal(refusals.after, LABELS.length);
  const expected = [
    /"a tree" is none of the fixed labels \("a cat".* 2 more\)/,
    /none of the fixed labels/,
    /there are no labels/,
    /no label set "animals"; there is "things"/,
    /bundle for fixed labels, without a text tower/,
    /none of the fixed labels/,
    /bundle for fixed labels, without a text tower/,
    /format/,
    /there are no labels/,
  ];
  for (const [i, { code, message }] of refusals.refusals.entries()) {
    assert.equal(code, 'bad-input', message);
    assert.match(message, expected[i]);
  }
});

test('labels go from one load to another as JSON, and those of another model do not', async () => {
  const { page, json } = await open();
  const result = await page.evaluate(
    async ({ json, labels }) => {
      const { Siglip } = await import('/www/siglip.js');
      const picture = '/www/samples/boat.jpg';
      const whole = await Siglip.load();
      const expected = await whole.classify(picture, labels);
      const blorp = await whole.classify(picture, ['a blorp']);
      const unread = await whole.exportLabels(['a blorp'], { name: 'unread' });
      const several = await whole.exportLabels(['a boat'], {
        template: ['a photo of {}.', '{}'],
        name: 'several',
      });
      const siglip = await Siglip.load('tiny', { towers: 'image' });
      for (const sets of [json, JSON.parse(several), unread]) await siglip.importLabels(sets);
      const other = json.replace(/"logitBias":-?[\d.]+/, '"logitBias":-12.5');
      return {
        expected,
        scores: await siglip.classify(picture),
        blorp,
        unread: await siglip.classify(picture, ['a blorp']),
        several: await siglip.classify(picture, undefined, { labelSet: 'several' }),
        names: siglip.info.labelSets?.map(({ name }) => name),
        again: (await siglip.exportLabels()).length,
        other: await siglip.importLabels(other).then(
          () => ({ code: 'none', message: '' }),
          ({ code, message }) => ({ code, message }),
        ),
        aborted: await whole
          .exportLabels(labels, { signal: AbortSignal.abort() })
          .catch((/** @type {Error} */ { name }) => name),
        none: await whole.exportLabels().catch(({ code }) => code),
        twice: JSON.parse(await whole.exportLabels(['a cat', 'a cat'])).sets[0].labels,
        badTemplate: await whole.exportLabels(['a cat'], { template: [] }).catch(({ code }) => code),
      };
    },
    { json, labels: LABELS },
  );
  assert.deepEqual(result.scores, result.expected);
  assert.deepEqual(result.unread, result.blorp);
  assert.deepEqual(result.blorp[0].unknown, ['blorp']);
  assert.equal(result.several[0].label, 'a boat');
  assert.ok(result.several[0].score > 0.5, `${result.several[0].score}`);
  assert.deepEqual(result.names, ['things', 'several', 'unread']);
  assert.ok(result.again > json.length);
  assert.equal(result.other.code, 'bad-input');
  assert.match(result.other.message, /another model, "tiny"/);
  assert.equal(result.aborted, 'AbortError');
  assert.equal(result.none, 'bad-input');
  assert.deepEqual(result.twice, ['a cat']);
  assert.equal(result.badTemplate, 'bad-input');
});

test('a bundle with broken labels is refused with its reason', async () => {
  const { page, json } = await open();
  const labels = JSON.parse(json);
  const [set] = labels.sets;
  const nan = Buffer.from(new Float32Array(LABELS.length * labels.embeddingSize).fill(NaN).buffer);
  const broken = {
    nan: [{ ...set, embeddings: nan.toString('base64') }],
    missing: [{ ...set, embeddings: undefined }],
    long: [{ ...set, labels: [...LABELS.slice(1), 'x'.repeat(10_000)] }],
    many: [{ ...set, labels: Array.from({ length: 5000 }, (_, i) => `label ${i}`) }],
  };
  serve(
    Object.fromEntries(
      Object.entries(broken).map(([name, sets]) => [
        `/bundles/${name}.gguf`,
        bundleOf(JSON.stringify({ ...labels, sets })),
      ]),
    ),
  );
  const errors = await page.evaluate(async (names) => {
    const { Siglip } = await import('/www/siglip.js');
    return Promise.all(
      names.map((name) =>
        Siglip.load(`/bundles/${name}.gguf`).then(
          () => ({ code: 'loaded', message: name }),
          ({ code, message }) => ({ code, message }),
        ),
      ),
    );
  }, Object.keys(broken));
  const reasons = [/L2 norm/, /embeddings/, /10000 characters/, /5000 x/];
  for (const [i, { code, message }] of errors.entries()) {
    assert.equal(code, 'bad-weights', message);
    assert.match(message, reasons[i]);
  }
});

test('the element shows the labels of a bundle by itself, or those of a set or an attribute', async () => {
  const { page, json } = await open();
  const labels = JSON.parse(json);
  const [set] = labels.sets;
  const half = Buffer.from(set.embeddings, 'base64').subarray(0, 2 * 4 * labels.embeddingSize);
  labels.sets.push({
    ...set,
    name: 'animals',
    labels: LABELS.slice(0, 2),
    embeddings: half.toString('base64'),
  });
  const bundle = bundleOf(JSON.stringify(labels));
  harness.server.intercept = (path, response) => {
    if (path === BUNDLE) response.end(bundle);
    else if (path === '/host') {
      response.setHeader('content-type', 'text/html; charset=utf-8');
      response.end(`<!doctype html><html lang="en"><title>Host</title><link rel="icon" href="data:," />
        <script type="module" src="/www/siglip-classifier.js"></script>
        <siglip-classifier model="${BUNDLE}" src="/www/samples/cat.jpg" loading="eager"></siglip-classifier>`);
    } else return false;
  };
  const host = await openIn(page.context(), `${harness.server.origin}/host`);
  const shown = host.locator('siglip-classifier [part=label]');
  await shown.nth(4).waitFor();
  assert.deepEqual((await shown.allTextContents()).toSorted(), LABELS.toSorted());
  assert.equal((await shown.allTextContents())[0], 'a cat');
  const set_ = (/** @type {string} */ name, /** @type {string} */ value) =>
    host
      .locator('siglip-classifier')
      .evaluate((e, [name, value]) => e.setAttribute(name, value), [name, value]);
  await set_('label-set', 'animals');
  await host.waitForFunction(
    () =>
      document.querySelector('siglip-classifier')?.shadowRoot?.querySelectorAll('[part=label]').length === 2,
  );
  await set_('labels', 'a dog');
  await host.waitForFunction(
    () =>
      document.querySelector('siglip-classifier')?.shadowRoot?.querySelectorAll('[part=label]').length === 1,
  );
  await set_('labels', 'a tree');
  await host.getByText('is none of the fixed labels').waitFor();
  assert.deepEqual(await problemsOf(host), []);
});

test('on the page, the labels of a bundle become the chips', async () => {
  const { page, json } = await open();
  serve({ [BUNDLE]: bundleOf(json.replace('"a cat"', '"a kitten"')) });
  const host = await openIn(page.context(), `${harness.server.origin}/`);
  await labelsOf(host, 'insect.jpg');
  await host.getByText('Use another model').click();
  await host.locator('#model').selectOption('custom');
  await host.locator('#custom-url').fill(`${harness.server.origin}${BUNDLE}`);
  await host.getByRole('button', { name: 'Load this model' }).click();
  await host.getByRole('textbox', { name: 'Label', exact: true }).first().waitFor();
  await host.waitForFunction(() =>
    [...document.querySelectorAll('#labels input')].some(
      (input) => /** @type {HTMLInputElement} */ (input).value === 'a kitten',
    ),
  );
  const labels = await labelsOf(host, 'insect.jpg');
  assert.equal(labels.length, LABELS.length);
  assert.equal(labels[0], 'an insect');
  assert.deepEqual(await problemsOf(host), []);
});
