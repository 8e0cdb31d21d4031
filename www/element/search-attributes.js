import { ModelAttributes, assign, modelAttributes, numberOf, textOf } from './model-attributes.js';

/** The attributes of <siglip-search>, each as a property. */
export class SearchAttributes extends ModelAttributes {
  static observedAttributes = [
    ...modelAttributes,
    ...['index', 'pictures', 'query', 'template', 'threshold', 'top-k', 'loading', 'disabled'],
  ];

  /** The URL of the file that `siglip index` has written. */
  get index() {
    return this.getAttribute('index') ?? '';
  }
  set index(value) {
    this.setAttribute('index', value);
  }

  /** The URL of the folder that was indexed; without it the index lies in that folder. @returns {string | undefined} */
  get pictures() {
    return textOf(this, 'pictures');
  }
  set pictures(value) {
    assign(this, 'pictures', value);
  }

  /** What the page itself looks for. */
  get query() {
    return this.getAttribute('query') ?? '';
  }
  set query(value) {
    this.setAttribute('query', value);
  }

  /** The sentence around what is looked for, which replaces `{}`. */
  get template() {
    return this.getAttribute('template') || '{}';
  }
  set template(value) {
    this.setAttribute('template', value);
  }

  /** The lowest probability of a picture that is shown. @returns {number | undefined} */
  get threshold() {
    return numberOf(this, 'threshold');
  }
  set threshold(value) {
    assign(this, 'threshold', value);
  }

  /** The most pictures that are shown. @returns {number} */
  get topK() {
    return numberOf(this, 'top-k') ?? 24;
  }
  set topK(value) {
    assign(this, 'top-k', value);
  }

  /** Whether nothing can be looked for. */
  get disabled() {
    return this.hasAttribute('disabled');
  }
  set disabled(value) {
    this.toggleAttribute('disabled', value);
  }
}
