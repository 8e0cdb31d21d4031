/** Which program of the GPU's is chosen, and that a choice is kept for what it was made for alone. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { fastestOf, keepAt, keptAt, placeOf } from '../../www/worker/gpu-choice.js';

/**
 * The choice among programs, and how often each was timed.
 * @param {number} count
 * @param {(index: number, run: number) => number} ms
 */
async function choice(count, ms) {
  const runs = new Array(count).fill(0);
  const chosen = await fastestOf(count, async (index) => ms(index, ++runs[index]));
  return { chosen, runs };
}

test('the fastest is chosen, and the first where times are alike', async () => {
  const first = await choice(4, (index) => [9, 4, 8, 3][index]);
  assert.deepEqual(first, { chosen: 3, runs: [4, 4, 4, 4] });
  assert.equal((await choice(3, (index) => [3.1, 3, 3.05][index])).chosen, 0);
  assert.equal((await choice(2, () => 0)).chosen, 0);
});

test('the first round and slow outliers do not count', async () => {
  assert.equal((await choice(2, (index, run) => (run === 1 ? 1 : [9, 4][index]))).chosen, 1);
  assert.equal((await choice(2, (index, run) => (run === 3 ? 50 : [5, 4][index]))).chosen, 1);
});

test('without the time to find out there is no choice', async () => {
  // Two rounds take 960 ms, and after 1080 ms there is no time left.
  const third = await choice(4, (index) => [120, 90, 150, 120][index]);
  assert.deepEqual(third, { chosen: 1, runs: [3, 2, 2, 2] });
  assert.deepEqual(await choice(2, (index) => [400, 300][index]), { chosen: undefined, runs: [2, 1] });
  assert.deepEqual(await choice(2, () => 2000), { chosen: undefined, runs: [1, 0] });
  const lost = new Error('lost');
  await assert.rejects(
    choice(2, () => {
      throw lost;
    }),
    lost,
  );
});

/** @type {any} */
const scope = globalThis;
const plan = /** @type {any} */ ({ length: 64, pipelines: [{ label: 'product', wgsl: 'fn main() {}' }] });

/** The storages of a browser, with what was kept in them by name. */
function pretendStorage() {
  /** @type {Map<string, Map<string, Response>>} */
  const kept = new Map();
  const open = async (/** @type {string} */ name) => {
    const cache = kept.get(name) ?? new Map();
    kept.set(name, cache);
    return {
      keys: async () => [...cache.keys()],
      put: async (/** @type {string} */ url, /** @type {Response} */ response) =>
        void cache.set(url, response),
    };
  };
  scope.self = { origin: 'https://example.org' };
  // Node.js 20 has none.
  Object.defineProperty(scope, 'navigator', { value: { userAgent: 'a browser' }, configurable: true });
  scope.caches = {
    open,
    delete: async (/** @type {string} */ name) => kept.delete(name),
    match: async (/** @type {string} */ url, /** @type {{cacheName: string}} */ { cacheName }) =>
      kept.get(cacheName)?.get(url)?.clone(),
  };
  return kept;
}
afterEach(() => {
  delete scope.self;
  delete scope.caches;
});

test('a choice is kept for the same adapter, sizes and kernels', async () => {
  const kept = pretendStorage();
  const place = await placeOf('acme one', plan);
  assert.match(String(place), /^https:\/\/example\.org\/siglip-gpu\/[0-9a-f]{64}$/);
  assert.equal(await keptAt(place, 4), undefined);
  await keepAt(place, 2);
  assert.equal(await keptAt(await placeOf('acme one', structuredClone(plan)), 4), 2);
  for (const [adapter, other] of /** @type {[string, any][]} */ ([
    ['acme two', plan],
    ['acme one', { ...plan, length: 16 }],
    ['acme one', { ...plan, pipelines: [{ label: 'product', wgsl: 'fn main() { }' }] }],
  ])) {
    assert.equal(await keptAt(await placeOf(adapter, other), 4), undefined);
  }
  for (let i = 0; i < 150; i++) await keepAt(await placeOf(`acme ${i}`, plan), 1);
  const { size } = /** @type {Map<string, Response>} */ (kept.get('siglip-gpu'));
  assert.ok(size <= 100, `${size} are kept`);
});

test('what no program can have written is no choice', async () => {
  pretendStorage();
  const place = await placeOf('acme', plan);
  for (const text of ['4', '-1', '1.5', '', 'x', 'Infinity']) {
    await keepAt(place, /** @type {any} */ (text));
    assert.equal(await keptAt(place, 4), undefined, text);
  }
});

test('without storage nothing is kept, and nothing fails', async () => {
  pretendStorage();
  const place = await placeOf('acme', plan);
  const refuse = async () => {
    throw new DOMException('injected', 'SecurityError');
  };
  scope.caches = { open: refuse, match: refuse };
  await keepAt(place, 1);
  assert.equal(await keptAt(place, 4), undefined);
  delete scope.caches;
  await keepAt(place, 1);
  assert.equal(await keptAt(place, 4), undefined);
  scope.self = { origin: 'null' };
  assert.equal(await placeOf('acme', plan), undefined);
  await keepAt(undefined, 1);
  assert.equal(await keptAt(undefined, 4), undefined);
});
