/** A server that does everything wrong: the right model, or an error with a code, and nothing broken left behind. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Harness, openIn } from '../harness.js';
import { WEIGHTS, otherWeights, sha256 } from './checkpoint.js';
import { Random } from './random.js';
import { Shop, load, patient, small } from './shop.js';

/** @typedef {import('./file-server.js').Fault} Fault */
/** @typedef {import('../harness.js').Page} Page */

const RUNS = 200;
/** Runs at a time, each in a page of its own. */
const LANES = 4;
const CODES = ['network', 'not-found', 'integrity', 'bad-weights', 'unsupported-model'];

const harness = new Harness();
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
 * One run.
 * @param {Page} page
 * @param {Shop} shop
 * @param {string} folder
 * @param {number} seed
 * @param {Record<string, string>[]} right what the versions answer, by precision and workers
 */
async function run(page, shop, folder, seed, right) {
  const random = new Random(seed);
  const faults = Array.from({ length: 1 + random.below(6) }, () => randomFault(random));
  const flips = faults.some(({ flip }) => flip !== undefined);
  const truncated = random.chance(0.05);
  shop.faults = { [WEIGHTS]: faults };
  if (random.chance(0.1)) shop.faults['tokenizer.json'] = [{ cut: random.next() }, { status: 500 }];
  shop.habits = {
    etag: random.chance(0.8),
    ranges: random.chance(0.8),
    gzip: random.chance(0.2),
    length: random.chance(0.7),
  };
  if (truncated) {
    const weights = small[WEIGHTS];
    shop.files = { ...small, [WEIGHTS]: weights.subarray(0, random.below(weights.length)) };
  } else if (random.chance(0.3)) {
    // The file changes between two requests.
    shop.change = 1 + random.below(3);
  }
  /** @type {import('/www/siglip.js').LoadOptions} */
  const options = random.pick(ways);
  // Nothing but its hash can tell that a bit is wrong.
  const hash = flips ? { sha256: sha256(small[WEIGHTS]) } : {};
  const told = JSON.stringify({ seed, faults, habits: shop.habits, options, truncated });

  const outcome = await load(page, folder, { ...options, ...hash });
  const answers = right.map((answer) => answer[JSON.stringify(options)]);
  if (outcome.embeddings) {
    const allowed = flips ? answers.slice(0, 1) : answers;
    assert.ok(allowed.includes(outcome.embeddings), `another model: ${told}`);
  } else {
    assert.ok(CODES.includes(outcome.code ?? ''), `${outcome.code}: ${outcome.message}: ${told}`);
  }

  // Afterwards the server is as it should be, and then not there.
  Object.assign(shop, { faults: {}, habits: {}, change: undefined });
  if (truncated || !outcome.embeddings) shop.files = small;
  const clean = await load(page, folder, { ...options, ...hash, ...patient });
  assert.ok(answers.includes(clean.embeddings ?? ''), `not clean: ${clean.message}: ${told}`);
  shop.isOpen = false;
  const kept = await load(page, folder, options);
  assert.equal(kept.embeddings, clean.embeddings, `not kept: ${kept.message}: ${told}`);
  return outcome.code ?? 'fulfilled';
}

test(`${RUNS} loads from a hostile server`, async () => {
  const first = await harness.open({ path: '/tests/browser/pages/blank.html' });
  /** @type {Record<string, Shop>} */
  const shops = {};
  harness.server.intercept = (path, response, method, request) => {
    const [, name, seed] = path.split('/');
    return name === 'run' && shops[seed].at(`/run/${seed}/`)(path, response, method, request);
  };
  /** @type {Record<string, string>[]} */
  const right = [];
  for (const [i, files] of versions.entries()) {
    shops[`clean${i}`] = new Shop(files);
    /** @type {Record<string, string>} */
    const answers = {};
    for (const options of ways) {
      const { embeddings, message } = await load(first, `/run/clean${i}/`, options);
      assert.ok(embeddings, message);
      answers[JSON.stringify(options)] = embeddings;
    }
    right.push(answers);
  }
  assert.notDeepEqual(right[0], right[1]);

  /** @type {Record<string, number>} */
  const counts = {};
  let next = 0;
  const lane = async () => {
    const page = await openIn(first.context(), first.url());
    while (next < RUNS) {
      const seed = next++;
      shops[seed] = new Shop();
      const code = await run(page, shops[seed], `/run/${seed}/`, seed, right);
      counts[code] = (counts[code] ?? 0) + 1;
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  assert.ok(counts.fulfilled > RUNS / 3, JSON.stringify(counts));
  assert.ok(counts.integrity > 0 && counts.network > 0, JSON.stringify(counts));
});
