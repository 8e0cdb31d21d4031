/** An index of pictures in the browser: filled, searched, kept over reloads, exchanged with files. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { browserOfTests } from '../browsers.js';
import { Harness, openIn, problemsOf } from '../harness.js';
import { BLANK, prepare, run } from './prepare.js';

const harness = new Harness();

test('texts, pictures and mixtures find pictures; broken files are listed and the rest is done', async () => {
  const page = await harness.open({ path: BLANK });
  await prepare(page);
  const result = /** @type {any} */ (
    await run(
      page,
      `const index = await siglip.index();
       const files = await filesOf(['boat', 'cat', 'dog', 'insect']);
       files.splice(1, 0, new File(['no picture'], 'notes.txt'), new File(['\\xff\\xd8\\xff'], 'cut.jpg'));
       const seen = [];
       const summary = await index.add(files, { onProgress: (progress) => seen.push(progress) }).finished;
       const names = async (query) => (await index.search(query, { topK: 4 })).map(({ name }) => name);
       const refusals = [];
       for (const query of ['a кошка', {}, { like: 'gone.jpg' }, { text: 'a cat', minus: 'a cat' }]) {
         refusals.push(await index.search(query).then(() => 'none', ({ code, message }) => code + ': ' + message));
       }
       return { summary, seen, refusals, text: await names('a cat'), image: await names(files[4]),
         like: await names({ like: 'boat.jpg' }), minus: await names({ text: 'an animal', minus: 'a cat' }),
         mixed: await names({ text: 'a dog', image: files[4] }), entries: await index.entries(),
         best: (await index.search({ like: 'boat.jpg' }))[0] };`,
    )
  );
  assert.deepEqual([result.summary.embedded, result.summary.known], [4, 0]);
  assert.deepEqual(
    result.summary.failures.map((/** @type {any} */ { name, code }) => [name, code]),
    [
      ['notes.txt', 'bad-image'],
      ['cut.jpg', 'bad-image'],
    ],
  );
  assert.deepEqual([result.seen.length, result.seen.at(-1).done, result.seen.at(-1).remaining], [6, 6, 0]);
  assert.equal(result.text[0], 'cat.jpg');
  assert.equal(result.image[0], 'dog.jpg');
  assert.equal(result.like[0], 'boat.jpg');
  assert.equal(result.minus.at(-1), 'cat.jpg');
  assert.equal(result.mixed[0], 'dog.jpg');
  assert.ok(Math.abs(result.best.score - 1) < 0.01, String(result.best.score));
  assert.match(result.entries[0].hash, /^[0-9a-f]{64}$/);
  assert.match(result.refusals[0], /^bad-input: The model cannot read кошка/);
  assert.match(result.refusals[1], /^bad-input: the query is empty/);
  assert.match(result.refusals[2], /^bad-input: the index has no picture "gone.jpg"/);
  assert.match(result.refusals[3], /^bad-input: the query is empty/);
  assert.deepEqual(await problemsOf(page), []);
});

test('an index outlives a reload, pauses, and keeps what was done before a cancel', async () => {
  const page = await harness.open({ path: BLANK });
  await prepare(page);
  const before = await run(
    page,
    `const index = await siglip.index();
     const files = await filesOf(['boat', 'cat', 'dog', 'insect']);
     const work = index.add(files, { onProgress: ({ done }) => { if (done === 2) work.pause(); } });
     while (!work.paused) await new Promise((resolve) => setTimeout(resolve, 20));
     await new Promise((resolve) => setTimeout(resolve, 200));
     const paused = (await index.entries()).length;
     work.cancel();
     return { paused, code: await work.finished.catch(({ code }) => code) };`,
  );
  assert.deepEqual(before, { paused: 2, code: 'aborted' });
  await page.reload();
  await prepare(page);
  const after = await run(
    page,
    `const index = await siglip.index();
     const kept = (await index.entries()).length;
     const files = await filesOf(['boat', 'cat', 'dog', 'insect']);
     const first = await index.add(files).finished;
     // The same content under another name, and one file less.
     const moved = [new File([files[0]], 'ship.jpg'), ...files.slice(1, 3)];
     const second = await index.add(moved, { removeMissing: true }).finished;
     const found = (await index.search('a boat'))[0].name;
     const removed = await index.remove(['ship.jpg', 'gone.jpg']);
     const groups = await index.duplicates(0.999);
     return { kept, first, second, found, removed, groups, left: (await index.entries()).length };`,
  );
  // What WebKit's driver keeps in the Cache API is gone with the page.
  const kept = browserOfTests.hasFiles ? 2 : 0;
  assert.deepEqual(after, {
    kept,
    first: { embedded: 4 - kept, known: kept, removed: 0, failures: [] },
    second: { embedded: 0, known: 3, removed: 2, failures: [] },
    found: 'ship.jpg',
    removed: 1,
    groups: [],
    left: 2,
  });
  assert.deepEqual(await problemsOf(page), []);
});

