/** The remaining time of work on many files, from what the last of them took: after known files come new ones, which take longer. */

/** Files that the estimate rests on. */
const RECENT = 100;

/** An estimate, in milliseconds. */
export class RemainingTime {
  /** When the last files were done, without pauses. */
  #times;
  #paused = 0;

  /** @param {number} now when the work begins */
  constructor(now) {
    this.#times = [now];
  }

  /** Leaves out a time without work. @param {number} ms */
  pause(ms) {
    this.#paused += ms;
  }

  /**
   * The remaining time, after one more file.
   * @param {number} now
   * @param {number} left number of files
   */
  next(now, left) {
    const at = now - this.#paused;
    if (this.#times.push(at) > RECENT + 1) this.#times.shift();
    return ((at - this.#times[0]) / (this.#times.length - 1)) * left;
  }
}
