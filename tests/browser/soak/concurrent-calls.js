/** Concurrent calls of every kind, some aborted at random. Expected: each has the right result or is aborted. */
import assert from 'node:assert/strict';
import { Room } from './room.js';

/** Concurrent calls. */
const AT_ONCE = 24;

/**
 * Runs in the page.
 * @param {{seed: number, runs: number, atOnce: number, workers: number}} plan
 */
async function callAtRandom({ seed, runs, atOnce, workers }) {
  const { Siglip } = await import('/www/siglip.js');
  const { Random } = await import('/tests/browser/weights/random.js');
  const { outcome } = await import('/tests/browser/pages/outcome.js');
  const random = new Random(seed);
  const siglip = await Siglip.load('tiny', { workers });
  const pictures = await Promise.all(
    ['cat', 'dog', 'boat', 'coffee', 'insect'].map(async (name) =>
      (await fetch(`/www/samples/${name}.jpg`)).blob(),
    ),
  );
  const labels = Array.from({ length: 60 }, (_, i) => `a cat of ${i} years`);
  /** @type {Float32Array[]} */
  const embeddings = [];
  for (const picture of pictures) embeddings.push(await siglip.embedImage(picture));
  const broken = new Blob(['no picture at all']);
  /** @type {AbortSignal | undefined} */
  let signal;
  const some = () => labels.slice(random.below(30)).slice(0, 1 + random.below(30));
  const kinds = {
    classify: () => {
      const asked = some();
      const n = random.below(pictures.length);
      return { key: `classify ${n} ${asked}`, call: () => siglip.classify(pictures[n], asked, { signal }) };
    },
    score: () => {
      const asked = some();
      const n = random.below(pictures.length);
      return {
        key: `score ${n} ${asked}`,
        call: () => siglip.score(embeddings[n], asked, { signal, topK: 3 }),
      };
    },
    embedImage: () => {
      const n = random.below(pictures.length);
      return { key: `image ${n}`, call: () => siglip.embedImage(pictures[n], { signal }) };
    },
    embedText: () => {
      const text = random.pick(labels);
      return { key: `text ${text}`, call: () => siglip.embedText(text, { signal }) };
    },
    broken: () => ({ key: 'broken', call: () => siglip.embedImage(broken, { signal }) }),
    'no labels': () => ({ key: 'no labels', call: () => siglip.classify(pictures[0], [], { signal }) }),
  };
  /** What a call answered the first time; errors by their code. @type {Map<string, string>} */
  const answers = new Map();
  /** @type {Record<string, number>} */
  const tally = {};
  /** @type {string[]} */
  const wrong = [];
  let begun = 0;
  const lane = async () => {
    while (begun++ < runs) {
      const name = /** @type {keyof typeof kinds} */ (random.pick(Object.keys(kinds)));
      const controller = new AbortController();
      signal = controller.signal;
      const { key, call } = kinds[name]();
      /** @type {unknown} */
      let value;
      const promise = call().then((answer) => (value = answer));
      if (random.chance(0.4)) {
        const delay = random.pick([0, 0, 1, 3, 10, 30]);
        if (random.chance(0.2)) controller.abort();
        else setTimeout(() => controller.abort(), delay);
      }
      const { code, message } = await outcome(promise);
      if (code !== 'aborted') {
        const answer = code === 'fulfilled' ? JSON.stringify(value) : code;
        const before = answers.get(key) ?? answer;
        answers.set(key, answer);
        if (answer !== before)
          wrong.push(`${key}: ${answer.slice(0, 200)}, before ${before.slice(0, 200)}: ${message}`);
      }
      tally[`${name}: ${code}`] = (tally[`${name}: ${code}`] ?? 0) + 1;
    }
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
  const last = await siglip.classify(pictures[0], ['a cat', 'a boat']);
  const { notices } = siglip.info;
  siglip.dispose();
  return { tally, wrong, best: last[0].label, notices };
}

/** Half of the calls go to a model of one worker, half to one that two share. @type {import('./room.js').Scenario} */
export const concurrentCalls = (browser, seed, runs) =>
  Room.with(browser, async (room) => {
    /** @type {import('./room.js').Tally} */
    const sum = {};
    for (const workers of [1, 2]) {
      const page = await room.newPage();
      const plan = { seed: seed + workers, runs: Math.ceil(runs / 2), atOnce: AT_ONCE, workers };
      const { tally, wrong, best } = await page.evaluate(callAtRandom, plan);
      assert.deepEqual(wrong, [], `seed ${seed}, ${workers} workers`);
      assert.equal(best, 'a cat');
      for (const [outcome, times] of Object.entries(tally)) {
        const [kind, code] = outcome.split(': ');
        const failures = { broken: 'bad-image', 'no labels': 'bad-input' };
        const usual = failures[/** @type {keyof typeof failures} */ (kind)] ?? 'fulfilled';
        assert.ok([usual, 'aborted'].includes(code), `${outcome}: seed ${seed}, ${workers} workers`);
        sum[code] = (sum[code] ?? 0) + times;
      }
      await page.close();
    }
    return sum;
  });
