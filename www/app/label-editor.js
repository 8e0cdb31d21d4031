/** The field of labels. */
import { h } from '../ui/dom.js';
import { splitLabels, unique } from '../ui/labels.js';
import { announce, byId } from './page.js';
import { t } from '../ui/translate.js';

/** Milliseconds without a key press after which a label that is being edited is scored. */
const PAUSE = 200;

/** The labels as chips, each of them an editable field, and one more field for new labels. */
export class LabelEditor {
  #list = byId('labels', HTMLUListElement);
  #entry = byId('new-label', HTMLInputElement);
  #onChange;
  #timer = 0;

  /** @param {() => void} onChange */
  constructor(onChange) {
    this.#onChange = onChange;
    this.#entry.addEventListener('input', () => {
      // An input event, as the keyboards of phones send no key events.
      if (/[,\n]/.test(this.#entry.value)) this.#commit();
    });
    this.#entry.addEventListener('change', () => this.#commit());
    this.#entry.addEventListener('paste', (event) => {
      const text = event.clipboardData?.getData('text/plain') ?? '';
      if (!/[,\n]/.test(text)) return;
      event.preventDefault();
      this.#entry.value += text.replaceAll('\n', ',');
      this.#commit();
    });
    this.#entry.addEventListener('keydown', (event) => {
      if (event.isComposing) return;
      if (event.key === 'Enter') this.#commit();
      const last = this.#list.lastElementChild;
      if (event.key === 'Backspace' && !this.#entry.value && last) {
        event.preventDefault();
        this.#remove(last);
      }
    });
    byId('label-box').addEventListener('click', (event) => {
      if (event.target === event.currentTarget || event.target === this.#list) this.#entry.focus();
    });
  }

  /** @returns {string[]} */
  get values() {
    return unique(this.#fields().map((field) => field.value));
  }

  set values(labels) {
    this.#list.replaceChildren(...labels.map((label) => this.#chip(label)));
  }

  #fields() {
    return [...this.#list.querySelectorAll('input')];
  }

  #commit() {
    const known = new Set(this.values);
    const labels = splitLabels(this.#entry.value).filter((label) => !known.has(label));
    this.#entry.value = '';
    if (!labels.length) return;
    this.#list.append(...labels.map((label) => this.#chip(label)));
    announce(t`Added: ${labels.join(', ')}`);
    this.#onChange();
  }

  /** @param {string} label */
  #chip(label) {
    const field = h('input', {
      type: 'text',
      size: 1,
      value: label,
      autocomplete: 'off',
      'aria-label': t`Label`,
    });
    // A hidden copy of the text makes the field as wide as its text.
    const sizer = h('span', { className: 'sizer', 'data-text': label }, field);
    const remove = h('button', { type: 'button', 'aria-label': t`Remove ${label}` }, '×');
    const chip = h('li', { className: 'chip' }, sizer, remove);
    field.addEventListener('input', () => {
      sizer.dataset.text = field.value;
      remove.ariaLabel = t`Remove ${field.value}`;
      clearTimeout(this.#timer);
      this.#timer = setTimeout(this.#onChange, PAUSE);
    });
    field.addEventListener('change', () => this.#settle(chip, field));
    field.addEventListener('keydown', (event) => {
      if (event.isComposing) return;
      if (event.key === 'Enter') this.#entry.focus();
      if (event.key === 'Backspace' && !field.value) {
        event.preventDefault();
        this.#remove(chip);
      }
    });
    remove.addEventListener('click', () => this.#remove(chip));
    return chip;
  }

  /**
   * Ends the edit of a label. The new text may be empty, several labels, or a label that is there already.
   * @param {HTMLElement} chip
   * @param {HTMLInputElement} field
   */
  #settle(chip, field) {
    clearTimeout(this.#timer);
    const others = new Set(this.#fields().flatMap((other) => (other === field ? [] : [other.value.trim()])));
    const labels = splitLabels(field.value).filter((label) => !others.has(label));
    if (labels.length !== 1 || labels[0] !== field.value)
      chip.replaceWith(...labels.map((label) => this.#chip(label)));
    this.#onChange();
  }

  /** @param {Element} chip */
  #remove(chip) {
    const next = chip.nextElementSibling ?? chip.previousElementSibling;
    const label = chip.querySelector('input')?.value;
    const focused = chip.contains(document.activeElement);
    chip.remove();
    if (focused) (next?.querySelector('button') ?? this.#entry).focus();
    announce(t`Removed: ${label ?? ''}`);
    this.#onChange();
  }
}
