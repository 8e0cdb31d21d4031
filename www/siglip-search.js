/** <siglip-search>: a site's own pictures found by words, without a server. docs/search.md is its guide. */
import { fetched } from './element/fetched.js';
import { Loader, emit, fail } from './element/loader.js';
import { modelAttributes } from './element/model-attributes.js';
import { SearchAttributes } from './element/search-attributes.js';
import { searchSheet } from './element/search-style.js';
import { elementSheet } from './element/style.js';
import { SiglipError } from './lib/errors.js';
import { h } from './ui/dom.js';
import { describe, downloadSize, formatBytes } from './ui/format.js';
import { speak, t } from './ui/translate.js';

/** @typedef {import('./siglip.js').Siglip} Siglip */
/** @typedef {Awaited<ReturnType<Siglip['index']>>} Index */
/**
 * A picture found: its name in the index, its address, the cosine with what was looked for, and the probability, if the
 * model gives one.
 * @typedef {{name: string, url: string, score: number, probability?: number}} FoundPicture
 */

/**
 * Its events bubble and cross shadow roots. `progress` has the progress of Siglip.load as its detail, and `ready` has
 * `siglip.info`. `result {query, found, ms}` follows each search, `error {code, message}` each failure.
 */
export class SiglipSearch extends SearchAttributes {
  /**
   * Has elements that are made from then on speak another language. `docs/embedding.md` lists the sentences.
   * @param {Record<string, string>} sentences by the English ones, with `{}` in place of each value; theirs have `{0}` for the first
   */
  static translate(sentences) {
    speak(sentences);
  }

