/** A faulty server. Expected: the right model, or an error with a code, and nothing broken in the cache. */
import assert from 'node:assert/strict';
import { WEIGHTS, otherWeights, sha256 } from '../weights/checkpoint.js';
import { load, patient, small } from '../weights/fake-hub.js';
import { Random } from '../weights/random.js';
import { LOAD_CODES, Room, inLanes } from './room.js';

/** @typedef {import('../weights/file-server.js').Fault} Fault */
/** @typedef {import('../harness.js').Page} Page */

/** Concurrent loads, each in its own page. */
const LANES = 4;
/** Sums of two workers' parts round otherwise, so each way has an answer of its own. @type {import('/www/siglip.js').LoadOptions[]} */
const ways = [
  { precision: 'q8', workers: 1 },
  { precision: 'f32', workers: 1 },
  { precision: 'f32', workers: 2 },
];
const versions = [small, otherWeights(small)];

/** @param {Random} random @returns {Fault} */
function randomFault(random) {
  const kinds = [
    () => ({ cut: random.next() }),
    () => ({ cut: random.next() }),
    () => ({ cut: random.next(), politely: true }),
    () => ({ stall: random.next() }),
    () => ({ start: 1 + random.below(5000), cut: random.next() }),
    () => ({ total: random.pick([-1, 1, 1000]), cut: random.next() }),
    () => ({ flip: random.next() }),
    () => ({ flip: random.next(), cut: random.next() }),
    () => ({ status: random.pick([500, 502, 503, 408]) }),
    () => ({ status: 429, retryAfter: random.pick(['0', '1', '100000', 'soon']) }),
    () => (random.chance(0.3) ? { status: random.pick([401, 403, 404, 410, 416]) } : {}),
  ];
  return random.pick(kinds)();
}

/**
 * One load with faults, one without, and one without a server.
 * @param {Room} room
 * @param {Page} page
 * @param {number} seed
 * @param {Record<string, string>[]} right what the versions answer, by precision and workers
 */
async function run(room, page, seed, right) {
  const random = new Random(seed);
  const { hub, folder } = room.add(seed);
  const faults = Array.from({ length: 1 + random.below(6) }, () => randomFault(random));
  const flips = faults.some(({ flip }) => flip !== undefined);
  const truncated = random.chance(0.05);
  hub.faults = { [WEIGHTS]: faults };
  if (random.chance(0.1)) hub.faults['tokenizer.json'] = [{ cut: random.next() }, { status: 500 }];
  hub.behaviour = {
    etag: random.chance(0.8),
    ranges: random.chance(0.8),
    gzip: random.chance(0.2),
    length: random.chance(0.7),
  };
  if (truncated) {
    const weights = small[WEIGHTS];
    hub.files = { ...small, [WEIGHTS]: weights.subarray(0, random.below(weights.length)) };
  } else if (random.chance(0.3)) {
    // The file changes between two requests.
    hub.change = 1 + random.below(3);
  }
  /** @type {import('/www/siglip.js').LoadOptions} */
  const options = random.pick(ways);
  // Only the hash can show that a bit is wrong.
  const hash = flips ? { sha256: sha256(small[WEIGHTS]) } : {};
  const told = JSON.stringify({ seed, faults, behaviour: hub.behaviour, options, truncated });

  const outcome = await load(page, folder, { ...options, ...hash });
  const answers = right.map((answer) => answer[JSON.stringify(options)]);
  if (outcome.embeddings) {
    const allowed = flips ? answers.slice(0, 1) : answers;
    assert.ok(allowed.includes(outcome.embeddings), `another model: ${told}`);
  } else {
    assert.ok(LOAD_CODES.includes(outcome.code ?? ''), `${outcome.code}: ${outcome.message}: ${told}`);
  }

  // Then one load with a sound server, and one without a server.
  Object.assign(hub, { faults: {}, behaviour: {}, change: undefined });
  if (truncated || !outcome.embeddings) hub.files = small;
  const clean = await load(page, folder, { ...options, ...hash, ...patient });
  assert.ok(answers.includes(clean.embeddings ?? ''), `not clean: ${clean.message}: ${told}`);
  hub.isOpen = false;
  const kept = await load(page, folder, options);
  assert.equal(kept.embeddings, clean.embeddings, `not kept: ${kept.message}: ${told}`);
  delete room.hubs[seed];
  return outcome.code ?? 'fulfilled';
}

/** @type {import('./room.js').Scenario} */
export const networkFaults = (browser, seed, runs) =>
  Room.with(browser, async (room) => {
    const first = await room.newPage();
    /** @type {Record<string, string>[]} */
    const right = [];
    for (const files of versions) {
      /** @type {Record<string, string>} */
      const answers = {};
      for (const way of ways) answers[JSON.stringify(way)] = await room.rightAnswer(first, files, way);
      right.push(answers);
    }
    assert.notDeepEqual(right[0], right[1]);
    return inLanes(room, { seed, runs, lanes: LANES }, (page, seed) => run(room, page, seed, right));
  });
