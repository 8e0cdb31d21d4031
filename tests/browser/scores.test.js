/** Scores of one's own: bias, relative scores, calibration; and several templates. In scripts, in the element, on the page. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Harness, assertClose, fileAt, openIn, problemsOf } from './harness.js';
import { cardOf, labelsOf, loadModel } from './page-actions.js';

const harness = new Harness();
const LABELS = ['a cat', 'a dog', 'a boat'];

const open = () => harness.open({ path: '/tests/browser/pages/blank.html' });

test('bias and scale move logits and mark scores; shares count all labels, also those left out', async () => {
  const page = await open();
  const { plain, own, relative, many, info, refusals } = await page.evaluate(async (labels) => {
    const { Siglip } = await import('/www/siglip.js');
    const siglip = await Siglip.load();
    const embedding = await siglip.embedImage('/www/samples/cat.jpg');
    // More than the worker scores at a time.
    const hundred = [...labels, ...Array.from({ length: 97 }, (_, i) => `a cat and ${i}`), 'a blorp'];
    const refusals = [];
    for (const options of [{ scale: 0 }, { scale: -1 }, { bias: Infinity }, { scale: NaN }, { bias: '3' }]) {
      refusals.push(
        await siglip.score(embedding, labels, /** @type {any} */ (options)).then(
          () => 'none',
          ({ code }) => code,
        ),
      );
    }
    return {
      plain: await siglip.score(embedding, labels),
      own: await siglip.score(embedding, labels, { bias: 3, scale: 0.5 }),
      relative: await siglip.score(embedding, labels, { relative: true, topK: 2 }),
      many: await siglip.score(embedding, hundred, { relative: true }),
      info: siglip.info,
      refusals,
    };
  }, LABELS);
  const { logitScale = NaN, logitBias = NaN } = info;
  for (const [i, { label, logit, cosine = NaN, adjusted, relative }] of plain.entries()) {
    assertClose(logit, cosine * logitScale + logitBias, 1e-4, label);
    assert.deepEqual([adjusted, relative], [undefined, undefined]);
    assertClose(own[i].logit, 0.5 * cosine * logitScale + logitBias + 3, 1e-4, `own ${label}`);
    assert.deepEqual([own[i].label, own[i].cosine, own[i].adjusted], [label, cosine, true]);
  }
  const powers = plain.map(({ logit }) => Math.exp(logit - plain[0].logit));
  const sum = powers.reduce((a, b) => a + b);
  assert.equal(relative.length, 2);
  for (const [i, score] of relative.entries()) {
    assertClose(score.relative ?? NaN, powers[i] / sum, 1e-6, score.label);
    assert.equal(score.score, plain[i].score);
  }
  assert.equal(many.length, 101);
  assert.deepEqual([many[100].label, many[100].relative], ['a blorp', undefined]);
  assertClose(
    many.reduce((sum, { relative = 0 }) => sum + relative, 0),
    1,
    1e-5,
    'all shares',
  );
  assert.deepEqual(refusals, Array(5).fill('bad-input'));
  assert.deepEqual(await problemsOf(page), []);
});

test('the mean over several templates is the same with one worker and with two, and as a label set', async () => {
  const page = await open();
  const answers = await page.evaluate(async (labels) => {
    const { Siglip } = await import('/www/siglip.js');
    const picture = '/www/samples/cat.jpg';
    const answers = [];
    for (const workers of [1, 2]) {
      const siglip = await Siglip.load('tiny', { workers });
      const embedding = await siglip.embedImage(picture);
      const template = ['a photo of {}', 'imagenet'];
      const mean = await siglip.score(embedding, labels, { template });
      const texts = await siglip.embedText([
        'a photo of a cat',
        'itap of a a cat.',
        'a bad photo of the a cat.',
        'a origami a cat.',
        'a photo of the large a cat.',
        'a a cat in a video game.',
        'art of the a cat.',
        'a photo of the small a cat.',
        'a cat',
      ]);
      const sums = texts[0].map((_, at) => texts.reduce((sum, text) => sum + text[at], 0));
      const cosine = sums.reduce((dot, x, at) => dot + x * embedding[at], 0) / Math.hypot(...sums);
      await siglip.importLabels(await siglip.exportLabels(labels, { template, name: 'nine' }));
      const set = await siglip.score(embedding, undefined, { labelSet: 'nine' });
      answers.push({ mean, cosine, set });
      siglip.dispose();
    }
    const siglip = await Siglip.load();
    const refusal = await siglip
      .classify(picture, labels, { template: ['{}', 'photo'] })
      .catch((error) => error.message);
    return { answers, refusal };
  }, LABELS);
  for (const { mean, cosine, set } of answers.answers) {
    const cat = mean.find(({ label }) => label === 'a cat');
    assertClose(cat?.cosine ?? NaN, cosine, 1e-5, 'the mean of nine texts');
    assert.deepEqual(
      set.map(({ label, logit }) => [label, Math.fround(logit)]),
      mean.map(({ label, logit }) => [label, Math.fround(logit)]),
    );
    assert.deepEqual(mean, answers.answers[0].mean);
  }
  assert.match(answers.refusal, /"photo" has no \{\}.*"imagenet"/);
});

