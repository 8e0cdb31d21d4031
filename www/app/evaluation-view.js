/** The panel of an evaluation: its progress, then its results. */
import { h } from '../ui/dom.js';
import { describe } from './describe.js';
import { formatPercent } from '../ui/format.js';
import { splitTemplates } from '../ui/labels.js';
import { SiglipError } from '../siglip.js';
import { evaluationSheet } from './evaluation-style.js';
import { Tally, interleave, rowsToShow } from './evaluation.js';
import { announce, byId } from './page.js';
import { picturesText } from './texts.js';
import { t } from '../ui/translate.js';

/** @typedef {import('../siglip.js').Siglip} Siglip */
/** @typedef {import('./classify-files.js').Dataset} Dataset */
/** @typedef {import('./files.js').Found} Found */

/** The most mistakes that are shown. */
const MISTAKES = 50;
/** The most classes in the table. A larger table is slow to show and hard to read. */
const TABLE_CLASSES = 100;

document.adoptedStyleSheets.push(evaluationSheet);

/** Evaluates zero-shot classification on a folder of class folders, with the model and template of the page. */
export class EvaluationView {
  #current;
  #reload;
  /** @type {Dataset} */
  #dataset = { name: '', classes: [] };
  #run = new AbortController();
  /** Whether the evaluation starts when the model is ready. */
  #waiting = false;
  /** Whether the engine has stopped, so that the model has to be loaded again. */
  #engineIsGone = false;
  /** The object URLs of the images on show. @type {string[]} */
  #urls = [];

  #title = h('h3', { id: 'evaluation-title', tabIndex: -1 });
  #facts = h('p', { className: 'hint' });
  #status = h('p', { className: 'progress-text' });
  #bar = h('progress', { 'aria-label': t`Pictures evaluated` });
  #stop = h('button', { className: 'button', type: 'button' }, t`Stop`);
  #underway = h('div', { className: 'row' }, this.#bar, this.#stop);
  #error = h('div', { className: 'error', role: 'alert', hidden: true });
  #figures = h('dl');
  #details = h('div', { className: 'details' });
  #again = h('button', { className: 'button', type: 'button' }, t`Run again`);

