import { h } from '../ui/dom.js';
import { describe } from './describe.js';
import { formatScore, formatTime } from '../ui/format.js';
import { ScoredImage } from '../ui/scored-image.js';
import { ScoreList } from '../ui/scores.js';
import { t } from '../ui/translate.js';

/** @typedef {import('../siglip.js').Siglip} Siglip */

/** Most scores on a card of all labels of a bundle. */
const MOST_SHOWN = 20;

/** An image on the page with the probabilities of the labels. */
export class Card {
  #image;
  #list = new ScoreList();
  #status = h('p', { className: 'hint' });
  #why = h('details', { hidden: true }, h('summary', {}, t`Why?`));
  /** The map of what speaks for a label. @type {import('./why.js').Why | undefined} */
  #map;
  /** What the card shows the answer to. @type {import('./why.js').Question | undefined} */
  #question;
  #errorText = h('p');
  #retry = h('button', { className: 'button', type: 'button' }, t`Try again`);
  #error = h('div', { className: 'error', role: 'alert', hidden: true }, this.#errorText, this.#retry);
  /** The newest answer. @type {import('../siglip.js').Score[] | undefined} */
  scores;
  /** What the newest answer took. @type {{embeddingMs: number, scoringMs: number} | undefined} */
  times;
  /** Why there is no answer. @type {string | undefined} */
  failure;

  /**
   * @param {Blob | string} source
   * @param {{isExample: boolean, onRemove: () => void}} options
   */
  constructor(source, { isExample, onRemove }) {
    this.isExample = isExample;
    const image = (this.#image = new ScoredImage(source));
    image.element.className = 'thumbnail';
    // Of thousands of pictures, only those near the window are decoded.
    for (const picture of image.element.querySelectorAll('img')) picture.loading = 'lazy';
    const badge = h('span', { className: 'badge', hidden: !isExample }, t`Example`);
    this.removeButton = h('button', { className: 'remove', type: 'button', onclick: onRemove }, '×');
    this.removeButton.setAttribute('aria-label', t`Remove ${image.name}`);
    this.element = h(
      'li',
      { className: 'panel card' },
      image.element,
      h(
        'div',
        { className: 'answer' },
        h('h3', {}, h('span', {}, image.name), badge),
        this.#list.element,
        this.#error,
        this.#status,
        this.#why,
      ),
      this.removeButton,
    );
    this.#why.addEventListener('toggle', () => this.#explain());
  }

  get name() {
    return this.#image.name;
  }

  get source() {
    return this.#image.source;
  }

  /** Embeds the image while the model's text tower arrives. @param {Siglip} siglip */
  prepare(siglip) {
    this.#image.prepare(siglip);
  }

  /** @param {string} text what the card waits for */
  wait(text) {
    this.#status.textContent = text;
  }

  /**
   * @param {Siglip} siglip
   * @param {import('../lib/siglip.js').Labels | undefined} labels those of a bundle if they are left out
   * @param {import('../siglip.js').ScoreOptions} options
   * @param {(code: string) => void} onRetry
   * @returns {Promise<string>} the best label, for screen readers; empty if there is none or a later call has replaced this one
   */
  async score(siglip, labels, options, onRetry) {
    if (!this.#list.element.childElementCount) this.wait(t`Looking at it …`);
    this.element.ariaBusy = 'true';
    try {
      const topK = labels ? undefined : MOST_SHOWN;
      const { scores, notices, embeddingMs, scoringMs } = await this.#image.score(siglip, labels, {
        ...options,
        topK,
      });
      this.#error.hidden = true;
      this.scores = scores;
      this.times = { embeddingMs, scoringMs };
      this.failure = undefined;
      this.#list.show(scores, siglip.info);
      const times = t`Picture ${formatTime(embeddingMs)} · labels ${formatTime(scoringMs)}`;
      this.wait([times, ...notices.map(({ message }) => message)].join(' · '));
      this.element.ariaBusy = 'false';
      // A map is of a label's text.
      this.#offerMap(siglip, Array.isArray(labels ?? []) ? scores : [], options);
      const [best] = scores;
      return best && !best.unknown ? `${this.name}: ${best.label}, ${formatScore(best, siglip.info)}` : '';
    } catch (error) {
      const { code, headline, message } = describe(error);
      if (code === 'aborted') return '';
      this.scores = undefined;
      this.failure = `${headline}: ${message}`;
      this.#list.show([]);
      this.#offerMap(siglip, [], options);
      this.wait('');
      this.#errorText.replaceChildren(h('strong', {}, headline), message);
      this.#error.hidden = false;
      // A file that is no image stays one however often it is tried.
      this.#retry.hidden = code === 'bad-image';
      this.#retry.onclick = () => onRetry(code);
      this.element.ariaBusy = 'false';
      return '';
    }
  }

  /**
   * Offers a map for the labels that were read.
   * @param {Siglip} siglip
   * @param {import('../siglip.js').Score[]} scores
   * @param {import('../siglip.js').ScoreOptions} options
   */
  #offerMap(siglip, scores, { template = [] }) {
    const labels = scores.filter(({ unknown }) => !unknown).map(({ label }) => label);
    this.#question = { siglip, labels, template: [template].flat() };
    this.#why.hidden = !labels.length;
    this.#explain();
  }

  async #explain() {
    const isWanted = () => this.#why.open && !this.#why.hidden && this.#question;
    if (!isWanted()) return this.#map?.hide();
    // Most visitors never ask: the code is fetched when it is first needed.
    const { Why } = await import('./why.js');
    this.#map ??= new Why(this.#image);
    this.#why.append(this.#map.element);
    const question = isWanted();
    if (question) this.#map.show(question);
  }

  release() {
    this.#map?.hide();
    this.#image.release();
    this.element.remove();
  }
}
