/** What makes the element a field of a form. */
import { t } from '../ui/translate.js';
import { Attributes } from './attributes.js';

/** A field whose value is the best label of its picture; of several pictures, each gives the form a value. */
export class FormField extends Attributes {
  static formAssociated = true;
  /** A server, which has no elements, has none. */
  #internals = /** @type {ElementInternals} */ (this.attachInternals?.());
  /** @type {string[]} */
  #values = [];

  /** The best label of the first picture that reaches the threshold; empty while there is none. */
  get value() {
    return this.#values[0] ?? '';
  }

  get type() {
    return this.localName;
  }

  get form() {
    return this.#internals.form;
  }

  get validity() {
    return this.#internals.validity;
  }

  get validationMessage() {
    return this.#internals.validationMessage;
  }

  get willValidate() {
    return this.#internals.willValidate;
  }

  checkValidity() {
    return this.#internals.checkValidity();
  }

  reportValidity() {
    return this.#internals.reportValidity();
  }

  /**
   * @param {string[]} values the best label of each picture that has one
   * @param {HTMLElement} anchor where the browser says that one is missing
   */
  setValues(values, anchor) {
    this.#values = values;
    const entries = new FormData();
    for (const value of values) entries.append(this.name, value);
    this.#internals.setFormValue(this.name ? entries : null);
    if (values.length || !this.required) this.#internals.setValidity({});
    else this.#internals.setValidity({ valueMissing: true }, t`A picture with an answer is needed.`, anchor);
  }
}
