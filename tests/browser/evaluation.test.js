/** The evaluation of a folder with one folder per class. */
import assert from 'node:assert/strict';
import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { Harness, fileAt, problemsOf } from './harness.js';
import { cardOf, dropFromDisk, labelsOf } from './page-actions.js';

/** @typedef {import('./harness.js').Page} Page */

const harness = new Harness();

/** A folder on disk for one test. */
let folder = '';
beforeEach(async () => {
  folder = join(await mkdtemp(join(tmpdir(), 'siglip-evaluation-')), 'things');
});
afterEach(() => rm(dirname(folder), { recursive: true }));

/**
 * Sorts pictures into class folders.
 * @param {Record<string, string>} pictures sources by their place
 */
async function lay(pictures) {
  for (const [place, source] of Object.entries(pictures)) {
    await mkdir(dirname(join(folder, place)), { recursive: true });
    await cp(fileAt(source), join(folder, place));
  }
}

/** So many pictures that the tiny model takes some seconds, even on a fast machine. */
const many = () =>
  Object.fromEntries(
    ['cat', 'dog'].flatMap((name) =>
      Array.from({ length: 200 }, (_, i) => [`${name}/${i}.jpg`, sample(name)]),
    ),
  );

const sample = (/** @type {string} */ name) => `www/samples/${name}.jpg`;
const broken = 'tests/fixtures/pictures/formats/pillow_broken.png';

/** Six classes; some pictures lie in the wrong one. */
const things = {
  'a_boat/red.jpg': sample('boat'),
  'a_boat/cup.jpg': sample('coffee'),
  'a-cat/face.jpg': sample('cat'),
  'a-cat/terrier.jpg': sample('dog'),
  'a-cat/nothing.png': broken,
  'a dog/terrier.jpg': sample('dog'),
  'an insect/green.jpg': sample('insect'),
  'a coffee cup/cup.jpg': sample('coffee'),
  'a tree/green.jpg': sample('insect'),
  'cover.jpg': sample('cat'),
};
const labels = ['a boat', 'a cat', 'a coffee cup', 'a dog', 'a tree', 'an insect'];

/** The class of each picture that can be read, and what the model says of it when asked about it alone. @param {Page} page */
async function expectation(page) {
  const readable = Object.entries(things).filter(([place]) => /\/.*jpg$/.test(place));
  const asked = readable.map(([place, source]) => ({
    truth: place.split('/')[0].replace(/[_-]/g, ' '),
    source,
  }));
  return page.evaluate(
    async ({ asked, labels }) => {
      const { Siglip } = await import('/www/siglip.js');
      const siglip = await Siglip.load();
      const answers = [];
      for (const { truth, source } of asked) {
        answers.push({ truth, scores: await siglip.classify(`/${source}`, labels) });
      }
      siglip.dispose();
      return answers;
    },
    { asked, labels },
  );
}

/** Waits for the end of an evaluation and reads its figures. @param {Page} page */
async function figuresOf(page) {
  await page.getByRole('button', { name: 'Run again' }).waitFor();
  const text = (await page.locator('.evaluation dl').innerText()).split('\n').filter(Boolean);
  return Object.fromEntries(text.flatMap((name, i) => (i % 2 ? [] : [[name, text[i + 1]]])));
}

/** The table as it reads. @param {Page} page */
const matrixOf = (page) =>
  page
    .locator('.matrix tr')
    .evaluateAll((rows) => rows.map((row) => [...row.children].map((cell) => cell.textContent)));

