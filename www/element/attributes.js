import { DEFAULT_TEMPLATE } from '../siglip.js';
import { splitLabels, unique } from '../ui/labels.js';

/** @typedef {import('../siglip.js').LoadOptions} LoadOptions */

/** The options of a load that are properties of the element. */
export const modelOptions = /** @type {const} */ ([
  ...['source', 'precision', 'workers', 'device', 'engine', 'imageSize', 'maxPatches', 'workerUrl'],
]);

/** The attributes that decide which model is loaded, and how. */
export const modelAttributes = [
  'model',
  ...modelOptions.map((name) => name.replace(/[A-Z]/, (letter) => `-${letter.toLowerCase()}`)),
];

/** Servers that render pages import the element too, and have no elements. @type {typeof HTMLElement} */
const Base = globalThis.HTMLElement ?? Object;

/** The attributes of <siglip-classifier>, each as a property. */
export class Attributes extends Base {
  static observedAttributes = [
    ...modelAttributes,
    ...['labels', 'label-set', 'template', 'threshold', 'top-k', 'scale', 'bias', 'relative', 'classes'],
    ...['src', 'loading', 'multiple', 'label-source', 'name', 'required', 'disabled'],
  ];

  /** `tiny`, a hub id, or the URL of a folder or of a .gguf such as a bundle. */
  get model() {
    return this.getAttribute('model') || 'tiny';
  }
  set model(value) {
    this.setAttribute('model', value);
  }

  /** Which files of a published checkpoint; see {@link LoadOptions.source}. @returns {LoadOptions['source']} */
  get source() {
    return this.#text('source');
  }
  set source(value) {
    this.#set('source', value);
  }

  /** The attribute separates them by commas. @returns {string[]} */
  get labels() {
    return splitLabels(this.getAttribute('labels') ?? '');
  }
  set labels(value) {
    this.setAttribute('labels', unique(value).join(', '));
  }

  /** The URL of a JSON file of labels, for an element without labels of its own. @returns {string | undefined} */
  get labelSource() {
    return this.#text('label-source');
  }
  set labelSource(value) {
    this.#set('label-source', value);
  }

  /** Which of a bundle's sets of labels. @returns {string | undefined} */
  get labelSet() {
    return this.#text('label-set');
  }
  set labelSet(value) {
    this.#set('label-set', value);
  }

  /** The sentence around each label, which replaces `{}`; several are separated by `|`. */
  get template() {
    return this.getAttribute('template') || DEFAULT_TEMPLATE;
  }
  set template(value) {
    this.setAttribute('template', value);
  }

  /** The URL of classes taught by example, which take the place of the labels. */
  get classes() {
    return this.getAttribute('classes') ?? '';
  }
  set classes(value) {
    this.setAttribute('classes', value);
  }

  /** The lowest probability of a label that is shown. @returns {number | undefined} */
  get threshold() {
    return this.#number('threshold');
  }
  set threshold(value) {
    this.#set('threshold', value);
  }

  /** The most labels that are shown. @returns {number | undefined} */
  get topK() {
    return this.#number('top-k');
  }
  set topK(value) {
    this.#set('top-k', value);
  }

  /** The page's own factor of the model's scale. @returns {number | undefined} */
  get scale() {
    return this.#number('scale');
  }
  set scale(value) {
    this.#set('scale', value);
  }

  /** The page's own summand of the model's bias. @returns {number | undefined} */
  get bias() {
    return this.#number('bias');
  }
  set bias(value) {
    this.#set('bias', value);
  }

  /** Whether each label's share among all labels is shown, in place of its own probability. */
  get relative() {
    return this.hasAttribute('relative');
  }
  set relative(value) {
    this.toggleAttribute('relative', value);
  }

  /** candle's engine has floats only. @returns {import('../worker/protocol.js').Precision} */
  get precision() {
    const value = this.getAttribute('precision');
    return value === 'f32' || value === 'q8-exact' ? value : this.engine === 'candle' ? 'f32' : 'q8';
  }
  set precision(value) {
    this.setAttribute('precision', value);
  }

  /** @returns {'auto' | number} */
  get workers() {
    return this.#number('workers') ?? 'auto';
  }
  set workers(value) {
    this.#set('workers', value);
  }

  /** What runs the towers' blocks. @returns {import('../worker/protocol.js').Device} */
  get device() {
    return /** @type {any} */ (this.getAttribute('device') ?? 'cpu');
  }
  set device(value) {
    this.setAttribute('device', value);
  }

  /** "candle" has candle's engine answer, to compare with. @returns {LoadOptions['engine']} */
  get engine() {
    return this.#text('engine');
  }
  set engine(value) {
    this.#set('engine', value);
  }

  /** Side of the images that a model of fixed resolution sees, in pixels. @returns {number | undefined} */
  get imageSize() {
    return this.#number('image-size', true);
  }
  set imageSize(value) {
    this.#set('image-size', value);
  }

  /** The most patches of an image, of a model that keeps the aspect. @returns {number | undefined} */
  get maxPatches() {
    return this.#number('max-patches', true);
  }
  set maxPatches(value) {
    this.#set('max-patches', value);
  }

  /** A copy of worker.js on the page's own origin, for a page whose policy forbids blob:. @returns {string | undefined} */
  get workerUrl() {
    return this.#text('worker-url');
  }
  set workerUrl(value) {
    this.#set('worker-url', value);
  }

  /** The URL of an image. */
  get src() {
    return this.getAttribute('src') ?? '';
  }
  set src(value) {
    this.setAttribute('src', value);
  }

  /** When the model is loaded: on a press of the button, when the element comes into view, or at once. */
  get loading() {
    const value = this.getAttribute('loading');
    return value === 'lazy' || value === 'eager' ? value : 'manual';
  }
  set loading(value) {
    this.setAttribute('loading', value);
  }

  /** Whether several images may be shown. */
  get multiple() {
    return this.hasAttribute('multiple');
  }
  set multiple(value) {
    this.toggleAttribute('multiple', value);
  }

  /** The name under which a form sends the best label. */
  get name() {
    return this.getAttribute('name') ?? '';
  }
  set name(value) {
    this.setAttribute('name', value);
  }

  /** Whether a form cannot be sent before a picture has an answer. */
  get required() {
    return this.hasAttribute('required');
  }
  set required(value) {
    this.toggleAttribute('required', value);
  }

  /** Whether the element takes no pictures, and its form does not send it. */
  get disabled() {
    return this.hasAttribute('disabled');
  }
  set disabled(value) {
    this.toggleAttribute('disabled', value);
  }

  /** Applies properties that were set before the script was loaded. Until then they hide the setters. */
  upgradeProperties() {
    for (const [name, value] of Object.entries(this)) {
      Reflect.deleteProperty(this, name);
      Reflect.set(this, name, value);
    }
  }

  /** @param {string} name @returns {any} the attribute's text, if there is one */
  #text(name) {
    return this.getAttribute(name) ?? undefined;
  }

  /**
   * A number, or nothing where the attribute has none.
   * @param {string} name
   * @param {boolean} [anyway] also if it is none: the load refuses it
   */
  #number(name, anyway) {
    const value = this.getAttribute(name);
    return value && (anyway || isFinite(+value)) ? +value : undefined;
  }

  /**
   * @param {string} name
   * @param {string | number | undefined} value
   */
  #set(name, value) {
    if (value === undefined) this.removeAttribute(name);
    else this.setAttribute(name, String(value));
  }
}
