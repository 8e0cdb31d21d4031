/** <siglip-classifier>: images and labels in, probabilities out, in any page. docs/embedding.md is its guide. */
import { FormField } from './element/form-field.js';
import { Loader, emit, errorPlace, fail } from './element/loader.js';
import { modelAttributes } from './element/model-attributes.js';
import { elementSheet } from './element/style.js';
import { h, sheetOf } from './ui/dom.js';
import { describe, formatScore, formatTime } from './ui/format.js';
import { splitTemplates, unique } from './ui/labels.js';
import { ScoredImage, imagesIn } from './ui/scored-image.js';
import { ScoreList, scoreSheet } from './ui/scores.js';
import { speak, t } from './ui/translate.js';

/** What the camera's code, which is loaded later, takes from here. */
const ui = { h, sheetOf, t, describe, formatTime, ScoreList };

/** @typedef {import('./siglip.js').Siglip} Siglip */
/** An image with what is shown of it. @typedef {{image: ScoredImage, figure: HTMLElement, list: ScoreList, error: HTMLElement, answer: HTMLElement, best?: string}} View */

/**
 * Its events bubble and cross shadow roots. `progress` has the progress of Siglip.load as its detail, and `ready` has
 * `siglip.info`. `result {file, scores, ms}` follows each scoring of an image, `error {code, message}` each failure.
 */
export class SiglipClassifier extends FormField {
  /**
   * Has elements that are made from then on speak another language. `docs/embedding.md` lists the sentences.
   * @param {Record<string, string>} sentences by the English ones, with `{}` in place of each value; theirs have `{0}` for the first
   */
  static translate(sentences) {
    speak(sentences);
  }

