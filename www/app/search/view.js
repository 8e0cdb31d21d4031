/** Search in a folder of the visitor's own pictures, which are embedded once and found by words or by each other. */
import { h } from '../../ui/dom.js';
import { describe } from '../describe.js';
import { announce } from '../page.js';
import { formatDuration, picturesText } from '../texts.js';
import { Folder, remembered } from './folder.js';
import { searchSheet } from './style.js';
import { t } from '../../ui/translate.js';

/** @typedef {import('../../siglip.js').Siglip} Siglip */
/** @typedef {Awaited<ReturnType<Siglip['index']>>} Index */
/** @typedef {Parameters<Index['search']>[0]} Query */

document.adoptedStyleSheets.push(searchSheet);

/** Pictures found that are shown. */
const SHOWN = 60;
/** The most failures in the list. */
const MOST_FAILURES = 200;
/** The most groups of duplicates that are shown. */
const MOST_GROUPS = 100;

/**
 * Hears of each file that is chosen, also of the same one again.
 * @param {HTMLInputElement} input
 * @param {(file: File) => void} take
 */
function whenChosen(input, take) {
  input.addEventListener('change', () => {
    const [file] = input.files ?? [];
    input.value = '';
    if (file) take(file);
  });
}

/** @param {number} count of groups of duplicates */
function groupsText(count) {
  if (!count) return t`No two pictures are nearly the same.`;
  if (count === 1) return t`1 group of pictures that are nearly the same.`;
  const all = t`${count} groups of pictures that are nearly the same.`;
  return count > MOST_GROUPS ? all + t` Here are ${MOST_GROUPS} of them.` : all;
}

/** @param {string} text @param {() => void} onclick */
const button = (text, onclick) => h('button', { className: 'button', type: 'button', onclick }, text);

/** The panel of the search. */
export class SearchView {
  #page;
  /** @type {Siglip | undefined} */
  #siglip;
  /** @type {Folder | undefined} */
  #folder;
  /** @type {Index | undefined} */
  #index;
  /** @type {ReturnType<Index['add']> | undefined} */
  #work;
  #searching = new AbortController();
  /** What a picture that is searched with is called, and how it is asked for. @type {{name: string, query: {like: string} | {image: File}} | undefined} */
  #like;