test('the metrics equal those of the pictures classified one by one', async () => {
  await lay(things);
  const page = await harness.open();
  await page.locator('#dataset').setInputFiles(folder);
  const figures = await figuresOf(page);
  const answers = await expectation(page);

  const places = answers.map(({ truth, scores }) => scores.findIndex(({ label }) => label === truth));
  const share = (/** @type {number} */ depth) =>
    `${((100 * places.filter((place) => place < depth).length) / places.length).toFixed(1)}%`;
  assert.deepEqual(figures, {
    Pictures: String(answers.length),
    'Top-1 accuracy': share(1),
    'Top-5 accuracy': share(5),
  });
  assert.equal(answers.length, 8);

  const count = (/** @type {string} */ truth, /** @type {string} */ said) =>
    answers.filter((answer) => answer.truth === truth && answer.scores[0].label === said).length;
  assert.deepEqual(await matrixOf(page), [
    ['', ...labels],
    ...labels.map((truth) => [truth, ...labels.map((said) => String(count(truth, said)))]),
  ]);
  assert.equal(await page.locator('.matrix th[scope=col]').count(), 6);
  assert.equal(await page.locator('.matrix th[scope=row]').count(), 6);

  await page.getByText('1 picture could not be read').click();
  await page.getByText('a-cat/nothing.png').waitFor();
  const wrong = places.filter((place) => place > 0).length;
  assert.ok(wrong > 1);
  await page.getByText(`${wrong} pictures taken for something else`).click();
  assert.equal(await page.locator('.mistakes li').count(), wrong);
  const dog = page.locator('.mistakes li', { hasText: 'a-cat/terrier.jpg' });
  assert.match(await dog.innerText(), /said “a dog”, .*; “a cat” has /);
  assert.deepEqual(await problemsOf(page), []);
});

test('a dropped folder of class folders is evaluated, and again with another template', async () => {
  await lay({ 'cat/a.jpg': sample('cat'), 'boat/b.jpg': sample('boat') });
  const page = await harness.open();
  await labelsOf(page, 'insect.jpg');
  await dropFromDisk(page, [folder, fileAt(sample('dog'))]);
  assert.deepEqual(await figuresOf(page), { Pictures: '2', 'Top-1 accuracy': '100.0%' });
  await cardOf(page, 'dog.jpg').waitFor();
  assert.equal(await page.locator('#cards > li').count(), 1, 'its pictures are no cards');
  await page.locator('#template').fill('{} {} {}');
  await page.getByRole('button', { name: 'Run again' }).click();
  await page.locator('.evaluation .hint', { hasText: '“{} {} {}”' }).first().waitFor();
  await figuresOf(page);
  await page.getByRole('button', { name: 'Close the evaluation' }).click();
  assert.equal(await page.locator('.evaluation').count(), 0);
  assert.equal(await page.evaluate(() => document.activeElement?.id), 'dataset');
});

test('a stopped evaluation says how many pictures it has seen', async () => {
  await lay(many());
  const page = await harness.open();
  await page.locator('#dataset').setInputFiles(folder);
  await page.locator('.evaluation dd').first().waitFor();
  await page.getByRole('button', { name: 'Stop' }).click();
  const { Pictures } = await figuresOf(page);
  assert.ok(Number(Pictures) > 0 && Number(Pictures) < 400, Pictures);
  await page.getByText(`Stopped after ${Pictures} of 400 pictures.`, { exact: true }).waitFor();
});

test('replacing the model ends the evaluation, which can be run again with the new one', async () => {
  await lay(many());
  const page = await harness.open();
  await labelsOf(page, 'insect.jpg');
  await page.getByText('Use another model').click();
  await page.locator('#model').selectOption('custom');
  await page.locator('#dataset').setInputFiles(folder);
  await page.locator('.evaluation dd').first().waitFor();
  await page.locator('#model-files').setInputFiles(fileAt('tests/fixtures/random-small/model.f16.gguf'));
  await page.getByText('The model has been replaced').waitFor();
  await page.getByRole('button', { name: 'Run again' }).click();
  await page.locator('.evaluation .hint', { hasText: 'model.f16.gguf' }).waitFor();
  await page.locator('.evaluation dd').first().waitFor();
  await page.getByRole('button', { name: 'Stop' }).click();
  assert.ok(Number((await figuresOf(page)).Pictures) > 0);
});

test('a folder without class folders is refused, and the message says what is missing', async () => {
  await lay({ 'cat/a.jpg': sample('cat') });
  const page = await harness.open();
  // The page listens once it has its language, a moment after it is loaded.
  await labelsOf(page, 'insect.jpg');
  await page.locator('#dataset').setInputFiles(folder);
  await page.locator('#intake-error', { hasText: 'two sub-folders of pictures' }).waitFor();
});