test('calibration fits judged examples, and says how well', async () => {
  const page = await open();
  const { fitted, again, refusals } = await page.evaluate(async (labels) => {
    const { Siglip } = await import('/www/siglip.js');
    const siglip = await Siglip.load();
    const names = ['cat', 'dog', 'boat'];
    const examples = names.flatMap((name) =>
      labels.map((label) => ({
        image: `/www/samples/${name}.jpg`,
        label,
        truth: label === `a ${name}`,
      })),
    );
    const fitted = await siglip.calibrate(examples);
    const { scale, bias } = fitted;
    const again = [];
    for (const { image, label, truth } of examples) {
      const [score] = await siglip.classify(image, [label], { scale, bias });
      again.push({ ...score, truth });
    }
    const [one] = examples;
    const refusals = [];
    for (const wrong of [
      [],
      [one],
      [{ ...one, truth: 1 }],
      'none',
      [one, { ...one, label: 'a blorp', truth: false }],
    ]) {
      refusals.push(
        await siglip.calibrate(/** @type {any} */ (wrong)).catch(({ code, message }) => ({ code, message })),
      );
    }
    return { fitted, again, refusals };
  }, LABELS);
  const { examples, before, after, evenCosine, scale, bias } = fitted;
  assert.equal(examples, 9);
  assert.ok(after.logLoss < before.logLoss && scale > 0 && Number.isFinite(bias), JSON.stringify(fitted));
  const loss = again.reduce((sum, { score, truth }) => sum - Math.log(truth ? score : 1 - score), 0) / 9;
  assertClose(loss, after.logLoss, 1e-4, 'the log loss of the scores with scale and bias');
  for (const { cosine = NaN, score } of again) assert.equal(score > 0.5, cosine > evenCosine);
  assert.equal(after.bins.length, 10);
  const reasons = [
    /at least one of each kind/,
    /at least one of each kind/,
    /list of/,
    /list of/,
    /cannot read blorp/,
  ];
  for (const [i, refusal] of refusals.entries()) {
    assert.ok('code' in refusal && refusal.code === 'bad-input', JSON.stringify(refusal));
    assert.match(refusal.message, reasons[i]);
  }
  assert.deepEqual(await problemsOf(page), []);
});

test('the element takes bias, relative and several templates', async () => {
  const page = await open();
  harness.server.intercept = (path, response) => {
    if (path !== '/host') return false;
    response.setHeader('content-type', 'text/html; charset=utf-8');
    response.end(`<!doctype html><html lang="en"><title>Host</title><link rel="icon" href="data:," />
      <script type="module" src="/www/siglip-classifier.js"></script>
      <siglip-classifier labels="a cat, a dog" template="a photo of {} | {}" bias="-3" src="/www/samples/cat.jpg"
        loading="eager"></siglip-classifier>`);
  };
  const host = await openIn(page.context(), `${harness.server.origin}/host`);
  const element = host.locator('siglip-classifier');
  const scores = host.locator('siglip-classifier [part=score]');
  await scores.nth(1).waitFor();
  assert.match(
    (await scores.first().getAttribute('title')) ?? '',
    /cosine .* \(scale and bias not the model’s\)/,
  );
  await element.evaluate((element) => {
    element.removeAttribute('bias');
    element.setAttribute('relative', '');
  });
  await host.waitForFunction(() => {
    const values = document.querySelector('siglip-classifier')?.shadowRoot?.querySelectorAll('data') ?? [];
    return (
      values.length === 2 && Math.abs([...values].reduce((sum, { value }) => sum + +value, 0) - 1) < 1e-5
    );
  });
  assert.deepEqual(await problemsOf(host), []);
});