  #title = h('h3', { tabIndex: -1 }, t`Search a folder`);
  #input = h('input', { type: 'file', webkitdirectory: true, ariaLabel: t`Choose a folder to search` });
  #again = h('button', { className: 'button', type: 'button', hidden: true });
  #status = h('p', { className: 'progress-text' });
  #bar = h('progress', { ariaLabel: t`Pictures embedded` });
  #pause = button(t`Pause`, () => this.#toggle());
  #controls = h(
    'div',
    { className: 'row', hidden: true },
    this.#bar,
    this.#pause,
    button(t`Stop`, () => this.#work?.cancel()),
  );
  #error = h('div', { className: 'error', role: 'alert', hidden: true });
  #failed = h('summary');
  #failures = h('ul');
  #broken = h('details', { hidden: true }, this.#failed, this.#failures);
  #text = h('input', {
    className: 'field',
    type: 'search',
    ariaLabel: t`What is in the picture?`,
    placeholder: t`What is in the picture?`,
  });
  #minus = h('input', {
    className: 'field',
    type: 'search',
    ariaLabel: t`What is not in it?`,
    placeholder: t`and what is not?`,
  });
  #picture = h('input', { type: 'file', accept: 'image/*', ariaLabel: t`Search with a picture` });
  #without = button('', () => {
    this.#takeLike(undefined);
    this.#ask();
  });
  #form = h(
    'form',
    { className: 'row', hidden: true },
    this.#without,
    this.#text,
    this.#minus,
    h('button', { className: 'button primary', type: 'submit' }, t`Search`),
    h('label', { className: 'button' }, t`With a picture…`, this.#picture),
    button(t`Find duplicates`, () => this.#showDuplicates()),
  );
  #file = h('input', { type: 'file', accept: '.siglip-index', ariaLabel: t`Load an index` });
  #keeping = h(
    'details',
    { hidden: true },
    h('summary', {}, t`The index as a file`),
    h(
      'p',
      { className: 'hint' },
      t`“siglip search” on the command line answers from it, and what “siglip index” has made of this folder needs not be looked at again here.`,
    ),
    h(
      'div',
      { className: 'row' },
      button(t`Save the index`, () => this.#saveFile()),
      h('label', { className: 'button' }, t`Load an index…`, this.#file),
    ),
  );
  #meaning = h('p', { className: 'hint', role: 'status' });
  #results = h('ul', { className: 'found' });

  /**
   * @param {object} page
   * @param {() => Siglip | undefined} page.model
   * @param {(file: File) => void} page.classify shows a picture as a card
   */
  constructor(page) {
    this.#page = page;
    this.element = h(
      'section',
      { className: 'panel search', ariaLabel: t`Search a folder` },
      this.#title,
      h(
        'p',
        { className: 'hint' },
        t`Each picture is looked at once, here in the browser. What is kept on this device is a kilobyte of numbers for each, and no picture.`,
      ),
      h(
        'div',
        { className: 'row' },
        h('label', { className: 'button primary' }, t`Choose a folder…`, this.#input),
        this.#again,
      ),
      this.#error,
      this.#status,
      this.#controls,
      this.#broken,
      this.#form,
      this.#meaning,
      this.#results,
      this.#keeping,
      h(
        'button',
        { className: 'remove', type: 'button', ariaLabel: t`Close the search`, onclick: () => this.#close() },
        '×',
      ),
    );
    this.#input.addEventListener('change', () => {
      const files = [...(this.#input.files ?? [])];
      this.#input.value = '';
      if (files.length) this.#open(Folder.ofFiles(files));
    });
    // The browser's own dialogue gives a folder that is found again in the next visit.
    if ('showDirectoryPicker' in globalThis) {
      this.#input.addEventListener('click', (event) => {
        event.preventDefault();
        this.#choose();
      });
    }
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#ask();
    });
    whenChosen(this.#picture, (image) => {
      this.#takeLike({ name: image.name, query: { image } });
      this.#ask();
    });
    whenChosen(this.#file, (file) => this.#loadFile(file));
    this.#takeLike(undefined);
  }

  /** Shows the panel, and offers the folder of the last visit. */
  async show() {
    this.element.hidden = false;
    this.#title.focus();
    if (this.#folder) return;
    const handle = await remembered();
    if (!handle || this.#folder) return;
    this.#again.textContent = t`Open ${handle.name} again`;
    this.#again.hidden = false;
    this.#again.onclick = () => this.#orShow(async () => this.#open(await Folder.ofHandle(handle)));
  }

  /** Told whenever there is a new model: its embeddings are others. */
  modelReady() {
    if (this.#folder && this.#page.model() !== this.#siglip) this.#open(this.#folder);
  }

  /** Searches for what the form and the picture say. */
  #ask() {
    const [text, minus] = [this.#text, this.#minus].map(({ value }) => value.trim() || undefined);
    const like = this.#like;
    if (!text && !minus && !like) return;
    const wanted = like && text ? t`${like.name} and “${text}”` : (like?.name ?? (text && t`“${text}”`));
    const without = wanted ? t`${wanted} without “${minus ?? ''}”` : t`anything but “${minus ?? ''}”`;
    this.#search({ text, minus, ...like?.query }, minus || !wanted ? without : wanted);
  }

  /** Searches with a picture from now on, or without one. @param {{name: string, query: {like: string} | {image: File}} | undefined} like */
  #takeLike(like) {
    this.#like = like;
    this.#without.hidden = !like;
    this.#without.textContent = like ? `${like.name} ×` : '';
    this.#without.ariaLabel = like ? t`Search without ${like.name}` : '';
  }

  async #choose() {
    await this.#orShow(async () => {
      const picker = /** @type {{showDirectoryPicker: () => Promise<FileSystemDirectoryHandle>}} */ (
        /** @type {unknown} */ (globalThis)
      );
      const handle = await picker.showDirectoryPicker().catch((error) => {
        // The visitor has closed the dialogue.
        if (error.name !== 'AbortError') throw error;
      });
      if (handle) await this.#open(await Folder.ofHandle(handle));
    });
  }

  /** Brings the index of a folder up to date, and searches it meanwhile. @param {Folder} folder */
  async #open(folder) {
    this.#folder = folder;
    this.#again.hidden = true;
    this.#title.textContent = t`Search ${folder.name}`;
    this.#results.replaceChildren();
    this.#meaning.textContent = '';
    this.#takeLike(undefined);
    const siglip = this.#page.model();
    if (!siglip) {
      this.#status.textContent = t`Waiting for the model …`;
      return;
    }
    await this.#orShow(async () => {
      this.#work?.cancel();
      await this.#work?.finished.catch(() => {});
      if (this.#index && this.#siglip === this.#page.model()) await this.#index.close();
      this.#siglip = siglip;
      const index = (this.#index = await siglip.index(folder.name));
      this.#form.hidden = this.#keeping.hidden = false;
      for (const field of [this.#text, this.#minus]) field.hidden = siglip.info.towers === 'image';
      if (index.readOnly) {
        this.#status.textContent = t`${picturesText((await index.entries()).length)}. Another tab is at work on this folder: it can be searched here, and is brought up to date there.`;
        return;
      }
      if (index.damage) announce(t`What was kept of this folder cannot be read. It is looked at anew.`);
      await this.#bringUpToDate(index, folder);
    });
  }

  /** @param {Index} index @param {Folder} folder */
  async #bringUpToDate(index, folder) {
    this.#status.textContent = t`Looking at the folder …`;
    this.#pause.textContent = t`Pause`;
    this.#controls.hidden = false;
    this.#broken.hidden = true;
    const work = (this.#work = index.add(folder.source, {
      removeMissing: true,
      onProgress: ({ done, total, failed, remaining }) => {
        this.#bar.max = total;
        this.#bar.value = done;
        const rest = done < total ? t` · about ${formatDuration(remaining)} left` : '';
        this.#status.textContent =
          t`${done} of ${total} files` + (failed ? t`, ${failed} not read` : '') + rest;
      },
    }));
    try {
      const { embedded, known, removed, failures } = await work.finished;
      const news = removed ? t`${embedded} new, ${removed} gone` : t`${embedded} new`;
      this.#status.textContent = t`${picturesText(embedded + known)} (${news})`;
      this.#broken.hidden = !failures.length;
      this.#failed.textContent = t`${failures.length} could not be read as pictures`;
      this.#failures.replaceChildren(
        ...failures.slice(0, MOST_FAILURES).map(({ name, message }) => h('li', {}, `${name}: ${message}`)),
      );
      announce(this.#status.textContent);
    } catch (error) {
      if (describe(error).code !== 'aborted') throw error;
      const count = (await index.entries().catch(() => [])).length;
      this.#status.textContent = t`Stopped. ${picturesText(count)} can be searched; choose the folder again to go on.`;
    } finally {
      if (this.#work === work) this.#controls.hidden = true;
    }
  }

  #toggle() {
    if (this.#work?.paused) this.#work.resume();
    else this.#work?.pause();
    this.#pause.textContent = this.#work?.paused ? t`Go on` : t`Pause`;
  }

  /** @param {Query} query @param {string} named */
  async #search(query, named) {
    this.#searching.abort();
    const { signal } = (this.#searching = new AbortController());
    await this.#orShow(async () => {
      const start = performance.now();
      const found = await this.#index?.search(query, { topK: SHOWN, signal });
      if (!found || signal.aborted) return;
      this.#meaning.textContent = found.length
        ? t`The ${found.length} that fit ${named} best, the best first (${Math.ceil(performance.now() - start)} ms).`
        : t`No pictures have been looked at yet.`;
      this.#show(found.map(({ name }) => this.#item(name)));
    });
  }

  async #showDuplicates() {
    this.#searching.abort();
    const { signal } = (this.#searching = new AbortController());
    await this.#orShow(async () => {
      const onProgress = (/** @type {number} */ share) => {
        this.#meaning.textContent = t`Comparing all pictures: ${Math.floor(100 * share)} %`;
      };
      const groups = (await this.#index?.duplicates(undefined, { signal, onProgress })) ?? [];
      if (signal.aborted) return;
      this.#meaning.textContent = groupsText(groups.length);
      this.#show(
        groups
          .slice(0, MOST_GROUPS)
          .flatMap((names) => [
            h('li', { className: 'group' }, picturesText(names.length)),
            ...names.map((name) => this.#item(name)),
          ]),
      );
    });
  }

  /** @param {HTMLElement[]} items */
  #show(items) {
    for (const image of this.#results.querySelectorAll('img')) URL.revokeObjectURL(image.src);
    this.#results.replaceChildren(...items);
  }

  /** @param {string} name */
  #item(name) {
    const image = h('img', { alt: '', loading: 'lazy', decoding: 'async' });
    const short = name.split('/').pop() ?? name;
    const like = h('button', { type: 'button', title: t`More like ${name}` }, image, h('span', {}, short));
    like.addEventListener('click', () => {
      this.#text.value = this.#minus.value = '';
      this.#takeLike({ name: short, query: { like: name } });
      this.#ask();
    });
    const labels = button(t`Labels`, async () => {
      const file = await this.#folder?.file(name);
      if (file) this.#page.classify(file);
    });
    labels.ariaLabel = t`Labels for ${short}`;
    this.#folder?.file(name).then((file) => {
      if (file) image.src = URL.createObjectURL(file);
      else like.title = t`${name} is not in the folder any more`;
    });
    return h('li', {}, like, labels);
  }

  /** Adds the pictures of an index. Those that are not in the folder are removed when it is looked at again. @param {File} file */
  async #loadFile(file) {
    await this.#orShow(async () => {
      await this.#index?.import(file);
      const count = (await this.#index?.entries())?.length ?? 0;
      this.#meaning.textContent = t`The index now has ${picturesText(count)}.`;
    });
  }

  /** For the command line, and where the browser has no room for the index. */
  async #saveFile() {
    await this.#orShow(async () => {
      const file = await this.#index?.export();
      if (!file) return;
      const link = h('a', {
        href: URL.createObjectURL(file),
        download: `${this.#folder?.name}.siglip-index`,
      });
      link.click();
      // WebKit needs the address for a moment more.
      setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    });
  }

  /** @param {() => Promise<void>} work */
  async #orShow(work) {
    this.#error.hidden = true;
    try {
      await work();
    } catch (error) {
      const { code, headline, message } = describe(error);
      if (code === 'aborted') return;
      this.#error.replaceChildren(h('p', {}, h('strong', {}, headline), message));
      if (code === 'quota') this.#error.append(button(t`Save the index as a file`, () => this.#saveFile()));
      this.#error.hidden = false;
      this.#controls.hidden = true;
    }
  }

  /** What is kept stays; the work goes on in the next visit. */
  #close() {
    this.#work?.cancel();
    this.#searching.abort();
    this.element.hidden = true;
  }
}
