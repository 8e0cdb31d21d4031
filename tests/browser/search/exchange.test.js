/**
 * The files of a page that the command line reads, in tests/fixtures/from-page: an index, and classes as means and as a probe.
 * RECORD=1 writes them and the page's answers; crates/siglip-cli/tests/from_page.rs has the command line answer from them.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';
import { Harness, fileAt } from '../harness.js';
import { BLANK, prepare, run } from './prepare.js';

const harness = new Harness();
const FOLDER = 'tests/fixtures/from-page/';
/** Its weights stay as they are, other than the demonstration model's. */
const MODEL = '/tests/fixtures/random-small/';
const FILES = ['pictures.siglip-index', 'means.json', 'probe.json'];

test('an index and classes are as the recorded ones, which the command line reads too', async () => {
  const page = await harness.open({ path: BLANK });
  await prepare(page, MODEL);
  await run(
    page,
    `globalThis.answersOf = async ([index, means, probe]) => {
       const search = async (query) =>
         (await index.search(query)).map(({ name, hash, bytes, modified, score }) => ({ name, hash, bytes, modified, score }));
       const [cat] = await filesOf(['cat']);
       return { text: await search('a cat'), picture: await search(cat), mixed: await search({ text: 'a boat', minus: 'a dog', image: cat }),
         means: await means.classify(cat), probe: await probe.classify(cat) };
     };`,
  );
  const made = await run(
    page,
    `const index = await siglip.index();
     const [boat, cat, coffee, dog] = await filesOf(['boat', 'cat', 'coffee', 'dog']);
     await index.add([boat, cat, coffee, dog]).finished;
     const [means, probe] = [await siglip.classes(), await siglip.classes()];
     await means.add('a pet', { images: [cat, dog], text: 'a pet', mix: 0.7, not: coffee });
     await means.add('a thing', { images: [boat, coffee] });
     await probe.add('a pet', { images: [cat, dog] });
     await probe.add('a thing', { images: [boat, coffee] });
     await probe.train();
     const file = await index.export();
     const base64 = btoa(String.fromCharCode(...new Uint8Array(await file.arrayBuffer())));
     return { files: [base64, btoa(await means.export()), btoa(await probe.export())], answers: await answersOf([index, means, probe]) };`,
  );
  if (process.env.RECORD) {
    fs.mkdirSync(fileAt(FOLDER), { recursive: true });
    FILES.forEach((name, i) => fs.writeFileSync(fileAt(FOLDER + name), made.files[i], 'base64'));
    fs.writeFileSync(fileAt(FOLDER + 'answers.json'), `${JSON.stringify(made.answers, undefined, 1)}\n`);
  }
  const recorded = JSON.parse(fs.readFileSync(fileAt(FOLDER + 'answers.json'), 'utf8'));
  assertNear(made.answers, recorded);
  const read = await run(
    page,
    `const blob = async (name) => (await fetch('/${FOLDER}' + name)).blob();
     const index = await siglip.index('another');
     await index.import(await blob('${FILES[0]}'));
     return answersOf([index, await siglip.classes(await blob('${FILES[1]}')), await siglip.classes(await blob('${FILES[2]}'))]);`,
  );
  assertNear(read, recorded);
});

/**
 * The same but for what processors differ in.
 * @param {any} actual
 * @param {any} expected
 * @param {string} [path]
 */
function assertNear(actual, expected, path = '') {
  if (typeof expected === 'number') {
    assert.ok(
      Math.abs(actual - expected) <= 1e-3 * Math.max(1, Math.abs(expected)),
      `${path}: ${actual}, not ${expected}`,
    );
  } else if (typeof expected === 'object') {
    assert.deepEqual(Object.keys(actual), Object.keys(expected), path);
    for (const key of Object.keys(expected)) assertNear(actual[key], expected[key], `${path}.${key}`);
  } else assert.equal(actual, expected, path);
}
