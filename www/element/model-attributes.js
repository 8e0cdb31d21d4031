/** Attributes of every element: which model it loads, how, and when. */

/** @typedef {import('../siglip.js').LoadOptions} LoadOptions */

/** The options of a load that are properties of an element. */
export const modelOptions = /** @type {const} */ ([
  ...['source', 'precision', 'workers', 'device', 'engine', 'imageSize', 'maxPatches', 'workerUrl'],
]);

/** The attributes that decide which model is loaded, and how. */
export const modelAttributes = [
  'model',
  ...modelOptions.map((name) => name.replace(/[A-Z]/, (letter) => `-${letter.toLowerCase()}`)),
];

/** Servers that render pages import the elements too, and have no elements. @type {typeof HTMLElement} */
const Base = globalThis.HTMLElement ?? Object;

/** An element with a model. */
export class ModelAttributes extends Base {
  /** `tiny`, a hub id, or the URL of a folder or of a .gguf such as a bundle. */
  get model() {
    return this.getAttribute('model') || 'tiny';
  }
  set model(value) {
    this.setAttribute('model', value);
  }

  /** Which files of a published checkpoint; see {@link LoadOptions.source}. @returns {LoadOptions['source']} */
  get source() {
    return textOf(this, 'source');
  }
  set source(value) {
    assign(this, 'source', value);
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
    return numberOf(this, 'workers') ?? 'auto';
  }
  set workers(value) {
    assign(this, 'workers', value);
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
    return textOf(this, 'engine');
  }
  set engine(value) {
    assign(this, 'engine', value);
  }

  /** Side of the images that a model of fixed resolution sees, in pixels. @returns {number | undefined} */
  get imageSize() {
    return numberOf(this, 'image-size', true);
  }
  set imageSize(value) {
    assign(this, 'image-size', value);
  }

  /** The most patches of an image, of a model that keeps the aspect. @returns {number | undefined} */
  get maxPatches() {
    return numberOf(this, 'max-patches', true);
  }
  set maxPatches(value) {
    assign(this, 'max-patches', value);
  }

  /** A copy of worker.js on the page's own origin, for a page whose policy forbids blob:. @returns {string | undefined} */
  get workerUrl() {
    return textOf(this, 'worker-url');
  }
  set workerUrl(value) {
    assign(this, 'worker-url', value);
  }

  /** When the model is loaded: on a press of the button, when the element comes into view, or at once. */
  get loading() {
    const value = this.getAttribute('loading');
    return value === 'lazy' || value === 'eager' ? value : 'manual';
  }
  set loading(value) {
    this.setAttribute('loading', value);
  }

  /** Applies properties that were set before the script was loaded. Until then they hide the setters. */
  upgradeProperties() {
    for (const [name, value] of Object.entries(this)) {
      Reflect.deleteProperty(this, name);
      Reflect.set(this, name, value);
    }
  }
}

/** @param {Element} element @param {string} name @returns {any} the attribute's text, if there is one */
export const textOf = (element, name) => element.getAttribute(name) ?? undefined;

/**
 * A number, or nothing where the attribute has none.
 * @param {Element} element
 * @param {string} name
 * @param {boolean} [anyway] also if it is none: the load refuses it
 */
export function numberOf(element, name, anyway) {
  const value = element.getAttribute(name);
  return value && (anyway || isFinite(+value)) ? +value : undefined;
}

/**
 * @param {Element} element
 * @param {string} name
 * @param {string | number | undefined} value
 */
export function assign(element, name, value) {
  if (value === undefined) element.removeAttribute(name);
  else element.setAttribute(name, String(value));
}
