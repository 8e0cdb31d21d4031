/** The list of scores that the page and the element show. */
import { h, sheetOf } from './dom.js';
import { formatScore, isNumber } from './format.js';
import { t } from './translate.js';

/** @typedef {import('../siglip.js').Score} Score */
/** @typedef {import('./format.js').Answerer} Answerer */

/** Uses the colours --accent and --track of the page or element that adopts it. */
export const scoreSheet = sheetOf(`
.scores { display: grid; gap: .7em; list-style: none; margin: 0; padding: 0; }
.scores li { display: grid; grid-template-columns: minmax(0, 1fr) auto; gap: .3em 1em; align-items: baseline; }
.scores span:first-child { overflow-wrap: anywhere; }
.scores data { font-variant-numeric: tabular-nums; }
.scores li:first-child :is(span:first-child, data) { font-weight: 650; }
.scores [part=bar] { grid-column: 1 / -1; height: .5em; border-radius: 1em; background: var(--track); overflow: hidden; }
.scores i { display: block; height: 100%; min-width: 2px; width: calc(100% * var(--score)); border-radius: inherit;
  background: var(--accent); opacity: .5; transition: width .3s ease-out; }
.scores li:first-child i { opacity: 1; }
.scores li.unknown data { font-weight: 400; font-style: italic; overflow-wrap: anywhere; }
.scores li.unknown i { min-width: 0; }
@media (prefers-reduced-motion: reduce) { .scores i { transition: none; } }
@media (forced-colors: active) {
  .scores [part=bar] { border: 1px solid CanvasText; }
  .scores i { forced-color-adjust: none; background: Highlight; opacity: 1; }
}`);

/** Labels with their probabilities, as text and as bars, in the order of the scores. */
export class ScoreList {
  element = h('ol', { part: 'list', className: 'scores' });
  /** @type {Map<string, HTMLElement>} */
  #items = new Map();

  /**
   * @param {Score[]} scores
   * @param {Answerer} [info] of the model that has given them
   */
  show(scores, info = {}) {
    const items = new Map(scores.map((score) => [score.label, this.#item(score, info)]));
    for (const [label, item] of this.#items) if (!items.has(label)) item.remove();
    // Move no item that is in its place already: the transition of a bar that is moved in the tree starts over.
    [...items.values()].forEach((item, i) => {
      const { children } = this.element;
      if (children[i] !== item) this.element.insertBefore(item, children[i] ?? null);
    });
    this.#items = items;
  }

  /**
   * @param {Score} scored
   * @param {Answerer} info
   */
  #item(scored, info) {
    const { label, score, logit, cosine, relative = score, adjusted, unknown } = scored;
    const item = this.#items.get(label) ?? itemOf(label);
    const [, value, bar] = /** @type {[HTMLElement, HTMLDataElement, HTMLElement]} */ (
      /** @type {unknown} */ ([...item.children])
    );
    value.value = String(relative);
    value.textContent = unknown ? t`unknown: ${unknown.join(', ')}` : formatScore(scored, info);
    value.title = unknown
      ? t`The model does not know this word, so it cannot tell. Try another one.`
      : (isNumber(info) ? '' : t`probability ${score.toPrecision(6)}, `) +
        (cosine === undefined ? '' : t`cosine ${cosine.toFixed(4)}, `) +
        t`logit ${logit.toFixed(4)}` +
        (adjusted ? t` (scale and bias not the model’s)` : '');
    item.classList.toggle('unknown', !!unknown);
    bar.style.setProperty('--score', String(unknown || isNumber(info) ? 0 : relative));
    return item;
  }
}

/** @param {string} label */
const itemOf = (label) =>
  h(
    'li',
    { part: 'item' },
    h('span', { part: 'label' }, label),
    h('data', { part: 'score' }),
    h('span', { part: 'bar', 'aria-hidden': true }, h('i')),
  );
