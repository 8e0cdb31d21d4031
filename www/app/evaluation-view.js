/** An evaluation as one sees it: under way, and what it comes to. */
import { h } from '../ui/dom.js';
import { describe, formatPercent } from '../ui/format.js';
import { SiglipError } from '../siglip.js';
import { evaluationSheet } from './evaluation-style.js';
import { Tally, inTurns, rowsToShow } from './evaluation.js';
import { announce, byId } from './page.js';

/** @typedef {import('../siglip.js').Siglip} Siglip */
/** @typedef {import('./classify-files.js').Dataset} Dataset */
/** @typedef {import('./files.js').Found} Found */

/** Mistakes that are shown. */
const MISTAKES = 50;
/** Classes in the table at most: more make a browser heavy, and nobody the wiser. */
const TABLE_CLASSES = 100;

document.adoptedStyleSheets.push(evaluationSheet);

/** Zero-shot classification of a folder of class folders, with the page's model and template. */
export class EvaluationView {
  #ask;
  #reload;
  /** @type {Dataset} */
  #dataset = { name: '', classes: [] };
  #run = new AbortController();
  /** Whether it begins as soon as there is a model. */
  #waiting = false;
  /** Whether the engine has stopped: it takes a new one. */
  #engineIsGone = false;
  /** Of the pictures shown. @type {string[]} */
  #urls = [];

  #title = h('h3', { id: 'evaluation-title', tabIndex: -1 });
  #facts = h('p', { className: 'hint' });
  #status = h('p', { className: 'progress-text' });
  #bar = h('progress', { 'aria-label': 'Pictures evaluated' });
  #stop = h('button', { className: 'button', type: 'button' }, 'Stop');
  #underway = h('div', { className: 'row' }, this.#bar, this.#stop);
  #error = h('div', { className: 'error', role: 'alert', hidden: true });
  #figures = h('dl');
  #details = h('div', { className: 'details' });
  #again = h('button', { className: 'button', type: 'button' }, 'Run again');

  /**
   * @param {object} page
   * @param {() => {siglip: Siglip | undefined, template: string}} page.ask what pictures are asked with
   * @param {() => void} page.reload gets a new engine
   */
  constructor({ ask, reload }) {
    this.#ask = ask;
    this.#reload = reload;
    const close = h('button', { className: 'remove', type: 'button', onclick: () => this.#close() }, '×');
    close.ariaLabel = 'Close the evaluation';
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
    this.#title.textContent = `Evaluation: ${dataset.name}`;
    this.#start();
    this.#title.focus();
  }

  /** Told whenever there is a new model. */
  modelReady() {
    if (this.#waiting) this.#start();
  }

  /** @param {boolean} [mustWait] whether the present model is of no use */
  #start(mustWait = false) {
    this.#run.abort();
    const run = (this.#run = new AbortController());
    this.#clear();
    const { siglip, template } = this.#ask();
    this.#waiting = mustWait || !siglip;
    this.#underway.hidden = this.#waiting || !siglip;
    if (this.#waiting || !siglip) this.#status.textContent = 'Waiting for the model …';
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
    const pictures = inTurns(classes);
    const tally = /** @type {Tally<Found>} */ (new Tally(labels));
    /** @type {Found[]} */
    const unreadable = [];
    const size = `${pictures.length} pictures in ${labels.length} classes`;
    this.#facts.textContent = `${size} · “${template}” · ${byId('model-name').textContent}`;
    announce(`Evaluating ${size}.`);
    let done = 0;
    /** @type {unknown} */
    let failure;
    try {
      for (const { item, truth } of pictures) {
        this.#showProgress(done, pictures.length);
        // One by one: the engine takes no list at a time, and one unreadable picture would fail a whole one.
        const scores = await scoresOf(siglip, item.file, labels, { template, signal: run.signal });
        if (scores) tally.add(item, truth, scores);
        else unreadable.push(item);
        done++;
        this.#showFigures(tally);
      }
    } catch (error) {
      failure = error;
    }
    // Another run, or none, has taken its place.
    if (run !== this.#run) return;
    const whole = done === pictures.length;
    this.#status.textContent = whole ? '' : `Stopped after ${done} of ${pictures.length} pictures.`;
    this.#underway.hidden = true;
    this.#again.hidden = false;
    if (!run.signal.aborted && failure) this.#fail(failure);
    else announce(`${this.#status.textContent} Top-1 accuracy: ${percent(tally.top1)}.`);
    this.#showDetails(tally, unreadable);
  }

  /** @param {number} done @param {number} total */
  #showProgress(done, total) {
    this.#bar.value = done / total;
    this.#status.textContent = `${done} of ${total} pictures`;
  }

  /** @param {Tally<Found>} tally */
  #showFigures({ pictures, top1, top5 }) {
    const figure = (/** @type {string} */ name, /** @type {string} */ value) =>
      h('div', {}, h('dt', {}, name), h('dd', {}, value));
    this.#figures.replaceChildren(
      figure('Pictures', String(pictures)),
      figure('Top-1 accuracy', percent(top1)),
      ...(top5 === undefined ? [] : [figure('Top-5 accuracy', percent(top5))]),
    );
  }

  /**
   * @param {Tally<Found>} tally
   * @param {Found[]} unreadable
   */
  #showDetails(tally, unreadable) {
    this.#showFigures(tally);
    const names = unreadable.map((picture) => h('li', {}, placeOf(picture)));
    const some = unreadable.length === 1 ? '1 picture' : `${unreadable.length} pictures`;
    if (names.length)
      this.#details.append(
        h('details', {}, h('summary', {}, `${some} could not be read`), h('ul', {}, ...names)),
      );
    if (tally.pictures) this.#details.append(...matrixOf(tally));
    if (tally.mistakes.length) this.#details.append(this.#mistakes(tally.mistakes));
  }

