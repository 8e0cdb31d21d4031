/** The panel where a person judges shown answers, and the model's scale and bias are fitted to them. */
import { h, sheetOf } from '../ui/dom.js';
import { describe } from './describe.js';
import { formatPercent } from '../ui/format.js';
import { t } from '../ui/translate.js';
import { announce, byId } from './page.js';

/** @typedef {import('../siglip.js').Siglip} Siglip */
/** @typedef {import('../siglip.js').Calibration} Calibration */
/** @typedef {import('./card.js').Card} Card */
/** A label shown on a card. `truth` is undefined until it is judged. @typedef {{card: Card, label: string, truth?: boolean}} Answer */
/** @typedef {{scale: number, bias: number, examples: number}} Own */

/** The most answers that are shown to be judged. */
const MOST = 40;

document.adoptedStyleSheets.push(
  sheetOf(`
.calibration { position: relative; justify-items: start; }
.calibration > * { max-width: 100%; min-width: 0; }
.calibration h3 { margin: 0; padding-right: 2.5rem; font-size: 1rem; }
.calibration h3:focus { outline: none; }
.calibration > :is(ul, output) { width: 100%; }
.calibration .row { flex-wrap: wrap; }
.judged { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(19rem, 100%), 1fr)); gap: .6rem 1.25rem;
  max-height: 24rem; overflow: auto; margin: 0; padding: .2rem; list-style: none; }
.judged li { display: flex; gap: .75rem; align-items: center; min-width: 0; }
.judged img { flex: none; width: 3.5rem; height: 3.5rem; border-radius: .5rem; background: var(--track); object-fit: cover; }
.judged fieldset { flex: 1; display: flex; flex-wrap: wrap; gap: .1rem .9rem; min-width: 0; margin: 0; padding: 0; border: 0; }
.judged legend { padding: 0; font-weight: 600; overflow-wrap: anywhere; }
.reliability { display: grid; grid-template-columns: minmax(0, 15rem) minmax(0, 1fr); gap: .75rem 1.5rem; align-items: center; }
.reliability svg { width: 100%; height: auto; overflow: visible; }
.reliability table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
.reliability :is(th, td) { padding: .3rem .9rem .3rem 0; text-align: left; }
.reliability thead th { color: var(--muted); font-size: .875rem; font-weight: 400; }
.reliability :is(.frame, .even) { fill: none; stroke: var(--line); }
.reliability .even { stroke-dasharray: 3 3; }
.reliability text { fill: var(--muted); font-size: 7px; }
.reliability .before { fill: none; stroke: var(--muted); stroke-width: 1.5; }
.reliability .after { fill: var(--accent); }
.reliability svg.key { width: 1em; height: 1em; margin-right: .4em; vertical-align: -.1em; }
@media (max-width: 34rem) { .reliability { grid-template-columns: minmax(0, 1fr); } .reliability svg { max-width: 15rem; } }
`),
);

/** Judged answers, the fit, and how well probabilities match before and after it. */
export class CalibrationView {
  #page;
  /** @type {Answer[]} */
  #answers = [];
  /** Of the pictures on show. @type {string[]} */
  #urls = [];
  #running = new AbortController();
  #title = h('h3', { tabIndex: -1, id: 'calibration-title' }, t`Judge a few answers`);
  #count = h('p', { className: 'hint', role: 'status' });
  #list = h('ul', { className: 'judged' });
  #fit = h('button', { className: 'button', type: 'button' }, t`Fit the scores to my answers`);
  #undo = h('button', { className: 'button quiet', type: 'button', hidden: true }, t`Undo the fit`);
  #error = h('p', { className: 'error', role: 'alert', hidden: true });
  #result = h('output', { className: 'reliability', hidden: true });