  /**
   * @param {object} page
   * @param {() => {siglip: Siglip | undefined, template: string}} page.current the model and the template
   * @param {() => void} page.reload loads the model again
   */
  constructor({ current, reload }) {
    this.#current = current;
    this.#reload = reload;
    const close = h('button', { className: 'remove', type: 'button', onclick: () => this.#close() }, '×');
    close.ariaLabel = t`Close the evaluation`;
    this.element = h(
      'section',
      { className: 'panel evaluation', 'aria-labelledby': this.#title.id },
      this.#title,
      this.#facts,
      this.#status,
      this.#underway,
      this.#error,
      this.#figures,
      this.#details,
      this.#again,
      close,
    );
    this.#stop.addEventListener('click', () => {
      this.#run.abort();
      this.#title.focus();
    });
    this.#again.addEventListener('click', () => {
      const engineIsGone = this.#engineIsGone;
      this.#start(engineIsGone);
      if (engineIsGone) this.#reload();
      this.#title.focus();
    });
  }

  /** @param {Dataset} dataset */
  open(dataset) {
    this.#dataset = dataset;
    this.#title.textContent = t`Evaluation: ${dataset.name}`;
    this.#start();
    this.#title.focus();
  }

  /** Told whenever there is a new model. */
  modelReady() {
    if (this.#waiting) this.#start();
  }

  /** @param {boolean} [mustWait] whether the present model cannot be used */
  #start(mustWait = false) {
    this.#run.abort();
    const run = (this.#run = new AbortController());
    this.#clear();
    const { siglip, template } = this.#current();
    this.#waiting = mustWait || !siglip;
    this.#underway.hidden = this.#waiting || !siglip;
    if (this.#waiting || !siglip) this.#status.textContent = t`Waiting for the model …`;
    else this.#evaluate(siglip, template, run);
  }

  /**
   * @param {Siglip} siglip
   * @param {string} template
   * @param {AbortController} run
   */
  async #evaluate(siglip, template, run) {
    const { classes } = this.#dataset;
    const labels = classes.map(({ label }) => label);
    const images = interleave(classes);
    const tally = /** @type {Tally<Found>} */ (new Tally(labels));
    /** @type {Found[]} */
    const unreadable = [];
    const size = t`${images.length} pictures in ${labels.length} classes`;
    this.#facts.textContent = `${size} · “${template}” · ${byId('model-name').textContent}`;
    announce(t`Evaluating ${size}.`);
    let done = 0;
    /** @type {unknown} */
    let failure;
    try {
      // As many as a GPU takes in one pass.
      const atOnce = siglip.info.device === 'gpu' ? 8 : 1;
      while (done < images.length) {
        this.#showProgress(done, images.length);
        // One call for each image: in a list, an image that cannot be read would fail the others too.
        const options = { template: splitTemplates(template), signal: run.signal };
        const some = images.slice(done, done + atOnce);
        const scores = await Promise.all(
          some.map(({ item }) => scoresOf(siglip, item.file, labels, options)),
        );
        for (const [i, { item, truth }] of some.entries()) {
          const found = scores[i];
          if (found) tally.add(item, truth, found);
          else unreadable.push(item);
          done++;
        }
        this.#showFigures(tally);
      }
    } catch (error) {
      failure = error;
    }
    // This run was replaced or closed.
    if (run !== this.#run) return;
    const whole = done === images.length;
    this.#status.textContent = whole ? '' : t`Stopped after ${done} of ${images.length} pictures.`;
    this.#underway.hidden = true;
    this.#again.hidden = false;
    if (!run.signal.aborted && failure) this.#fail(failure);
    else announce(`${this.#status.textContent} ${t`Top-1 accuracy: ${percent(tally.top1)}.`}`);
    this.#showDetails(tally, unreadable);
  }

  /** @param {number} done @param {number} total */
  #showProgress(done, total) {
    this.#bar.value = done / total;
    this.#status.textContent = t`${done} of ${total} pictures`;
  }

  /** @param {Tally<Found>} tally */
  #showFigures({ images, top1, top5 }) {
    const figure = (/** @type {string} */ name, /** @type {string} */ value) =>
      h('div', {}, h('dt', {}, name), h('dd', {}, value));
    this.#figures.replaceChildren(
      figure(t`Pictures`, String(images)),
      figure(t`Top-1 accuracy`, percent(top1)),
      ...(top5 === undefined ? [] : [figure(t`Top-5 accuracy`, percent(top5))]),
    );
  }

  /**
   * @param {Tally<Found>} tally
   * @param {Found[]} unreadable
   */
  #showDetails(tally, unreadable) {
    this.#showFigures(tally);
    const names = unreadable.map((found) => h('li', {}, placeOf(found)));
    const some = picturesText(unreadable.length);
    if (names.length)
      this.#details.append(
        h('details', {}, h('summary', {}, t`${some} could not be read`), h('ul', {}, ...names)),
      );
    if (tally.images) this.#details.append(...matrixOf(tally));
    if (tally.mistakes.length) this.#details.append(this.#mistakes(tally.mistakes));
  }

  /** @param {Tally<Found>['mistakes']} mistakes */
  #mistakes(mistakes) {
    const some = picturesText(mistakes.length);
    const first = mistakes.length > MISTAKES ? t`, the first ${MISTAKES}` : '';
    const items = mistakes.slice(0, MISTAKES).map(({ item, predicted, own }) => {
      const url = URL.createObjectURL(item.file);
      this.#urls.push(url);
      const image = h('img', { src: url, alt: '', loading: 'lazy', decoding: 'async' });
      image.addEventListener('error', () => image.removeAttribute('src'));
      const answer = t`said “${predicted.label}”, ${formatPercent(predicted.score)}; “${own.label}” has ${formatPercent(own.score)}`;
      return h(
        'li',
        {},
        image,
        h('div', {}, h('p', {}, placeOf(item)), h('p', { className: 'hint' }, answer)),
      );
    });
    return h(
      'details',
      {},
      h('summary', {}, t`${some} taken for something else` + first),
      h('ol', { className: 'mistakes' }, ...items),
    );
  }

  /** @param {unknown} error */
  #fail(error) {
    const { code, headline, message } = describe(error);
    this.#engineIsGone = code === 'wasm';
    const text =
      code === 'aborted'
        ? [t`The model has been replaced`, t`Run it again with the new one.`]
        : [headline, message];
    this.#error.replaceChildren(h('p', {}, h('strong', {}, text[0]), text[1]));
    this.#error.hidden = false;
  }

  #clear() {
    this.#urls.splice(0).forEach((url) => URL.revokeObjectURL(url));
    this.#engineIsGone = false;
    this.#error.hidden = true;
    this.#again.hidden = true;
    this.#facts.textContent = '';
    this.#figures.replaceChildren();
    this.#details.replaceChildren();
  }

  #close() {
    this.#waiting = false;
    this.#run.abort();
    this.#run = new AbortController();
    this.#clear();
    this.element.remove();
    byId('dataset').focus();
    announce(t`The evaluation is closed.`);
  }
}