  /** @param {Tally<Found>['mistakes']} mistakes */
  #mistakes(mistakes) {
    const some = mistakes.length === 1 ? '1 picture' : `${mistakes.length} pictures`;
    const first = mistakes.length > MISTAKES ? `, the first ${MISTAKES}` : '';
    const items = mistakes.slice(0, MISTAKES).map(({ item, said, own }) => {
      const url = URL.createObjectURL(item.file);
      this.#urls.push(url);
      const image = h('img', { src: url, alt: '', loading: 'lazy', decoding: 'async' });
      image.addEventListener('error', () => image.removeAttribute('src'));
      const answer = `said “${said.label}”, ${formatPercent(said.score)}; “${own.label}” has ${formatPercent(own.score)}`;
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
      h('summary', {}, `${some} taken for something else${first}`),
      h('ol', { className: 'mistakes' }, ...items),
    );
  }

  /** @param {unknown} error */
  #fail(error) {
    const { code, headline, message } = describe(error);
    this.#engineIsGone = code === 'wasm';
    const text =
      code === 'aborted'
        ? ['The model has been replaced', 'Run it again with the new one.']
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
    announce('The evaluation is closed.');
  }
}

/**
 * A picture's scores; nothing where it cannot be read.
 * @param {Siglip} siglip
 * @param {File} file
 * @param {string[]} labels
 * @param {import('../siglip.js').ScoreOptions} options
 */
async function scoresOf(siglip, file, labels, options) {
  try {
    // A file that is gone, or closed to this page, is told from a failure of the engine here.
    await file.slice(0, 1).arrayBuffer();
    return await siglip.classify(file, labels, options);
  } catch (error) {
    const isUnreadable =
      error instanceof SiglipError ? error.code === 'bad-image' : error instanceof DOMException;
    if (!isUnreadable) throw error;
  }
}

/**
 * The confusion matrix, with what it shows.
 * @param {Tally<Found>} tally
 */
function matrixOf({ labels, matrix }) {
  const shown = rowsToShow(matrix, TABLE_CLASSES);
  const id = 'matrix-title';
  const only = shown.length < labels.length ? ` Of the ${shown.length} classes with the most mistakes.` : '';
  const title = h(
    'p',
    { id, className: 'hint' },
    `Confusion matrix: a row for each class, a column for what the model said.${only}`,
  );
  const heads = shown.map((said) => h('th', { scope: 'col' }, h('span', {}, labels[said])));
  const rows = shown.map((truth) => {
    const total = matrix[truth].reduce((sum, count) => sum + count, 0);
    const cells = shown.map((said) => {
      const count = matrix[truth][said];
      const cell = h('td', {}, String(count));
      cell.classList.toggle('right', said === truth);
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
  // A box that scrolls has to be reached with the keyboard.
  return [
    title,
    h('div', { className: 'matrix', role: 'region', tabIndex: 0, 'aria-labelledby': id }, table),
  ];
}

/** Where a picture lies in the folder that the title names. @param {Found} picture */
const placeOf = ({ path }) => path.slice(path.indexOf('/') + 1);

/** @param {number} share */
const percent = (share) => (Number.isNaN(share) ? '–' : `${(100 * share).toFixed(1)}%`);