  /**
   * @param {object} page
   * @param {() => Siglip | undefined} page.model
   * @param {() => Card[]} page.cards
   * @param {() => string[]} page.template
   * @param {(own: Own | undefined) => void} page.adopt takes a fitted scale and bias for the scores, or the model's again
   */
  constructor(page) {
    this.#page = page;
    const close = h('button', { className: 'remove', type: 'button', onclick: () => this.#close() }, '×');
    close.ariaLabel = t`Close the judging`;
    this.element = h(
      'section',
      { className: 'panel calibration', 'aria-labelledby': this.#title.id },
      this.#title,
      h(
        'p',
        { className: 'hint' },
        t`Is the label true of the picture? From your answers the page learns how far to trust the model’s numbers. Some ten of each kind are a good beginning; right answers with low scores help most.`,
      ),
      this.#list,
      this.#count,
      h('div', { className: 'row' }, this.#fit, this.#undo),
      this.#error,
      this.#result,
      close,
    );
    this.#fit.onclick = () => this.#calibrate();
    this.#undo.onclick = () => {
      this.#forget();
      page.adopt(undefined);
      announce(t`The model’s own scale and bias are in use again.`);
      this.#fit.focus();
    };
  }

  /** Shows the answers of all cards, the best labels first. What was judged stays. */
  show() {
    const before = this.#answers.filter(({ truth }) => truth !== undefined);
    const shown = this.#page
      .cards()
      .flatMap((card) =>
        (card.scores ?? []).map(({ label, unknown }, rank) => ({ card, label, unknown, rank })),
      )
      .filter(({ unknown }) => !unknown)
      .sort((a, b) => a.rank - b.rank)
      .map(({ card, label }) => ({
        card,
        label,
        truth: before.find((answer) => answer.card === card && answer.label === label)?.truth,
      }));
    this.#answers = shown.slice(0, MOST);
    this.#releaseUrls();
    this.#list.replaceChildren(...this.#answers.map((answer, at) => this.#item(answer, at)));
    this.#showCount();
    this.element.hidden = false;
    this.#title.focus();
  }

  /** Told whenever there is a new model: what was fitted is of no use to it. */
  modelReady() {
    this.#forget();
    if (!this.element.hidden) this.#showCount();
  }

  /** @param {Answer} answer @param {number} at */
  #item(answer, at) {
    const { source, name } = answer.card;
    const src = typeof source === 'string' ? source : URL.createObjectURL(source);
    if (src !== source) this.#urls.push(src);
    const choice = (/** @type {string} */ text, /** @type {boolean} */ truth) => {
      const onchange = () => {
        answer.truth = truth;
        this.#showCount();
      };
      const checked = answer.truth === truth;
      return h(
        'label',
        {},
        h('input', { type: 'radio', name: `judged-${at}`, checked, onchange }),
        ` ${text}`,
      );
    };
    const legend = h('legend', {}, answer.label);
    legend.ariaLabel = `${name}: ${answer.label}`;
    return h(
      'li',
      {},
      h('img', { src, alt: name, decoding: 'async' }),
      h('fieldset', {}, legend, choice(t`Yes`, true), choice(t`No`, false)),
    );
  }

  #judged() {
    return this.#answers.filter(({ truth }) => truth !== undefined);
  }

  #showCount() {
    const judged = this.#judged();
    const right = judged.filter(({ truth }) => truth).length;
    const needs = !right || right === judged.length;
    const { info } = this.#page.model() ?? {};
    this.#fit.disabled = needs || info?.kind === 'classifier';
    this.#count.textContent = !this.#answers.length
      ? t`There are no answers yet: add pictures and labels.`
      : t`${judged.length} judged, ${right} of them true.` +
        (needs ? t` At least one true and one false answer are needed.` : '');
  }

