/** Seeded random numbers: a run that fails can be run again. */
export class Random {
  #state;

  /** @param {number} seed */
  constructor(seed) {
    this.#state = seed >>> 0;
  }

  /** Between 0 and 1. Mulberry32. */
  next() {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number below `end`. @param {number} end */
  below(end) {
    return Math.floor(this.next() * end);
  }

  /** @template T @param {T[]} list */
  pick(list) {
    return list[this.below(list.length)];
  }

  /** @param {number} probability */
  chance(probability) {
    return this.next() < probability;
  }
}
