/** On a card: the same question to candle's engine, and how far its answer is from the model's. */
import { h, sheetOf } from '../ui/dom.js';
import { describe } from './describe.js';
import { formatBytes, formatProgress, formatTime } from '../ui/format.js';
import { t } from '../ui/translate.js';
import { Siglip } from '../siglip.js';
import { announce } from './page.js';

/** @typedef {import('./why.js').Question} Question */
/** @typedef {import('../siglip.js').Score} Score */

document.adoptedStyleSheets.push(
  sheetOf(`
.check { display: grid; gap: .6rem; padding-top: .6rem; font-size: .9rem; overflow-x: auto; }
.check table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
.check :is(th, td) { padding: .15rem .4rem; text-align: end; }
.check :is(th, td):first-child { text-align: start; overflow-wrap: anywhere; padding-inline-start: 0; }
`),
);

/** candle's engine with a model, for all cards. @type {{of: Siglip, candle: Promise<Siglip>} | undefined} */
let loaded;

/**
 * The model that answers, once more: on candle's engine. Another one that was loaded for this is given back.
 * @param {Siglip} siglip
 * @param {(progress: import('../siglip.js').Progress) => void} onProgress
 */
function candleFor(siglip, onProgress) {
  if (loaded?.of === siglip) return loaded.candle;
  loaded?.candle.then((candle) => candle.dispose()).catch(() => {});
  // What is cached of a model in 8 bits is of no use here, and the cache need not hold it twice.
  const cache = siglip.info.precision === 'f32';
  const candle = Siglip.load(siglip.origin, { engine: 'candle', cache, onProgress });
  const entry = (loaded = { of: siglip, candle });
  candle.catch(() => {
    if (loaded === entry) loaded = undefined;
  });
  return candle;
}

/** The comparison on a card. */
export class CandleCheck {
  #source;
  #status = h('p', { className: 'hint', role: 'status' });
  #result = h('div');
  #start = h('button', { className: 'button', type: 'button', onclick: () => this.#compare() });
  element = h('div', { className: 'check' }, this.#status, this.#start, this.#result);
  /** @type {Question | undefined} */
  #question;

  /** @param {Blob | string} source of the picture */
  constructor(source) {
    this.#source = source;
  }

  /** Compares, if candle's engine is at hand or soon is; asks before it takes much memory. @param {Question} question */
  show(question) {
    this.#question = question;
    this.#result.replaceChildren();
    const { info } = question.siglip;
    const isCheap = loaded?.of === question.siglip || info.model === 'tiny';
    this.#start.hidden = isCheap;
    if (isCheap) return this.#compare();
    this.#start.textContent = t`Load it`;
    const bytes = info.bytes * (info.precision === 'f32' ? 1 : 4);
    this.#status.textContent = t`candle, another implementation of the model, loads it once more, in single precision: about ${formatBytes(bytes)} of memory.`;
  }

  async #compare() {
    const question = this.#question;
    if (!question) return;
    const { siglip, labels, template } = question;
    this.#start.hidden = true;
    this.#status.textContent = t`candle looks at it …`;
    try {
      const candle = await candleFor(siglip, (progress) => {
        if (this.#question === question) this.#status.textContent = formatProgress(progress);
      });
      const start = performance.now();
      const embedding = await candle.embedImage(this.#source);
      const ms = performance.now() - start;
      const theirs = await candle.score(embedding, labels, { template });
      const ours = await siglip.classify(this.#source, labels, { template });
      if (this.#question === question) this.#show(ours, theirs, siglip.info, ms);
    } catch (error) {
      if (this.#question !== question) return;
      const { headline, message } = describe(error);
      this.#status.textContent = `${headline}. ${message}`;
    }
  }

  /**
   * @param {Score[]} ours
   * @param {Score[]} theirs
   * @param {import('../siglip.js').Info} info
   * @param {number} ms that candle took for the picture
   */
  #show(ours, theirs, { precision }, ms) {
    const byLabel = new Map(theirs.map((score) => [score.label, score.logit]));
    const rows = ours.map(({ label, logit }) => ({ label, logit, candle: byLabel.get(label) ?? NaN }));
    const largest = Math.max(...rows.map(({ logit, candle }) => Math.abs(logit - candle)));
    const cells = (/** @type {string} */ tag, /** @type {string[]} */ ...texts) =>
      h('tr', {}, ...texts.map((text) => h(/** @type {'td'} */ (tag), {}, text)));
    this.#result.replaceChildren(
      h(
        'table',
        {},
        cells('th', t`Label`, t`Logit here (${precision})`, t`Logit of candle (f32)`),
        ...rows.map(({ label, logit, candle }) => cells('td', label, logit.toFixed(4), candle.toFixed(4))),
      ),
    );
    this.#status.textContent =
      t`Largest difference of a logit: ${formatDifference(largest)}. candle took ${formatTime(ms)} for the picture.` +
      (precision === 'f32' ? '' : ' ' + t`The weights here are in 8 bits, those of candle are not.`);
    announce(this.#status.textContent);
  }
}

/** Enough digits for one that matters, and for one that does not. @param {number} difference */
const formatDifference = (difference) =>
  difference >= 0.001 ? difference.toFixed(3) : difference.toExponential(0);