/**
 * The scores of an image; undefined if it cannot be read.
 * @param {Siglip} siglip
 * @param {File} file
 * @param {string[]} labels
 * @param {import('../siglip.js').ScoreOptions} options
 */
async function scoresOf(siglip, file, labels, options) {
  try {
    // If the file is gone or the page may not read it, this fails, and not the engine.
    await file.slice(0, 1).arrayBuffer();
    return await siglip.classify(file, labels, options);
  } catch (error) {
    const isUnreadable =
      error instanceof SiglipError ? error.code === 'bad-image' : error instanceof DOMException;
    if (!isUnreadable) throw error;
  }
}

/**
 * The confusion matrix with its caption.
 * @param {Tally<Found>} tally
 */
function matrixOf({ labels, matrix }) {
  const shown = rowsToShow(matrix, TABLE_CLASSES);
  const id = 'matrix-title';
  const only = shown.length < labels.length ? t` Of the ${shown.length} classes with the most mistakes.` : '';
  const title = h(
    'p',
    { id, className: 'hint' },
    t`Confusion matrix: a row for each class, a column for what the model said.` + only,
  );
  const heads = shown.map((predicted) => h('th', { scope: 'col' }, h('span', {}, labels[predicted])));
  const rows = shown.map((truth) => {
    const total = matrix[truth].reduce((sum, count) => sum + count, 0);
    const cells = shown.map((predicted) => {
      const count = matrix[truth][predicted];
      const cell = h('td', {}, String(count));
      cell.classList.toggle('right', predicted === truth);
      cell.classList.toggle('none', !count);
      cell.style.setProperty('--share', String(total && count / total));
      return cell;
    });
    return h('tr', {}, h('th', { scope: 'row' }, labels[truth]), ...cells);
  });
  const table = h(
    'table',
    { 'aria-labelledby': id },
    h('thead', {}, h('tr', {}, h('td'), ...heads)),
    h('tbody', {}, ...rows),
  );
  // The keyboard has to reach a box that scrolls.
  return [
    title,
    h('div', { className: 'matrix', role: 'region', tabIndex: 0, 'aria-labelledby': id }, table),
  ];
}

/** The path of an image inside the folder that the title names. @param {Found} found */
const placeOf = ({ path }) => path.slice(path.indexOf('/') + 1);

/** @param {number} share */
const percent = (share) => (Number.isNaN(share) ? '–' : `${(100 * share).toFixed(1)}%`);
