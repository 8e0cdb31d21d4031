/** The work on many pictures: progress, remaining time, pause, cancel, and what could not be read. */
import { h } from '../ui/dom.js';
import { announce } from './page.js';
import { formatDuration } from './texts.js';
import { t } from '../ui/translate.js';

/** @typedef {import('./card.js').Card} Card */

/** The most failures in the list; the table shows all. */
const MOST_FAILURES = 200;

/** Scores pictures one after the other. */
export class Work {
  #page;
  /** @type {Set<Card>} */
  #waiting = new Set();
  #running = false;
  #done = 0;
  #failures = /** @type {Card[]} */ ([]);
  /** Time at work, without pauses. */
  #spent = 0;
  /** The pause, if there is one. @type {Promise<unknown> | undefined} */
  #pausing;
  /** Ends the pause. @type {(() => void) | undefined} */
  #resume;

  #text = h('p', { className: 'progress-text' });
  #bar = h('progress', { ariaLabel: t`Pictures looked at` });
  #pause = h('button', { className: 'button', type: 'button' }, t`Pause`);
  #cancel = h('button', { className: 'button', type: 'button' }, t`Cancel`);
  #controls = h('div', { className: 'row' }, this.#bar, this.#pause, this.#cancel);
  #summary = h('summary');
  #list = h('ul');
  #broken = h('details', { hidden: true }, this.#summary, this.#list);
  element = h(
    'section',
    { className: 'panel', ariaLabel: t`Work on pictures`, hidden: true },
    this.#text,
    this.#controls,
    this.#broken,
  );

  /**
   * @param {object} page
   * @param {(card: Card) => Promise<unknown>} page.score
   * @param {(card: Card) => boolean} page.isThere whether a picture has not been removed
   * @param {(cards: Card[]) => void} page.remove takes those that a cancel leaves undone
   */
  constructor(page) {
    this.#page = page;
    this.#pause.addEventListener('click', () => this.#toggle());
    this.#cancel.addEventListener('click', () => {
      const rest = [...this.#waiting].filter(page.isThere);
      this.#waiting.clear();
      this.#goOn();
      page.remove(rest);
    });
  }

  /** Whether a picture's turn is still to come. @param {Card} card */
  has(card) {
    return this.#waiting.has(card);
  }

  /** @param {Card[]} cards */
  add(cards) {
    for (const card of cards) this.#waiting.add(card);
    if (!this.#running) this.#run();
    else this.#show();
  }

  async #run() {
    this.#running = true;
    this.#done = this.#spent = 0;
    this.#failures = [];
    this.element.hidden = this.#controls.hidden = false;
    this.#show();
    for (const card of this.#waiting) {
      await this.#pausing;
      // A cancel empties the set during a pause.
      if (!this.#waiting.delete(card) || !this.#page.isThere(card)) continue;
      const start = performance.now();
      await this.#page.score(card);
      this.#spent += performance.now() - start;
      this.#done++;
      if (card.failure) this.#failures.push(card);
      this.#show();
    }
    this.#running = false;
    this.#controls.hidden = true;
    this.#show();
    announce(this.#text.textContent ?? '');
  }

  #toggle() {
    if (this.#resume) this.#goOn();
    else {
      this.#pausing = new Promise((resolve) => (this.#resume = () => resolve(undefined)));
      this.#pause.textContent = t`Go on`;
    }
    this.#show();
  }

  #goOn() {
    this.#resume?.();
    this.#resume = this.#pausing = undefined;
    this.#pause.textContent = t`Pause`;
  }

  #show() {
    const left = this.#waiting.size;
    const total = this.#done + left;
    const rest = this.#done ? t` · about ${formatDuration((this.#spent / this.#done) * left)} left` : '';
    this.#bar.max = Math.max(1, total);
    this.#bar.value = this.#done;
    this.#text.textContent = this.#running
      ? t`${this.#done} of ${total} pictures` + (this.#resume ? t` · paused` : rest)
      : t`${this.#done} pictures in ${formatDuration(this.#spent)}`;
    const failed = this.#failures.length;
    this.#broken.hidden = !failed;
    const shown = Math.min(failed, MOST_FAILURES);
    this.#summary.textContent =
      t`${failed} could not be read` + (shown < failed ? t`; the first ${shown}` : '');
    if (!failed) this.#list.replaceChildren();
    const added = this.#failures.slice(this.#list.childElementCount, shown);
    this.#list.append(...added.map((card) => h('li', {}, `${card.name}: ${card.failure}`)));
  }
}
