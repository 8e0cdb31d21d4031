/** A worker ends at each step of a load and of a pass. Expected: an error that says so, and the next load works. */
import assert from 'node:assert/strict';
import { load, patient } from '../weights/fake-hub.js';
import { Room, count } from './room.js';

/** More steps than a load and a pass of the small checkpoint have. */
const MOST = 400;
const ways = [
  { workers: 1, follower: false },
  { workers: 2, follower: false },
  { workers: 2, follower: true },
];

/**
 * `runs` steps of each way to die, spread evenly over all steps, starting at one that the seed chooses. Fewer runs than ways
 * are for one way, since the search for the last step takes more loads than they do.
 * @type {import('./room.js').Scenario}
 */
export const dyingWorkers = (browser, seed, runs) =>
  Room.with(browser, async (room) => {
    /** @type {import('./room.js').Tally} */
    const tally = {};
    const page = await room.newPage();
    const tried = runs < ways.length ? [ways[seed % ways.length]] : ways;
    for (const { workers, follower } of tried) {
      const options = { workers, precision: /** @type {const} */ ('f32') };
      const expected = await room.rightAnswer(page, undefined, options);
      const struck = () => room.server.requestsOf('/struck').length;
      /** @param {number} at */
      const dieAt = async (at) => {
        const told = JSON.stringify({ seed, at, workers, follower });
        const { hub, folder } = room.add(`dies-${workers}-${follower}-${at}`);
        const before = struck();
        room.server.workerFaults = { dies: { at, follower } };
        const { embeddings, code, message } = await load(page, folder, { ...options, ...patient });
        room.server.workerFaults = undefined;
        if (embeddings) assert.equal(embeddings, expected, told);
        else
          assert.ok(
            code === 'wasm' && /Load the model again/.test(message ?? ''),
            `${code}: ${message}: ${told}`,
          );
        const next = await load(page, folder, { ...options, ...patient });
        assert.equal(next.embeddings, expected, `next: ${next.message}: ${told}`);
        hub.isOpen = false;
        assert.equal((await load(page, folder, options)).embeddings, expected, `kept: ${told}`);
        count(tally, code ?? 'too late');
        return struck() > before;
      };
      // Finds the number of steps: a fault at a later step never occurs.
      let steps = 1;
      while (steps < MOST && (await dieAt(2 * steps))) steps *= 2;
      const stride = Math.max(1, (2 * steps) / runs);
      for (let at = 1 + (seed % stride); at < 2 * steps; at += stride) {
        if (!(await dieAt(Math.floor(at)))) break;
      }
    }
    return tally;
  });