  #loader = new Loader(this, () => this.#rescore());
  // The names are for formats that browsers do not know.
  #chooser = h('input', {
    type: 'file',
    accept: 'image/*,.tif,.tiff,.tga,.qoi,.pbm,.pgm,.ppm,.pnm,.pfm,.jxl',
  });
  #chooserText = h('span');
  #slot = h('slot', { onslotchange: () => this.#takeChildren() });
  #invitation = h('span', {}, t`Drop or paste a picture here, or choose one.`);
  #figures = h('slot', { name: 'result' });
  #buttons = h(
    'div',
    { className: 'ask' },
    h('div', { className: 'invitation' }, h('slot', { name: 'placeholder' }, this.#slot, this.#invitation)),
    h('label', { part: 'button' }, this.#chooserText, this.#chooser),
    this.#loader.button,
  );
  #dropzone = h(
    'div',
    { part: 'dropzone' },
    this.#buttons,
    this.#loader.bar,
    this.#loader.error,
    this.#figures,
    this.#loader.status,
  );

  /** @type {View[]} */
  #views = [];
  /** The view of `src`. @type {View | undefined} */
  #ofSrc;
  #rescoring = false;
  /** Offers the camera, or no longer. @type {Promise<(isOffered: boolean) => void> | undefined} */
  #camera;

  constructor() {
    super();
    const root = this.attachShadow({ mode: 'open', delegatesFocus: true });
    root.adoptedStyleSheets = [elementSheet, scoreSheet];
    root.append(this.#dropzone);
    this.#chooser.onchange = () => {
      this.add(...(this.#chooser.files ?? []));
      this.#chooser.value = '';
    };
    this.addEventListener('paste', (event) => this.#take(event, event.clipboardData));
    this.addEventListener('drop', (event) => this.#take(event, event.dataTransfer));
    for (const type of ['dragover', 'dragleave', 'drop']) {
      this.addEventListener(type, (event) => {
        event.preventDefault();
        this.#dropzone.classList.toggle('over', type === 'dragover');
      });
    }
    this.upgradeProperties();
  }

  /**
   * Shows images, and scores them as soon as the model is loaded.
   * @param {...(Blob | string)} sources files or URLs
   */
  add(...sources) {
    for (const source of this.multiple ? sources : sources.slice(-1)) this.#show(source);
    if (sources.length && this.loading !== 'manual') this.load().catch(() => {});
  }

  /** Removes all images. */
  clear() {
    for (const view of [...this.#views]) this.#remove(view);
  }

  /**
   * Loads the model, unless it is loaded or loading.
   * @returns {Promise<Siglip>}
   */
  load() {
    return this.#loader.load();
  }

  connectedCallback() {
    this.#loader.offer();
    this.attributeChangedCallback('multiple');
    this.#offerCamera();
    this.#showValue();
    if (!this.#views.length) this.attributeChangedCallback('src');
  }

  disconnectedCallback() {
    this.#loader.leave();
    // An element that is only moved is connected again by then.
    queueMicrotask(() => {
      if (this.isConnected) return;
      this.#loader.unload();
      this.#offerCamera();
      this.clear();
    });
  }

  /** @param {string} name */
  attributeChangedCallback(name) {
    if (!this.isConnected) return;
    if (name === 'multiple') {
      this.#chooser.multiple = this.multiple;
      this.#chooserText.textContent = this.multiple ? t`Choose pictures` : t`Choose a picture`;
    } else if (name === 'src') {
      if (this.#ofSrc) this.#remove(this.#ofSrc);
      if (this.src) this.#ofSrc = this.#show(new URL(this.src, document.baseURI).href);
    } else if (modelAttributes.includes(name)) {
      // The scores on show are another model's.
      this.#views.forEach((view) => showScores(view, []));
      this.#loader.replace();
    } else if (name === 'loading') this.#loader.offer();
    else if (name === 'camera') this.#offerCamera();
    else if (['name', 'required', 'disabled'].includes(name)) this.#showValue();
    else this.#rescore();
  }

  /**
   * @param {Event} event
   * @param {DataTransfer | null} data
   */
  #take(event, data) {
    const sources = imagesIn(data);
    if (!sources.length || this.#chooser.disabled) return;
    event.preventDefault();
    this.add(...sources);
  }

  /**
   * @param {Blob | string} source
   * @returns {View}
   */
  #show(source) {
    if (!this.multiple) this.clear();
    const image = new ScoredImage(source);
    const list = new ScoreList();
    const error = errorPlace();
    const answer = h('div', { hidden: true }, list.element, error);
    const figure = h('figure', {}, image.element, answer);
    const view = { image, figure, list, error, answer };
    this.#views.push(view);
    this.#figures.append(figure);
    this.#score(view);
    return view;
  }

  /** @param {View} view */
  #remove(view) {
    view.image.release();
    view.figure.remove();
    this.#views.splice(this.#views.indexOf(view), 1);
    if (this.#ofSrc === view) this.#ofSrc = undefined;
    this.#showValue();
  }

  /** Scores all images again, once for all attributes that change together. */
  #rescore() {
    if (this.#rescoring) return;
    this.#rescoring = true;
    queueMicrotask(() => {
      this.#rescoring = false;
      this.#views.forEach((view) => this.#score(view));
    });
  }

  /** @param {View} view */
  async #score(view) {
    const { siglip, arriving } = this.#loader;
    if (!siglip) {
      arriving?.then((siglip) => view.image.prepare(siglip)).catch(() => {});
      if (!arriving) this.#loader.tell(t`The picture waits for the model.`);
      return;
    }
    const { image, error } = view;
    try {
      const { scores, notices, embeddingMs, scoringMs } = await image.score(
        siglip,
        await this.#labelsToScore(),
        this.#options(),
      );
      const ms = embeddingMs + scoringMs;
      error.hidden = true;
      showScores(view, scores, siglip.info);
      view.best = scores.find(({ unknown }) => !unknown)?.label;
      this.#showValue();
      const best = scores[0]
        ? `${scores[0].label}, ${formatScore(scores[0], siglip.info)}`
        : t`none of the labels`;
      const told = notices.map(({ message }) => ` ${message}`).join('');
      this.#loader.tell(`${image.name}: ${best} (${formatTime(ms)})${told}`);
      emit(this, 'result', { file: image.source, scores, ms, notices });
    } catch (reason) {
      const { code } = describe(reason);
      if (code === 'aborted') return;
      if (code === 'wasm') this.#loader.retire();
      fail(this, error, reason);
      showScores(view, []);
      view.best = undefined;
      this.#showValue();
    }
  }

  #options() {
    const { labelSet, template, threshold, topK, scale, bias, relative } = this;
    return { labelSet, template: splitTemplates(template), threshold, topK, scale, bias, relative };
  }

  /** Its code is fetched for the first element that has the attribute. */
  async #offerCamera() {
    if (this.camera)
      this.#camera ??= import('./element/camera.js').then(({ offerCamera }) =>
        offerCamera(ui, this, this.#buttons, {
          load: () => this.loading !== 'manual' && this.load().catch(() => {}),
          question: async () => {
            const { siglip } = this.#loader;
            return siglip && { siglip, labels: await this.#labelsToScore(), options: this.#options() };
          },
          keep: (file) => this.add(file),
          announce: (text) => this.#loader.tell(text),
          answered: (file, scores, ms) => emit(this, 'result', { file, scores, ms, notices: [] }),
          failed: (code, message) => emit(this, 'error', { code, message }),
        }),
      );
    try {
      (await this.#camera)?.(this.camera && this.isConnected && !this.#chooser.disabled);
    } catch (error) {
      this.#camera = undefined;
      fail(this, this.#loader.error, error);
    }
  }

  /** Those of the attribute, of <option>s in the element, or of `label-source`; none, for a bundle's own. */
  async #labelsToScore() {
    const { classes, labels, labelSource } = this;
    if (!classes) {
      if (labels[0]) return labels;
      /** @type {NodeListOf<HTMLOptionElement>} */
      const options = this.querySelectorAll(':scope > option');
      if (options.length) return unique([...options].map(({ value }) => value));
    }
    if (!classes && !labelSource) return;
    const { labelsAt } = await import('./element/label-source.js');
    const found = await labelsAt(classes || labelSource, classes && this.#loader.siglip);
    return Array.isArray(found) ? unique(found) : found;
  }

  /** The element's children may be the page's own invitation, and labels. */
  #takeChildren() {
    this.#invitation.hidden = this.#slot
      .assignedNodes()
      .some((node) => !(node instanceof HTMLOptionElement) && node.textContent?.trim());
    this.#rescore();
  }

  /** Gives the form the best label of each picture. */
  #showValue() {
    const best = this.#views.flatMap(({ best }) => best ?? []);
    this.setValues(best, this.#chooser);
  }

  /** The form is reset: what was added goes, and `src` comes back. */
  formResetCallback() {
    this.clear();
    this.attributeChangedCallback('src');
  }

  /** @param {boolean} disabled by itself, or by a fieldset around it */
  formDisabledCallback(disabled) {
    this.#chooser.disabled = this.#loader.button.disabled = disabled;
    this.#offerCamera();
  }
}

/**
 * Shows the scores of an image, or no room for them. A style with `:has(:empty)` would not do: WebKit goes on hiding what
 * is no longer empty.
 * @param {View} view
 * @param {import('./siglip.js').Score[]} scores
 * @param {import('./ui/format.js').Answerer} [info]
 */
function showScores({ list, error, answer }, scores, info) {
  list.show(scores, info);
  answer.hidden = !scores.length && error.hidden;
}

// A page may load this script from two addresses, and a server imports it without any elements.
if (globalThis.customElements && !customElements.get('siglip-classifier'))
  customElements.define('siglip-classifier', SiglipClassifier);
