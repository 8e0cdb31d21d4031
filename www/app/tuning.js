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
  /** What was fitted to the visitor's judgements. @type {import('./calibration-view.js').Own | undefined} */
  #own;
  #changed;

  /** @param {() => void} onChange */
  constructor(onChange) {
    this.#changed = () => {
      this.#explain();
      onChange();
    };
    byId('tuning', HTMLFormElement).addEventListener('input', ({ target }) => {
      if (this.#own && target === this.#bias) this.#own.bias = this.#bias.valueAsNumber;
      this.#changed();
    });
    // The fields have their old values until the event has ended; a microtask would run before.
    byId('tuning', HTMLFormElement).addEventListener('reset', () => setTimeout(() => this.adopt()));
  }

  /** Takes a fitted scale and bias, or the slider's bias alone. @param {import('./calibration-view.js').Own} [own] */
  adopt(own) {
    // The slider has steps, and shows what is next to the fitted bias.
    this.#bias.value = String(own?.bias ?? (this.#own ? 0 : this.#bias.value));
    this.#own = own;
    this.#changed();
  }

  /** What `classify` is asked for. A classifier has no bias that one could move. @param {Siglip} siglip */
  options({ info }) {
    if (info.kind === 'classifier') return {};
    return { bias: this.#bias.valueAsNumber, ...this.#own, relative: this.#relative.checked };
  }

  /** Says what the scores of a model mean. @param {Siglip} siglip */
  explain(siglip) {
    // What was fitted is another model's.
    if (siglip !== this.#siglip && this.#own) {
      this.#own = undefined;
      this.#bias.value = '0';
    }
    this.#siglip = siglip;
    this.#explain();
  }

  #explain() {
    const { kind, problemType = 'multi_label_classification' } = this.#siglip?.info ?? {};
    byId('tune').hidden = kind === 'classifier';
    const fitted = this.#own;
    const bias = fitted?.bias ?? this.#bias.valueAsNumber;
    const shown = (this.#value.textContent = `${bias > 0 ? '+' : ''}${+bias.toFixed(2)}`);
    let own = '';
    if (kind !== 'classifier' && fitted)
      own = t` With your own bias of ${shown} and scale of ${fitted.scale.toFixed(2)}, fitted to ${fitted.examples} answers that you judged, these are not the model’s probabilities.`;
    else if (kind !== 'classifier' && bias)
      own = t` With your own bias of ${shown}, these are not the model’s probabilities.`;
    byId('meaning').textContent =
      kind !== 'classifier' && this.#relative.checked
        ? t`Shares of 100% among these labels, as if one of them had to be right: they compare labels, and say nothing of how likely one is by itself.`
        : meanings[problemType] + own;
  }
}
