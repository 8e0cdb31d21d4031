/** An index of pictures on a full disk, without its permission, in a tab that is closed, beside a second tab: nothing is lost. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { browserOfTests } from '../browsers.js';
import { Harness, fileAt, openIn, problemsOf } from '../harness.js';
import { labelsOf } from '../page-actions.js';
import { BLANK, prepare as prepareIndex, run } from './prepare.js';

/** @typedef {import('../harness.js').Page} Page */

const harness = new Harness();

/**
 * Gives the page `siglip`, `filesOf`, `folderOf`, which is a folder of such files or of others, and `fillDisk`, after which nothing can be
 * stored until what it returns is called.
 * @param {Page} page
 */
async function prepare(page) {
  await prepareIndex(page);
  await page.evaluate(() => {
    const globals = /** @type {any} */ (globalThis);
    globals.folderOf = (/** @type {(File | (() => Promise<File>))[]} */ files) => ({
      kind: 'directory',
      async *entries() {
        for (const [i, file] of files.entries()) {
          const getFile = typeof file === 'function' ? file : async () => file;
          yield [typeof file === 'function' ? `${i}` : file.name, { kind: 'file', getFile }];
        }
      },
    });
    globals.fillDisk = () => {
      const places = [
        [globalThis.FileSystemFileHandle?.prototype, 'createWritable'],
        [Cache.prototype, 'put'],
      ];
      const before = places.map(
        ([place, name]) => /** @type {any} */ (place)?.[/** @type {string} */ (name)],
      );
      const refuse = () => Promise.reject(new DOMException('full', 'QuotaExceededError'));
      const set = (/** @type {any[]} */ values) =>
        places.forEach(([place, name], i) => {
          if (before[i]) Object.assign(place, { [/** @type {string} */ (name)]: values[i] });
        });
      set([refuse, refuse]);
      return () => set(before);
    };
  });
}

test('on a full disk the work ends in memory, is told so, and is stored once there is room', async () => {
  const page = await harness.open({ path: BLANK });
  await prepare(page);
  const full = await run(
    page,
    `const index = await siglip.index();
     await index.add(await filesOf(['boat'])).finished;
     const free = fillDisk();
     const outcome = await index.add(await filesOf(['boat', 'cat', 'dog'])).finished
       .then(() => 'stored', ({ code, message }) => code + ': ' + message);
     const inMemory = (await index.entries()).length;
     const best = (await index.search('a cat'))[0].name;
     const bytes = (await index.export()).size;
     const removal = await index.remove('dog.jpg').catch(({ code }) => code);
     free();
     const later = await index.add(await filesOf(['boat', 'cat', 'insect'])).finished;
     return { outcome, inMemory, best, exported: bytes > 400, removal, later };`,
  );
  assert.match(full.outcome, /^quota: .*stays usable until the page is closed.*index\.export\(\)/);
  assert.deepEqual(
    { ...full, outcome: undefined },
    {
      outcome: undefined,
      inMemory: 3,
      best: 'cat.jpg',
      exported: true,
      removal: 'quota',
      later: { embedded: 1, known: 2, removed: 0, failures: [] },
    },
  );
  await page.reload();
  await prepare(page);
  const kept = await run(
    page,
    `const index = await siglip.index();
     return { damage: !!index.damage, names: (await index.entries()).map(({ name }) => name).sort() };`,
  );
  assert.deepEqual(kept, {
    damage: false,
    names: browserOfTests.hasFiles ? ['boat.jpg', 'cat.jpg', 'insect.jpg'] : [],
  });
  assert.deepEqual(await problemsOf(page), []);
});