test('on the page a bias raises all scores, shares add up, and both can be taken back', async () => {
  const page = await harness.open();
  await labelsOf(page, 'insect.jpg');
  const value = async () =>
    Number(await cardOf(page, 'insect.jpg').locator('data').last().getAttribute('value'));
  const before = await value();
  await page.getByText('Adjust the scores').click();
  await page.locator('#bias').fill('5');
  await page.getByText('With your own bias of +5').waitFor();
  await page.waitForFunction(
    (before) => Number(document.querySelector('#cards data:last-of-type')?.getAttribute('value')) !== before,
    before,
  );
  await page.getByLabel('Compare the labels').check();
  await page.getByText('Shares of 100% among these labels').waitFor();
  await page.waitForFunction(() => {
    const values = [...document.querySelectorAll('#cards data')];
    return Math.abs(values.reduce((sum, each) => sum + Number(each.getAttribute('value')), 0) - 1) < 1e-4;
  });
  await page.getByRole('button', { name: 'As the model gives them' }).click();
  await page.waitForFunction(
    (before) => Number([...document.querySelectorAll('#cards data')].pop()?.getAttribute('value')) === before,
    before,
  );
  assert.match((await page.locator('#meaning').textContent()) ?? '', /need not add up to 100%\.\s*$/);
  await page.locator('#template').fill('imagenet');
  await page.waitForFunction(
    (before) => Number([...document.querySelectorAll('#cards data')].pop()?.getAttribute('value')) !== before,
    before,
  );
  assert.match(page.url(), /template=imagenet/);
  assert.deepEqual(await problemsOf(page), []);
});

test('on the page judged answers fit the scores, show how well, and the fit can be undone', async () => {
  const page = await harness.open();
  const names = ['boat', 'cat', 'coffee'];
  // By then the page takes files.
  await labelsOf(page, 'insect.jpg');
  await page
    .getByLabel('Choose pictures')
    .setInputFiles(names.map((name) => fileAt(`www/samples/${name}.jpg`)));
  for (const name of names) await labelsOf(page, `${name}.jpg`);
  const scores = () =>
    page.evaluate(() =>
      [...document.querySelectorAll('#cards data')].map((each) => each.getAttribute('value')),
    );
  const before = await scores();
  await page.getByText('Adjust the scores').click();
  await page.getByRole('button', { name: 'Judge a few answers' }).click();
  const panel = page.locator('.calibration');
  await panel.waitFor();
  const fit = panel.getByRole('button', { name: 'Fit the scores' });
  assert.ok(await fit.isDisabled());
  const answers = panel.getByRole('group');
  assert.equal(await answers.count(), 15);
  for (const each of await answers.all()) {
    const [picture, label] = ((await each.locator('legend').getAttribute('aria-label')) ?? '').split(': ');
    const isTrue = label.includes(picture.slice(0, -'.jpg'.length));
    await each.getByLabel(isTrue ? 'Yes' : 'No').check();
  }
  await panel.getByText('15 judged, 3 of them true.').waitFor();
  await fit.click();
  await panel.getByRole('img', { name: 'Reliability before and after' }).waitFor();
  assert.match(
    (await page.locator('#meaning').textContent()) ?? '',
    /scale of [\d.]+, fitted to 15 answers that you/,
  );
  const [, lossBefore, lossAfter] =
    ((await panel.locator('tr', { hasText: 'Log loss' }).textContent()) ?? '').match(
      /([\d]\.[\d]{3})([\d]\.[\d]{3})/,
    ) ?? [];
  assert.ok(+lossAfter < +lossBefore, `${lossBefore}, ${lossAfter}`);
  await page.waitForFunction(() =>
    /not the model/.test(document.querySelector('#cards data')?.getAttribute('title') ?? ''),
  );
  assert.notDeepEqual(await scores(), before);
  await panel.getByRole('button', { name: 'Undo the fit' }).click();
  await page.waitForFunction(
    (before) =>
      JSON.stringify(
        [...document.querySelectorAll('#cards data')].map((each) => each.getAttribute('value')),
      ) === before,
    JSON.stringify(before),
  );
  assert.equal(await panel.locator('output').isHidden(), true);
  // Another model's scores are not those that were judged.
  await fit.click();
  await panel.getByRole('img', { name: 'Reliability' }).waitFor();
  await loadModel(page, `${harness.server.origin}/tests/fixtures/random-small`);
  await panel.getByRole('img', { name: 'Reliability' }).waitFor({ state: 'hidden' });
  assert.match((await page.locator('#meaning').textContent()) ?? '', /need not add up to 100%\.\s*$/);
  await panel.getByRole('button', { name: 'Close the judging' }).click();
  assert.ok(await panel.isHidden());
  assert.deepEqual(await problemsOf(page), []);
});
