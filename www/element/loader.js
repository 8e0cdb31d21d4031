/** What an element shows and does about its model, which elements share. */
import { h } from '../ui/dom.js';
import { describe, downloadSize, formatBytes, formatProgress, showProgress } from '../ui/format.js';
import { borrow } from '../ui/pool.js';
import { t } from '../ui/translate.js';
import { modelOptions } from './model-attributes.js';

/** @typedef {import('../siglip.js').Siglip} Siglip */
/** @typedef {import('./model-attributes.js').ModelAttributes} ModelElement */

/** The model of an element: its button, its progress, its errors. Once it is loaded, it is `siglip`. */
export class Loader {
  button = h('button', { part: 'button', type: 'button', onclick: () => this.load().catch(() => {}) });
  bar = h('progress', { hidden: true, 'aria-label': t`Model` });
  error = errorPlace();
  #text = h('slot', { name: 'progress' });
  status = h('p', { part: 'progress', role: 'status' }, this.#text);
  /** @type {Siglip | undefined} */
  siglip;

  #element;
  #changed;
  #towers;
  /** @type {import('../ui/pool.js').Loan | undefined} */
  #loan;
  /** @type {IntersectionObserver | undefined} */
  #observer;

  /**
   * @param {ModelElement} element
   * @param {() => void} changed is called when a load begins and when the model is loaded
   * @param {'text'} [towers] if it needs one only
   */
  constructor(element, changed, towers) {
    this.#element = element;
    this.#changed = changed;
    this.#towers = towers;
  }

  /** What is arriving or loaded: it may still wait for its text tower. */
  get arriving() {
    return this.#loan?.siglip;
  }

  /** Loads the model, unless it is loaded or loading. @returns {Promise<Siglip>} */
  async load() {
    if (this.#loan) return this.#loan.siglip;
    const element = this.#element;
    const options = Object.fromEntries(modelOptions.map((name) => [name, element[name]]));
    const loan = borrow(
      element.model,
      { ...options, towers: this.#towers },
      {
        onProgress: (progress) => {
          showProgress(this.bar, progress);
          // Screen readers announce the end only. Until then the user can read the progress bar.
          this.status.ariaBusy = String(progress.phase !== 'ready');
          this.tell(formatProgress(progress));
          emit(element, 'progress', progress);
        },
      },
    );
    this.#loan = loan;
    this.error.hidden = this.button.hidden = true;
    this.bar.hidden = false;
    this.#changed();
    try {
      const siglip = await loan.siglip;
      await siglip.whole;
      if (this.#loan !== loan) return siglip;
      this.siglip = siglip;
      this.tell([t`Ready.`, ...siglip.info.notices.map(({ message }) => message)].join(' '));
      emit(element, 'ready', siglip.info);
      this.#changed();
      return siglip;
    } catch (error) {
      if (this.#loan === loan) {
        this.unload();
        this.button.textContent = t`Try again`;
        fail(element, this.error, error);
      }
      throw error;
    } finally {
      if (this.#loan === loan || !this.#loan) this.bar.hidden = true;
    }
  }

  /** Offers to load the model, or loads it when the attribute `loading` says so. */
  offer() {
    const element = this.#element;
    const size = downloadSize(element.model);
    if (!this.#loan)
      this.button.textContent = size ? t`Load the model (${formatBytes(size)})` : t`Load the model`;
    this.#observer ??= new IntersectionObserver((entries) => {
      if (element.loading === 'lazy' && entries.some((entry) => entry.isIntersecting))
        this.load().catch(() => {});
    });
    this.#observer.disconnect();
    if (element.loading === 'lazy') this.#observer.observe(element);
    if (element.loading === 'eager') this.load().catch(() => {});
  }

  /** Gives the model back, and loads the one that the attributes name now, if one was loaded. */
  replace() {
    const wasLoaded = !!this.#loan;
    this.unload();
    this.offer();
    if (wasLoaded) this.load().catch(() => {});
  }

  /** Gives the model back. */
  unload() {
    this.#loan?.release();
    this.#loan = this.siglip = undefined;
    this.button.hidden = false;
    this.bar.hidden = true;
    this.status.ariaBusy = 'false';
    this.tell('');
  }

  /** Gives a model back whose worker has died: the next load starts another one. */
  retire() {
    this.#loan?.retire();
    this.unload();
  }

  /** Shows what the element is doing. @param {string} text */
  tell(text) {
    this.#text.textContent = text;
  }

  /** The element has left the page: it no longer loads when it comes into view. */
  leave() {
    this.#observer?.disconnect();
  }
}

/** Where an error is shown. A page may have a text of its own there. */
export const errorPlace = () =>
  h('p', { part: 'error', role: 'alert', hidden: true }, h('slot', { name: 'error' }));

/**
 * Shows an error, and fires the event.
 * @param {HTMLElement} element
 * @param {HTMLElement} place
 * @param {unknown} reason
 */
export function fail(element, place, reason) {
  const { code, message } = describe(reason);
  const text = h('span', {}, message);
  place.firstElementChild?.replaceChildren(text);
  // Where the network has failed, this may fail too.
  import('../ui/headlines.js').then(
    ({ headlineOf }) => text.prepend(h('strong', {}, headlineOf(t, code))),
    () => {},
  );
  place.hidden = false;
  emit(element, 'error', { code, message });
}

/**
 * @param {HTMLElement} element
 * @param {string} type
 * @param {unknown} detail
 */
export function emit(element, type, detail) {
  element.dispatchEvent(new CustomEvent(type, { detail, bubbles: true, composed: true }));
}