test('a write that fails in the middle leaves the index of before', async () => {
  const page = await harness.open({ path: BLANK });
  await prepare(page);
  const code = await run(
    page,
    `const index = await siglip.index();
     await index.add(await filesOf(['boat', 'cat'])).finished;
     // In browsers that store it elsewhere, the whole put fails.
     const write = globalThis.FileSystemWritableFileStream?.prototype.write;
     if (write) {
       FileSystemWritableFileStream.prototype.write = async function (blob) {
         await write.call(this, blob.slice(0, blob.size / 2));
         throw new DOMException('full', 'QuotaExceededError');
       };
     } else fillDisk();
     return index.add(await filesOf(['boat', 'cat', 'dog'])).finished.catch(({ code }) => code);`,
  );
  assert.equal(code, 'quota');
  await page.reload();
  await prepare(page);
  const kept = await run(
    page,
    `const index = await siglip.index();
     return { damage: !!index.damage, count: (await index.entries()).length };`,
  );
  assert.deepEqual(kept, { damage: false, count: browserOfTests.hasFiles ? 2 : 0 });
});

test('a permission that is taken back ends the work; what cannot be read now stays, what is gone goes', async () => {
  const page = await harness.open({ path: BLANK });
  await prepare(page);
  const found = await run(
    page,
    `const index = await siglip.index();
     const files = await filesOf(['boat', 'cat', 'dog', 'insect']);
     await index.add(folderOf(files.slice(0, 3)), { removeMissing: true }).finished;
     const failing = (name) => async () => { throw new DOMException('no', name); };
     const outcomes = [];
     const add = (folder) => index.add(folder, { removeMissing: true }).finished
       .then((summary) => summary, ({ code, message }) => code + ': ' + message);
     outcomes.push(await add(folderOf([files[3], failing('NotAllowedError'), files[0]])));
     const closed = { kind: 'directory', async *entries() { throw new DOMException('no', 'NotAllowedError'); } };
     outcomes.push(await add(closed));
     const moved = { kind: 'directory', async *entries() { throw new DOMException('no such folder', 'NotFoundError'); } };
     outcomes.push(await add(moved));
     const after = (await index.entries()).map(({ name }) => name).sort();

     // The name of the file that is busy is its place.
     const named = (name, getFile) => ({ kind: 'directory', async *entries() {
       yield ['boat.jpg', { kind: 'file', getFile: async () => files[0] }];
       yield [name, { kind: 'file', getFile }];
     } });
     const busy = await add(named('cat.jpg', failing('NotReadableError')));
     const afterBusy = (await index.entries()).map(({ name }) => name).sort();
     const gone = await add(named('cat.jpg', failing('NotFoundError')));
     const huge = await add(named('huge.jpg', async () => ({ size: 2 ** 30, lastModified: 1 })));
     return { outcomes, after, busy, afterBusy, gone, huge, left: (await index.entries()).length };`,
  );
  assert.match(found.outcomes[0], /^not-found: The browser may not read the folder any more.*is kept/);
  assert.equal(found.outcomes[1], found.outcomes[0]);
  assert.match(found.outcomes[2], /^not-found: The folder cannot be read: no such folder/);
  assert.deepEqual(found.after, ['boat.jpg', 'cat.jpg', 'dog.jpg', 'insect.jpg']);
  assert.deepEqual(
    found.busy.failures.map((/** @type {any} */ { name, code }) => [name, code]),
    [['cat.jpg', 'not-found']],
  );
  assert.deepEqual([found.busy.removed, found.afterBusy], [2, ['boat.jpg', 'cat.jpg']]);
  assert.deepEqual([found.gone.removed, found.left], [1, 1]);
  assert.match(found.huge.failures[0].message, /^A file of 1073741824 bytes is too large/);
  assert.deepEqual(await problemsOf(page), []);
});

