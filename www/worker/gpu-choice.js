/** Which of a plan's programs is the fastest on an adapter. It is found out once, and kept for later loads. */

/** Rounds that count. One before them does not: drivers finish their compilation then. */
const ROUNDS = 3;
/** Milliseconds after which no further program is timed. */
const MOST_MS = 1000;
/**
 * A program takes the place of one before it if it takes less than this part of its time. Differences below are noise, and with
 * another program the same input gives other bits.
 */
const WORTH_IT = 0.95;

const CACHE = 'siglip-gpu';
/** Choices that are kept. Each version of the browser, and each model, adds two. */
const MOST_KEPT = 100;

/**
 * Which of so many is the fastest: the first, unless another is clearly faster. Undefined if there was no time to find out.
 * @param {number} count
 * @param {(index: number) => Promise<number>} time runs one, and returns milliseconds
 */
export async function fastestOf(count, time) {
  /** @type {number[]} */
  const least = new Array(count).fill(Infinity);
  let spent = 0;
  for (let round = 0; round <= ROUNDS; round++) {
    // In turn, so that a clock that rises favours none.
    for (let i = 0; i < count && spent <= MOST_MS; i++) {
      const ms = await time(i);
      spent += ms;
      if (round) least[i] = Math.min(least[i], ms);
    }
  }
  if (least.includes(Infinity)) return undefined;
  return least.reduce((best, ms, i) => (ms < WORTH_IT * least[best] ? i : best), 0);
}

/**
 * Where the choice for a tower is kept: by adapter, browser, and all that is timed.
 * @param {string} adapter
 * @param {import('./gpu-tower.js').TowerPlan} plan
 * @returns {Promise<string | undefined>}
 */
export async function placeOf(adapter, { length, pipelines }) {
  try {
    const timed = JSON.stringify([adapter, navigator.userAgent, length, pipelines]);
    const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(timed));
    const name = Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('');
    return new URL(`/${CACHE}/${name}`, self.origin).href;
  } catch {
    // A page without an origin keeps nothing.
    return undefined;
  }
}

/**
 * The index that is kept there, of so many.
 * @param {string | undefined} place
 * @param {number} count
 */
export async function keptAt(place, count) {
  try {
    const text = place && (await (await caches.match(place, { cacheName: CACHE }))?.text());
    const index = text ? Number(text) : NaN;
    return Number.isInteger(index) && index >= 0 && index < count ? index : undefined;
  } catch {
    return undefined;
  }
}

/**
 * @param {string | undefined} place
 * @param {number} index
 */
export async function keepAt(place, index) {
  if (!place) return;
  try {
    let cache = await caches.open(CACHE);
    if ((await cache.keys()).length >= MOST_KEPT) {
      await caches.delete(CACHE);
      cache = await caches.open(CACHE);
    }
    await cache.put(place, new Response(String(index)));
  } catch {
    // There is no room, or no storage: the next load finds out again.
  }
}
