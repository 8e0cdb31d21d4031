import { h } from '../ui/dom.js';
import { describe, formatPercent, formatTime } from '../ui/format.js';
import { Picture } from '../ui/scored-image.js';
import { ScoreList } from '../ui/scores.js';

/** @typedef {import('../siglip.js').Siglip} Siglip */

/** A picture with its labels' probabilities. */
export class Card {
  #picture;
  #list = new ScoreList();
  #status = h('p', { className: 'hint' });
  #errorText = h('p');
  #retry = h('button', { className: 'button', type: 'button' }, 'Try again');
  #error = h('div', { className: 'error', role: 'alert', hidden: true }, this.#errorText, this.#retry);

  /**
   * @param {Blob | string} source
   * @param {{isExample: boolean, onRemove: () => void}} options
   */
  constructor(source, { isExample, onRemove }) {
    this.isExample = isExample;
    const picture = (this.#picture = new Picture(source));
    const image = h('img', { src: picture.url, alt: `Picture: ${picture.name}`, decoding: 'async' });
    image.addEventListener('error', () => image.replaceWith(h('p', { className: 'unseen' }, 'No preview')));
    const badge = h('span', { className: 'badge', hidden: !isExample }, 'Example');
    this.removeButton = h('button', { className: 'remove', type: 'button', onclick: onRemove }, '×');
    this.removeButton.setAttribute('aria-label', `Remove ${picture.name}`);
    this.element = h(
      'li',
      { className: 'panel card' },
      h('div', { className: 'thumbnail' }, image),
      h(
        'div',
        { className: 'answer' },
        h('h3', {}, h('span', {}, picture.name), badge),
        this.#list.element,
        this.#error,
        this.#status,
      ),
      this.removeButton,
    );
  }

  get name() {
    return this.#picture.name;
  }

  /** @param {string} text what the card waits for */
  wait(text) {
    this.#status.textContent = text;
  }

  /**
   * @param {Siglip} siglip
   * @param {string[]} labels
   * @param {string} template
   * @param {(code: string) => void} onRetry
   * @returns {Promise<string>} what the model says in a few words; nothing where a later call has taken over
   */
  async score(siglip, labels, template, onRetry) {
    if (!this.#list.element.childElementCount) this.wait('Looking at it …');
    this.element.ariaBusy = 'true';
    try {
      const { scores, seenMs, scoredMs } = await this.#picture.score(siglip, labels, { template });
      this.#error.hidden = true;
      this.#list.show(scores);
      this.wait(`Picture ${formatTime(seenMs)} · labels ${formatTime(scoredMs)}`);
      this.element.ariaBusy = 'false';
      const [best] = scores;
      return best && !best.unknown ? `${this.name}: ${best.label}, ${formatPercent(best.score)}` : '';
    } catch (error) {
      const { code, headline, message } = describe(error);
      if (code === 'aborted') return '';
      this.#list.show([]);
      this.wait('');
      this.#errorText.replaceChildren(h('strong', {}, headline), message);
      this.#error.hidden = false;
      // Another try makes no picture of what is none.
      this.#retry.hidden = code === 'bad-image';
      this.#retry.onclick = () => onRetry(code);
      this.element.ariaBusy = 'false';
      return '';
    }
  }

  release() {
    this.#picture.release();
    this.element.remove();
  }
}