test('an index goes out as a file and as .npy, and comes in; a damaged or foreign file changes nothing', async () => {
  const page = await harness.open({ path: BLANK });
  await prepare(page);
  const result = await run(
    page,
    `const index = await siglip.index('first');
     await index.add(await filesOf(['boat', 'cat'])).finished;
     const file = await index.export();
     const { npy, names } = await index.exportNpy();
     const second = await siglip.index('second');
     await second.import(file);
     const third = await siglip.index('third');
     await third.import(npy, names);
     const refusals = [];
     for (const [blob, names] of [[new Blob(['GIF89a'])], [file.slice(0, 99)], [npy, ['one']], [file, ['one']]]) {
       refusals.push(await third.import(blob, names).then(() => 'none', ({ code }) => code));
     }
     const found = [];
     for (const index of [second, third]) found.push((await index.search('a cat')).map(({ name }) => name));
     await second.delete();
     return { found, refusals, again: (await (await siglip.index('second')).entries()).length };`,
  );
  const found = ['cat.jpg', 'boat.jpg'];
  assert.deepEqual(result, { found: [found, found], refusals: Array(4).fill('bad-input'), again: 0 });
  assert.deepEqual(await problemsOf(page), []);
});

test('a second tab searches an index that the first is at work on, and is told so; models do not share one', async () => {
  const page = await harness.open({ path: BLANK });
  await prepare(page);
  await run(
    page,
    `globalThis.index = await siglip.index(); await index.add(await filesOf(['boat', 'cat'])).finished;`,
  );
  const second = await openIn(page.context(), harness.server.origin + BLANK);
  await prepare(second);
  const told = /** @type {any} */ (
    await run(
      second,
      `const index = await siglip.index();
       const refused = await index.add([]).finished.catch(({ code, message }) => code + ': ' + message);
       const { Siglip } = await import('/www/siglip.js');
       const other = await (await Siglip.load('/tests/fixtures/random-small/', { workers: 1 })).index();
       return { readOnly: index.readOnly, refused, found: (await index.search('a cat'))[0].name,
         other: [other.readOnly, (await other.entries()).length] };`,
    )
  );
  assert.match(told.refused, /^bad-input: Another tab is at work on this index/);
  assert.deepEqual(
    { readOnly: told.readOnly, found: told.found, other: told.other },
    { readOnly: true, found: 'cat.jpg', other: [false, 0] },
  );
  await run(page, 'siglip.dispose();');
  const opened = await run(
    second,
    `let index = await siglip.index();
     // The lock is released a moment after the model is gone.
     for (let tries = 0; index.readOnly && tries < 50; tries++) {
       await new Promise((resolve) => setTimeout(resolve, 20));
       index = await siglip.index();
     }
     const first = index.readOnly;
     await index.close();
     return [first, (await siglip.index()).readOnly];`,
  );
  assert.deepEqual(opened, [false, false]);
  assert.deepEqual([...(await problemsOf(page)), ...(await problemsOf(second))], []);
});