/** They are half a minute of a browser's work, so one alone has them all. */
const many = browserOfTests.name === 'chromium' ? 10_000 : 2000;
test(`of ${many} files the broken, huge and foreign ones are listed with their reasons, and the rest is done`, async () => {
  const page = await harness.open({ path: BLANK });
  await prepare(page);
  const found = await run(
    page,
    `const index = await siglip.index();
     const pictures = await filesOf(['boat', 'cat', 'dog']);
     const folder = { kind: 'directory', async *entries() {
       for (let at = 0; at < ${many}; at++) {
         const odd = at % 100 === 99 ? [
           new File(['\xff\xd8\xff cut'], '', { lastModified: 1 }),
           new File(['notes'], '', { lastModified: 1 }),
           new File([], '', { lastModified: 1 }),
           { size: 2 ** 30, lastModified: 1 },
         ][((at / 100) | 0) % 4] : undefined;
         yield [at + '.jpg', { kind: 'file', getFile: async () => odd ?? pictures[at % 3] }];
       }
     } };
     let heard = 0;
     const summary = await index.add(folder, { onProgress: () => heard++ }).finished;
     const reasons = {};
     for (const { code, message } of summary.failures) {
       const reason = code + ': ' + message;
       reasons[reason] = (reasons[reason] ?? 0) + 1;
     }
     const again = await index.add(folder).finished;
     const best = (await index.search('a cat', { topK: ${(many / 100) * 33} })).map(({ name }) => parseInt(name) % 3);
     return { heard, embedded: summary.embedded, known: summary.known, reasons, again: [again.embedded, again.known],
       cats: best.every((kind) => kind === 1) };`,
  );
  // One in a hundred is odd, in one of four ways.
  const [whole, odd] = [(many / 100) * 99, many / 400];
  assert.deepEqual([found.heard, found.embedded, found.known, found.again], [many, 3, whole - 3, [0, whole]]);
  const reasons = Object.entries(found.reasons).map(([reason, count]) => `${count} ${reason}`);
  // An empty file and notes are no pictures alike.
  assert.equal(reasons.length, 3, reasons.join('\n'));
  for (const expected of [`${odd} bad-image: `, `${2 * odd} bad-image: `, `${odd} bad-input: .*too large`]) {
    assert.ok(
      reasons.some((reason) => new RegExp(`^${expected}`).test(reason)),
      reasons.join('\n'),
    );
  }
  assert.ok(found.cats);
});

test('a tab that is closed in the middle loses nothing of what it had paused or hidden with', async () => {
  const page = await harness.open({ path: BLANK });
  await prepare(page);
  await run(
    page,
    `const index = await siglip.index('paused');
     const files = await filesOf(['boat', 'cat', 'dog', 'insect']);
     const work = index.add(files, { onProgress: ({ done }) => { if (done === 2) work.pause(); } });
     while (!work.paused) await new Promise((resolve) => setTimeout(resolve, 20));

     // The third file never comes: the tab is closed while the work waits for it.
     const hidden = await siglip.index('hidden');
     const never = () => new Promise(() => {});
     await new Promise((resolve) => {
       const onProgress = ({ done }) => {
         document.dispatchEvent(new Event('visibilitychange'));
         if (done === 2) resolve();
       };
       hidden.add(folderOf([files[0], files[1], never]), { onProgress });
     });
     // Both are stored soon.
     const { load } = await import('/www/lib/index-storage.js');
     const counts = async () => {
       const sizes = [];
       for (const name of ['paused', 'hidden']) {
         const { embeddingSize, logitScale, logitBias } = siglip.info;
         sizes.push((await load(name + '@' + embeddingSize + '_' + logitScale.toFixed(4) + '_' + logitBias.toFixed(4)))?.size ?? 0);
       }
       return sizes;
     };
     for (let tries = 0; (await counts()).some((size) => size < 400) && tries < 250; tries++)
       await new Promise((resolve) => setTimeout(resolve, 20));`,
  );
  await page.close();
  const next = await openIn(page.context(), harness.server.origin + BLANK);
  await prepare(next);
  const kept = await run(
    next,
    `const found = [];
     for (const name of ['paused', 'hidden']) {
       let index = await siglip.index(name);
       // The lock is released a moment after the tab is gone.
       for (let tries = 0; index.readOnly && tries < 100; tries++) {
         await new Promise((resolve) => setTimeout(resolve, 20));
         index = await siglip.index(name);
       }
       const before = (await index.entries()).length;
       const { embedded, known } = await index.add(await filesOf(['boat', 'cat', 'dog', 'insect'])).finished;
       found.push({ damage: !!index.damage, readOnly: index.readOnly, before, embedded, known });
     }
     return found;`,
  );
  const before = browserOfTests.hasFiles ? 2 : 0;
  const expected = { damage: false, readOnly: false, before, embedded: 4 - before, known: before };
  assert.deepEqual(kept, [expected, expected]);
});