  // Pictures have been embedded: only words need a tower here.
  #loader = new Loader(this, () => {}, 'text');
  #input = h('input', {
    part: 'input',
    type: 'search',
    ariaLabel: t`What is in the picture?`,
    placeholder: t`What is in the picture?`,
  });
  #button = h('button', { part: 'button', type: 'submit' }, t`Search`);
  #form = h('form', { part: 'form', role: 'search' }, this.#input, this.#button);
  #list = h('ul', { part: 'list' });
  /** The index at its address, once it is asked for. @type {{siglip: Siglip, index: Promise<Index>} | undefined} */
  #opened;
  #searching = new AbortController();
  /** What was looked for last. */
  #asked = '';

  constructor() {
    super();
    const root = this.attachShadow({ mode: 'open', delegatesFocus: true });
    root.adoptedStyleSheets = [elementSheet, searchSheet];
    const { bar, error, status } = this.#loader;
    root.append(this.#form, bar, error, status, h('slot', { name: 'result' }, this.#list));
    this.#form.onsubmit = (event) => {
      event.preventDefault();
      this.search(this.#input.value).catch(() => {});
    };
    this.upgradeProperties();
  }

  /** What is in the field. */
  get value() {
    return this.#input.value;
  }
  set value(value) {
    this.#input.value = value;
  }

  /** Loads the model's text tower, unless it is loaded or loading. @returns {Promise<Siglip>} */
  load() {
    return this.#loader.load();
  }

  /**
   * Looks for pictures and shows them, in place of those of the search before. The first search loads what it needs.
   * @param {string} query words; none remove what is shown
   * @returns {Promise<FoundPicture[]>} the pictures that fit best, best first
   */
  async search(query) {
    this.#searching.abort();
    const { signal } = (this.#searching = new AbortController());
    this.value = query;
    query = this.#asked = query.trim();
    this.#loader.error.hidden = true;
    if (!query) {
      this.#show([]);
      this.#loader.tell('');
      return [];
    }
    const siglip = await this.load();
    try {
      const found = await this.#find(query, siglip, signal);
      this.#show(found);
      const { length } = found;
      if (length > 1) this.#loader.tell(t`${length} pictures for “${query}”, the best first.`);
      else this.#loader.tell(length ? t`One picture for “${query}”.` : t`No picture fits “${query}”.`);
      return found;
    } catch (error) {
      const { code } = describe(error);
      if (code === 'wasm') this.#loader.retire();
      if (code !== 'aborted' && !signal.aborted) {
        this.#show([]);
        fail(this, this.#loader.error, error);
      }
      throw error;
    }
  }

  /**
   * @param {string} query
   * @param {Siglip} siglip
   * @param {AbortSignal} signal
   */
  async #find(query, siglip, signal) {
    const index = await this.#open(siglip);
    const start = performance.now();
    const { template, topK, threshold } = this;
    const { logitScale: scale, logitBias: bias } = siglip.info;
    const base = this.#folder();
    const best = await index.search(template.replaceAll('{}', query), { topK, signal });
    /** @type {FoundPicture[]} */
    const found = best.map(({ name, score }) => ({
      name,
      url: new URL(name.split('/').map(encodeURIComponent).join('/'), base).href,
      score,
      ...(scale && bias && { probability: 1 / (1 + Math.exp(-(score * scale + bias))) }),
    }));
    const likely = found.filter(({ probability = 1 }) => probability >= (threshold ?? 0));
    emit(this, 'result', { query, found: likely, ms: performance.now() - start });
    return likely;
  }

  /** @param {Siglip} siglip */
  #open(siglip) {
    if (this.#opened?.siglip === siglip) return this.#opened.index;
    this.#close();
    const index = this.#fetchIndex(siglip);
    const opened = { siglip, index };
    this.#opened = opened;
    // A failure is not kept, so that a later try can succeed.
    index.catch(() => {
      if (this.#opened === opened) this.#opened = undefined;
    });
    return index;
  }

  /** @param {Siglip} siglip */
  async #fetchIndex(siglip) {
    if (!this.index) throw new SiglipError('bad-input', t`The attribute “index” names no file of pictures.`);
    const response = await fetched(new URL(this.index, document.baseURI).href, 'index of pictures');
    return siglip.index(await response.blob());
  }

  /** Gives the index's memory back. */
  #close() {
    this.#opened?.index.then((index) => index.close()).catch(() => {});
    this.#opened = undefined;
  }

  /** Where the pictures are. */
  #folder() {
    if (this.pictures === undefined) return new URL('.', new URL(this.index, document.baseURI));
    return new URL(this.pictures.replace(/\/?$/, '/'), document.baseURI);
  }

  /** @param {FoundPicture[]} found */
  #show(found) {
    this.#list.replaceChildren(
      ...found.map(({ name, url }) => {
        const label = name.split('/').pop() ?? name;
        const picture = h('img', { part: 'picture', alt: '', loading: 'lazy', decoding: 'async', src: url });
        return h(
          'li',
          { part: 'item' },
          h('a', { part: 'link', href: url }, picture, h('span', { part: 'label', title: name }, label)),
        );
      }),
    );
  }

  connectedCallback() {
    const size = downloadSize(this.model);
    if (!this.#loader.arriving)
      this.#loader.tell(
        size
          ? t`The first search loads the model (at most ${formatBytes(size)}).`
          : t`The first search loads the model.`,
      );
    this.#loader.offer();
    this.attributeChangedCallback('disabled');
    if (!this.#asked) this.attributeChangedCallback('query');
  }

  disconnectedCallback() {
    this.#loader.leave();
    // An element that is only moved is connected again by then.
    queueMicrotask(() => {
      if (this.isConnected) return;
      this.#searching.abort();
      this.#close();
      this.#loader.unload();
      this.#show([]);
      this.#asked = '';
    });
  }

  /** @param {string} name */
  attributeChangedCallback(name) {
    if (!this.isConnected) return;
    if (name === 'disabled') this.#input.disabled = this.#button.disabled = this.disabled;
    else if (name === 'loading') this.#loader.offer();
    else if (name === 'query') {
      if (this.query) this.search(this.query).catch(() => {});
    } else {
      if (name === 'index' || modelAttributes.includes(name)) this.#close();
      if (modelAttributes.includes(name)) this.#loader.replace();
      // What is shown answers to other settings.
      if (this.#asked) this.search(this.#asked).catch(() => {});
    }
  }
}

// A page may load this script from two addresses, and a server imports it without any elements.
if (globalThis.customElements && !customElements.get('siglip-search'))
  customElements.define('siglip-search', SiglipSearch);