  async #calibrate() {
    const siglip = this.#page.model();
    if (!siglip) return;
    this.#running.abort();
    const { signal } = (this.#running = new AbortController());
    const judged = this.#judged();
    const examples = judged.map(({ card, label, truth }) => ({ image: card.source, label, truth: !!truth }));
    this.#error.hidden = true;
    this.#fit.disabled = true;
    try {
      const fitted = await siglip.calibrate(examples, { template: this.#page.template(), signal });
      if (signal.aborted || siglip !== this.#page.model()) return;
      this.#page.adopt({ scale: fitted.scale, bias: fitted.bias, examples: judged.length });
      this.#showResult(fitted);
      this.#undo.hidden = false;
    } catch (error) {
      const { code, headline, message } = describe(error);
      if (code === 'aborted') return;
      this.#error.replaceChildren(h('strong', {}, `${headline}: `), message);
      this.#error.hidden = false;
    } finally {
      if (!signal.aborted) this.#showCount();
    }
  }

  /** @param {Calibration} fitted */
  #showResult({ scale, bias, evenCosine, before, after }) {
    const row = (/** @type {string} */ name, /** @type {string[]} */ ...cells) =>
      h('tr', {}, h('th', { scope: 'row' }, name), ...cells.map((cell) => h('td', {}, cell)));
    const head = (/** @type {string} */ kind, /** @type {string} */ text) =>
      h('th', { scope: 'col' }, dotOf(kind), text);
    this.#result.replaceChildren(
      diagramOf(before, after),
      h(
        'div',
        {},
        h(
          'table',
          {},
          h('thead', {}, h('tr', {}, h('td'), head('before', t`the model’s`), head('after', t`yours`))),
          h(
            'tbody',
            {},
            row(t`Mean error of the probabilities`, formatPercent(before.error), formatPercent(after.error)),
            row(t`Log loss`, before.logLoss.toFixed(3), after.logLoss.toFixed(3)),
          ),
        ),
        h(
          'p',
          { className: 'hint' },
          t`Your own scale is ×${scale.toFixed(2)} and your own bias ${(bias > 0 ? '+' : '') + bias.toFixed(2)}: a cosine of ${evenCosine.toFixed(3)} is now as likely right as wrong. Measured on the answers it was fitted to, so it flatters.`,
        ),
      ),
    );
    this.#result.hidden = false;
  }

  #forget() {
    this.#running.abort();
    this.#result.hidden = this.#undo.hidden = this.#error.hidden = true;
  }

  #close() {
    this.#running.abort();
    this.element.hidden = true;
    this.#releaseUrls();
    byId('judge').focus();
  }

  #releaseUrls() {
    for (const url of this.#urls.splice(0)) URL.revokeObjectURL(url);
  }
}

/** @param {string} tag @param {Record<string, string | number>} attributes @param {...Node} children */
function svg(tag, attributes, ...children) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

/** How a series is drawn. @param {string} kind */
const dotOf = (kind) =>
  svg(
    'svg',
    { class: 'key', viewBox: '0 0 10 10', 'aria-hidden': 'true' },
    svg('circle', { class: kind, cx: 5, cy: 5, r: 4 }),
  );

/**
 * A reliability diagram: how often the answer was right, against the probability that it was given. On the dashed line both are
 * equal; a circle's area is the share of the answers.
 * @param {Calibration['before']} before
 * @param {Calibration['after']} after
 */
function diagramOf(before, after) {
  const circles = (/** @type {Calibration['after']} */ { bins }, /** @type {string} */ kind) =>
    bins
      .filter(({ share }) => share > 0)
      .map(({ share, predicted, observed }) =>
        svg('circle', {
          class: kind,
          cx: 100 * predicted,
          cy: 100 - 100 * observed,
          r: 2 + 7 * Math.sqrt(share),
        }),
      );
  const text = (/** @type {Record<string, string | number>} */ place, /** @type {string} */ words) =>
    svg('text', place, document.createTextNode(words));
  return svg(
    'svg',
    { viewBox: '-14 -6 120 124', role: 'img', 'aria-label': t`Reliability before and after the fit` },
    svg('rect', { class: 'frame', width: 100, height: 100 }),
    svg('path', { class: 'even', d: 'M0 100 100 0' }),
    ...circles(before, 'before'),
    ...circles(after, 'after'),
    text({ x: 50, y: 114, 'text-anchor': 'middle' }, t`probability shown`),
    text({ x: -50, y: -6, 'text-anchor': 'middle', transform: 'rotate(-90)' }, t`share that is true`),
  );
}
