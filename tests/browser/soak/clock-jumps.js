/** The clock jumps by an hour, also during a stall and its retry. Expected: the right model. */
import assert from 'node:assert/strict';
import { WEIGHTS } from '../weights/checkpoint.js';
import { load, patient } from '../weights/fake-hub.js';
import { Random } from '../weights/random.js';
import { Room, count } from './room.js';

/** @type {import('./room.js').Scenario} */
export const clockJumps = (browser, seed, runs) =>
  Room.with(browser, async (room) => {
    /** @type {import('./room.js').Tally} */
    const tally = {};
    const page = await room.newPage();
    for (const workers of [1, 2]) {
      const options = { workers, precision: /** @type {const} */ ('f32') };
      const expected = await room.rightAnswer(page, undefined, options);
      for (let run = seed; run < seed + Math.ceil(runs / 2); run++) {
        const random = new Random(run);
        const { hub, folder } = room.add(`clock-${workers}-${run}`);
        hub.faults = { [WEIGHTS]: [random.pick([{ cut: random.next() }, { stall: random.next() }, {}])] };
        room.server.workerFaults = { clock: { every: 1 + random.below(20) } };
        const told = JSON.stringify({ run, workers, ...room.server.workerFaults });
        const { embeddings, message } = await load(page, folder, options);
        assert.equal(embeddings, expected, `${message}: ${told}`);
        hub.isOpen = false;
        assert.equal((await load(page, folder, { ...options, ...patient })).embeddings, expected, told);
        count(tally, 'fulfilled');
      }
    }
    return tally;
  });
