/** Storage fails at each of its operations in turn. Expected: the model works from memory, and the next load works. */
import assert from 'node:assert/strict';
import { load, patient } from '../weights/fake-hub.js';
import { Random } from '../weights/random.js';
import { Room, count } from './room.js';

/** Storage full, a revoked handle, a missing file, a read error, a short write. */
const ERRORS = ['QuotaExceededError', 'InvalidStateError', 'NotFoundError', 'NotReadableError', 'short'];
/** More operations than a load of the small checkpoint has. */
const MOST = 60;

/**
 * Every operation in turn, `runs` rounds of them: with each kind of failure, for a first load and for one that finds the
 * model kept, in files and in the Cache API, and with a failure that passes and one that stays.
 * @type {import('./room.js').Scenario}
 */
export const storageFaults = (browser, seed, runs) =>
  Room.with(browser, async (room) => {
    /** @type {import('./room.js').Tally} */
    const tally = {};
    const page = await room.newPage();
    const expected = await room.rightAnswer(page);
    for (let round = seed; round < seed + runs; round++) {
      const random = new Random(round);
      const error = ERRORS[round % ERRORS.length];
      const without = /** @type {const} */ (['files']).slice(random.below(2));
      const [isKept, once] = [random.chance(0.5), random.chance(0.5)];
      for (let at = 1; ; at++) {
        assert.ok(at < MOST, 'a load takes fewer operations');
        const told = JSON.stringify({ round, at, error, without, isKept, once });
        const { hub, folder } = room.add(`${round}-${at}`);
        room.server.workerFaults = { without };
        if (isKept) await load(page, folder, patient);
        room.server.workerFaults = { storage: { at, error, once }, without };
        const struck = room.server.requestsOf('/struck').length;
        const faulty = await load(page, folder, patient);
        assert.equal(faulty.embeddings, expected, `${faulty.code}: ${faulty.message}: ${told}`);
        room.server.workerFaults = { without };
        const next = await load(page, folder, patient);
        assert.equal(next.embeddings, expected, `next: ${next.message}: ${told}`);
        assert.deepEqual(next.notices, [], told);
        hub.isOpen = false;
        const kept = await load(page, folder);
        assert.equal(kept.embeddings, expected, `kept: ${kept.message}: ${told}`);
        if (room.server.requestsOf('/struck').length === struck) break;
        for (const code of new Set(faulty.notices)) assert.ok(['quota', 'cache'].includes(code), told);
        count(tally, faulty.notices.length ? `notice ${faulty.notices[0]}` : 'unnoticed');
      }
    }
    return tally;
  });
