/** The visitor's own view of the scores: a bias, and shares among the labels in place of probabilities. */
import { byId } from './page.js';
import { t } from '../ui/translate.js';

/** @typedef {import('../siglip.js').Siglip} Siglip */

/** What is said about the scores: of labels or several classes, of one class of many, and of numbers. */
const meanings = {
  multi_label_classification: byId('meaning').textContent ?? '',
  single_label_classification: t`The model takes one of its classes to be right: their probabilities add up to 100%.`,
  regression: t`The model gives each of its outputs a number.`,
};

/** The slider of the bias and the choice of shares. */
export class Tuning {
  #bias = byId('bias', HTMLInputElement);
  #relative = byId('relative', HTMLInputElement);
  #value = byId('bias-value');
  /** @type {Siglip | undefined} */
  #siglip;

  /** @param {() => void} onChange */
  constructor(onChange) {
    byId('tuning', HTMLFormElement).addEventListener('input', () => {
      this.#explain();
      onChange();
    });
    byId('tuning', HTMLFormElement).addEventListener('reset', () =>
      // The fields have their old values until the event has ended; a microtask would run before.
      setTimeout(() => {
        this.#explain();
        onChange();
      }),
    );
  }

  /** What `classify` is asked for. A classifier has no bias that one could move. @param {Siglip} siglip */
  options({ info }) {
    if (info.kind === 'classifier') return {};
    return { bias: this.#bias.valueAsNumber, relative: this.#relative.checked };
  }

  /** Says what the scores of a model mean. @param {Siglip} siglip */
  explain(siglip) {
    this.#siglip = siglip;
    this.#explain();
  }

  #explain() {
    const { kind, problemType = 'multi_label_classification' } = this.#siglip?.info ?? {};
    byId('tune').hidden = kind === 'classifier';
    const bias = kind === 'classifier' ? 0 : this.#bias.valueAsNumber;
    this.#value.textContent = bias > 0 ? `+${bias}` : String(bias);
    const own = bias
      ? t` With your own bias of ${this.#value.textContent ?? ''}, these are not the model’s probabilities.`
      : '';
    byId('meaning').textContent =
      kind !== 'classifier' && this.#relative.checked
        ? t`Shares of 100% among these labels, as if one of them had to be right: they compare labels, and say nothing of how likely one is by itself.`
        : meanings[problemType] + own;
  }
}
