/**
 * Memory that does not grow past a limit, whichever: the right answers, or an error that says so; what is loaded still
 * answers, and the next load works.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { fileAt } from '../harness.js';
import { readCheckpoint } from '../weights/checkpoint.js';
import { FakeHub } from '../weights/fake-hub.js';
import { initialPages, limitMemory } from '../weights/wasm-memory.js';
import { Room, count } from './room.js';

/** More pages of 64 KiB than the demonstration model and a photograph add: each tower of a cached model reserves 64 MiB. */
const MOST = 2600;
const tiny = readCheckpoint('www/models/tiny');

/**
 * Runs in the page: a load, then a picture, then a text.
 * @param {string} folder
 */
async function answers(folder) {
  const { Siglip } = await import('/www/siglip.js');
  const { outcome } = await import('/tests/browser/pages/outcome.js');
  /** @type {import('/www/siglip.js').Siglip | undefined} */
  let siglip;
  const load = await outcome(Siglip.load(folder, { workers: 1 }).then((loaded) => (siglip = loaded)));
  /** @type {{code: string, message: string, embedding?: string}[]} */
  const calls = [load];
  if (siglip) {
    const { embedImage, embedText } = siglip;
    for (const call of [
      () => embedImage.call(siglip, '/www/samples/boat.jpg'),
      () => embedText.call(siglip, 'a cat'),
    ]) {
      let embedding = '';
      const { code, message } = await outcome(call().then((values) => (embedding = String(values))));
      calls.push({ code, message, embedding });
    }
    siglip.dispose();
  }
  return calls.map(({ code, message, embedding }) => ({ code, message, embedding }));
}

/**
 * `runs` limits, spread evenly from more than is needed down to what memory begins with.
 * @type {import('./room.js').Scenario}
 */
export const memoryLimits = (browser, seed, runs) =>
  Room.with(browser, async (room) => {
    /** @type {import('./room.js').Tally} */
    const tally = {};
    const page = await room.newPage();
    const { folder } = room.add('memory', new FakeHub(tiny));
    /** Pages more than at the start. @type {number | undefined} */
    let more;
    const { intercept } = room.server;
    room.server.intercept = async (path, response, method, request) => {
      if (!path.endsWith('_bg.wasm')) return intercept(path, response, method, request);
      const module = await readFile(fileAt(path));
      response.setHeader('content-type', 'application/wasm');
      response.setHeader('cache-control', 'no-store');
      response.end(more === undefined ? module : limitMemory(module, initialPages(module) + more));
    };
    const right = await page.evaluate(answers, folder);
    assert.deepEqual(
      right.map(({ code }) => code),
      ['fulfilled', 'fulfilled', 'fulfilled'],
    );
    const stride = MOST / runs;
    for (let at = MOST - (seed % stride); at >= 0; at -= stride) {
      const told = `seed ${seed}, ${Math.floor(at)} pages more`;
      more = Math.floor(at);
      const found = await page.evaluate(answers, folder);
      more = undefined;
      for (const [i, { code, message, embedding }] of found.entries()) {
        if (code === 'fulfilled') assert.equal(embedding, right[i].embedding, told);
        else assert.equal(code, 'out-of-memory', `call ${i}: ${code}: ${message}: ${told}`);
        count(tally, `${['load', 'picture', 'text'][i]} ${code}`);
      }
      assert.deepEqual(await page.evaluate(answers, folder), right, `next: ${told}`);
    }
    assert.ok(tally['text fulfilled'], 'the largest limits are more than is needed');
    return tally;
  });