test('a search for duplicates shows progress, is given up, and ends anew when pictures go', async () => {
  const page = await harness.open({ path: BLANK });
  await prepare(page);
  const found = await run(
    page,
    `const index = await siglip.index();
     const { embeddingSize } = siglip.info;
     // Rows of an array of NumPy, 100 of them twice.
     const count = 6000, rows = new Float32Array(count * embeddingSize);
     let state = 1;
     for (let i = 0; i < rows.length; i++) {
       state = (Math.imul(state, 1664525) + 1013904223) | 0;
       rows[i] = state / 2 ** 31;
     }
     for (let i = 0; i < 100; i++) rows.copyWithin((count - 1 - i) * embeddingSize, i * embeddingSize, (i + 1) * embeddingSize);
     const header = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + count + ', ' + embeddingSize + '), }';
     const text = header.padEnd(117) + '\\n';
     const npy = new Blob([new Uint8Array([0x93, 78, 85, 77, 80, 89, 1, 0, 118, 0]), text, rows]);
     await index.import(npy, Array.from({ length: count }, (_, i) => i + '.jpg'));

     const shares = [];
     let answered = 0;
     const groups = await index.duplicates(0.99, { onProgress: (share) => {
       shares.push(share);
       if (shares.length === 2) index.search({ like: '7.jpg' }, { topK: 2 }).then(() => { answered = shares.length; });
     } });
     const controller = new AbortController();
     const aborted = await index.duplicates(0.99, { signal: controller.signal, onProgress: () => controller.abort() })
       .catch(({ code }) => code);
     const changed = await index.duplicates(0.99, { onProgress: () => void index.remove('9.jpg') })
       .catch(({ code, message }) => code + ': ' + message);
     const refused = await index.duplicates(2).catch(({ code }) => code);
     return { sizes: [...new Set(groups.map((group) => group.length))], count: groups.length, shares, answered, aborted, changed, refused };`,
  );
  assert.deepEqual([found.sizes, found.count], [[2], 100]);
  assert.ok(found.shares.length > 5, `${found.shares.length} steps`);
  assert.ok(
    found.shares.every(
      (/** @type {number} */ share, /** @type {number} */ i) =>
        share < 1 && share >= (found.shares[i - 1] ?? 0),
    ),
  );
  assert.ok(found.answered > 0 && found.answered < found.shares.length, 'another call is answered meanwhile');
  assert.deepEqual([found.aborted, found.refused], ['aborted', 'bad-input']);
  assert.match(found.changed, /^bad-input: pictures were removed.*ask again/);
});

test('on the page a full disk is told, with a button that saves the work as a file; a second tab searches', async () => {
  const page = await harness.open();
  await labelsOf(page, 'insect.jpg');
  await page.evaluate(() => {
    const refuse = () => Promise.reject(new DOMException('full', 'QuotaExceededError'));
    Object.assign(Cache.prototype, { put: refuse });
    if (globalThis.FileSystemFileHandle)
      Object.assign(FileSystemFileHandle.prototype, { createWritable: refuse });
  });
  const open = async (/** @type {Page} */ page) => {
    await page.getByRole('button', { name: 'Search a folder…' }).click();
    const panel = page.getByRole('region', { name: 'Search a folder' });
    await panel.getByLabel('Choose a folder to search').setInputFiles(fileAt('www/samples'));
    return panel;
  };
  const panel = await open(page);
  await panel.getByRole('alert').getByText('storage is full').waitFor();
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    panel.getByRole('button', { name: 'Save the index as a file' }).click(),
  ]);
  assert.equal(download.suggestedFilename(), 'samples.siglip-index');
  await panel.getByLabel('What is in the picture?').fill('a boat');
  await panel.getByLabel('What is in the picture?').press('Enter');
  await panel.getByText('The 5 that fit “a boat” best').waitFor();

  const second = await openIn(page.context(), harness.server.origin);
  await labelsOf(second, 'insect.jpg');
  const other = await open(second);
  await other.getByText('Another tab is at work on this folder').waitFor();
});
