/** The answers as a table of pictures and labels, to compare, select and export them. */
import { h } from '../../ui/dom.js';
import { formatPercent } from '../../ui/format.js';
import { announce } from '../page.js';
import { picturesText } from '../texts.js';
import { download, toCsv, toJson, toNamesPerLabel } from './export.js';
import { Grid } from './grid.js';
import { labelsOf, selectedLabels, sorted, thresholdOf, valuesOf } from './rows.js';
import { tableSheet } from './style.js';
import { t } from '../../ui/translate.js';

/** @typedef {import('./rows.js').Answered & {source: Blob | string}} Picture */
/** @typedef {import('./rows.js').View} View */

/** The most columns. More are slow to show and hard to read; the files have all. */
const MOST_LABELS = 200;

/** What each view says of itself. @type {Record<View, string>} */
const meanings = {
  probability: t`Probability: how likely each label is by itself, so a row need not add up to 100%.`,
  logit: t`Logit: the score before it is made a probability; 0 stands for 50%, and the colours run from the lowest to the highest in the table.`,
  share: t`Share: the labels of a row divide 100%, as if one of them had to be right; it says nothing of how likely one is by itself.`,
};

document.adoptedStyleSheets.push(tableSheet);

/** @param {string} text @param {string} value */
const option = (text, value) => h('option', { value }, text);
/** @param {string} text @param {() => void} onclick */
const button = (text, onclick) => h('button', { className: 'button quiet', type: 'button', onclick }, text);
/** @param {number} logit */
const sigmoid = (logit) => 1 / (1 + Math.exp(-logit));

/** The table with its tools. */
export class TableView {
  #page;
  /** @type {View} */
  #view = 'probability';
  /** @type {{by: string | null, descending: boolean} | undefined} */
  #order;
  /** @type {import('./rows.js').Thresholds} */
  #thresholds = { every: 0.5, own: new Map() };
  /** @type {Set<Picture>} */
  #selected = new Set();
  /** Those that the filter lets through, in order. @type {Picture[]} */
  #shown = [];
  /** @type {string[]} */
  #labels = [];
  /** @type {{lowest: number, highest: number}} */
  #logits = { lowest: 0, highest: 1 };
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  #views = h(
    'select',
    { className: 'field' },
    option(t`Probability`, 'probability'),
    option(t`Logit`, 'logit'),
  );
  #name = h('input', {
    className: 'field',
    type: 'search',
    placeholder: t`Part of a name`,
    autocomplete: 'off',
  });
  #which = h('select', { className: 'field' }, option(t`All pictures`, 'all'));
  #thresholdOf = h('select', { className: 'field' });
  // In logits, since most of SigLIP's probabilities are near zero.
  #threshold = h('input', {
    type: 'range',
    min: '-10',
    max: '6',
    step: '0.1',
    value: '0',
    ariaLabel: t`Threshold`,
  });
  #thresholdText = h('span', { className: 'wide' });
  #meaning = h('p', { className: 'hint' });
  #count = h('p', { className: 'hint' });
  #remove = button(t`Remove selected`, () => this.#page.remove([...this.#selected]));
  #grid = new Grid(t`Pictures and labels`, {
    rows: () => this.#shown.length,
    head: () => this.#head(),
    row: (i) => this.#row(this.#shown[i]),
    onGone: (row) => {
      const image = row.querySelector('img');
      if (image) URL.revokeObjectURL(image.src);
    },
  });

  /**
   * @param {object} page
   * @param {() => Picture[]} page.pictures
   * @param {() => string[]} page.labels in the visitor's order
   * @param {(pictures: Picture[]) => void} page.remove
   * @param {() => {model: string, template: string}} page.question
   */
  constructor(page) {
    this.#page = page;
    this.#views.append(option(t`Share among labels`, 'share'));
    this.#which.append(
      option(t`Reach a threshold`, 'selected'),
      option(t`Reach no threshold`, 'rest'),
      option(t`Could not be read`, 'failed'),
    );
    this.element = h(
      'section',
      { className: 'panel table', 'aria-label': t`Table of results` },
      h(
        'div',
        { className: 'tools' },
        h('label', {}, t`Values`, this.#views),
        h('label', {}, t`Find`, this.#name),
        h('label', {}, t`Show`, this.#which),
        h('label', {}, t`Threshold for`, this.#thresholdOf),
        h('label', {}, this.#thresholdText, this.#threshold),
      ),
      this.#meaning,
      h(
        'div',
        { className: 'actions' },
        this.#count,
        this.#remove,
        button(t`Save CSV`, () => this.#save('csv')),
        button(t`Save JSON`, () => this.#save('json')),
        button(t`Save names per label`, () => this.#save('names')),
      ),
      this.#grid.element,
    );
    this.#views.addEventListener('change', () => {
      this.#view = /** @type {View} */ (this.#views.value);
      this.refresh();
    });
    this.#name.addEventListener('input', () => this.refresh());
    this.#which.addEventListener('change', () => this.refresh());
    this.#thresholdOf.addEventListener('change', () => this.#showThreshold());
    this.#threshold.addEventListener('input', () => this.#setThreshold());
  }

  /** Shows new answers, soon: of a thousand pictures, several a second are answered. */
  refresh() {
    this.#timer ??= setTimeout(() => this.#show(), this.#shown.length < 100 ? 16 : 150);
  }

  #show() {
    this.#timer = undefined;
    if (this.element.hidden) return;
    const all = this.#page.pictures();
    const present = new Set(all);
    for (const picture of this.#selected) if (!present.has(picture)) this.#selected.delete(picture);
    this.#labels = labelsOf(all, this.#page.labels());
    for (const label of this.#thresholds.own.keys())
      if (!this.#labels.includes(label)) this.#thresholds.own.delete(label);
    const part = this.#name.value.trim().toLowerCase();
    const shown = all.filter((picture) => picture.name.toLowerCase().includes(part) && this.#passes(picture));
    if (this.#order?.by && !this.#labels.includes(this.#order.by)) this.#order = undefined;
    this.#shown = this.#order ? sorted(shown, this.#order, this.#view) : shown;
    const logits = all.flatMap(({ scores = [] }) => scores.map(({ logit }) => logit));
    this.#logits = logits.reduce(
      ({ lowest, highest }, logit) => ({
        lowest: Math.min(lowest, logit),
        highest: Math.max(highest, logit),
      }),
      { lowest: Infinity, highest: -Infinity },
    );
    this.#meaning.textContent = meanings[this.#view];
    this.#showCount(all.length);
    this.#showThreshold();
    this.#grid.refresh();
  }

  /** @param {Picture} picture */
  #passes(picture) {
    switch (this.#which.value) {
      case 'selected':
        return selectedLabels(picture, this.#thresholds).length > 0;
      case 'rest':
        return !!picture.scores && !selectedLabels(picture, this.#thresholds).length;
      case 'failed':
        return !!picture.failure;
      default:
        return true;
    }
  }

  /** @param {number} all */
  #showCount(all) {
    const hidden = all - this.#shown.length;
    const failed = this.#shown.filter(({ failure }) => failure).length;
    const more = this.#labels.length - MOST_LABELS;
    this.#count.textContent = [
      hidden ? t`${picturesText(this.#shown.length)} of ${all}` : picturesText(all),
      ...(this.#selected.size ? [t`${this.#selected.size} selected`] : []),
      ...(failed ? [t`${failed} could not be read`] : []),
      ...(more > 0 ? [t`the first ${MOST_LABELS} of ${more + MOST_LABELS} labels; the files have all`] : []),
    ].join(' · ');
    this.#remove.hidden = !this.#selected.size;
  }

  #showThreshold() {
    const chosen = this.#thresholdOf.value;
    const options = [option(t`All labels`, ''), ...this.#labels.map((label) => option(label, `=${label}`))];
    this.#thresholdOf.replaceChildren(...options);
    this.#thresholdOf.value = options.some(({ value }) => value === chosen) ? chosen : '';
    const label = this.#thresholdOf.value.slice(1);
    const threshold = label ? thresholdOf(this.#thresholds, label) : this.#thresholds.every;
    this.#threshold.value = String(Math.log(threshold / (1 - threshold)));
    this.#thresholdText.textContent = t`Probability of at least ${formatPercent(threshold)}`;
    this.#threshold.setAttribute('aria-valuetext', this.#thresholdText.textContent);
  }

  #setThreshold() {
    const threshold = sigmoid(this.#threshold.valueAsNumber);
    const label = this.#thresholdOf.value.slice(1);
    if (label) this.#thresholds.own.set(label, threshold);
    else this.#thresholds = { every: threshold, own: new Map() };
    this.refresh();
  }

  /** @param {string | null} by @param {string} name @param {string} [detail] */
  #headCell(by, name, detail) {
    const sort = this.#order?.by === by ? (this.#order.descending ? 'descending' : 'ascending') : 'none';
    const onclick = () => {
      // Names start with A, values with the highest.
      const descending = this.#order?.by === by ? !this.#order.descending : by !== null;
      this.#order = { by, descending };
      this.refresh();
      announce(descending ? t`Sorted by ${name}, descending.` : t`Sorted by ${name}, ascending.`);
    };
    const text = h('button', { type: 'button', tabIndex: -1, title: name, onclick }, h('b', {}, name));
    if (detail) text.append(h('small', {}, detail));
    return h('div', { role: 'columnheader', 'aria-sort': sort }, text);
  }

  #head() {
    const everyone = this.#checkbox(t`Select all that are shown`, this.#isEveryoneSelected, (checked) => {
      for (const picture of this.#shown) this.#select(picture, checked);
      this.refresh();
    });
    const counts = new Map(this.#labels.map((label) => [label, 0]));
    for (const picture of this.#shown)
      for (const label of selectedLabels(picture, this.#thresholds))
        counts.set(label, (counts.get(label) ?? 0) + 1);
    const labels = this.#labels.slice(0, MOST_LABELS).map((label) => {
      const threshold = formatPercent(thresholdOf(this.#thresholds, label));
      return this.#headCell(label, label, `${counts.get(label)} ≥ ${threshold}`);
    });
    return [h('div', { role: 'columnheader' }, everyone), this.#headCell(null, t`Picture`), ...labels];
  }

  get #isEveryoneSelected() {
    return this.#shown.length > 0 && this.#shown.every((picture) => this.#selected.has(picture));
  }

  /** @param {Picture} picture */
  #row(picture) {
    const { name, source, failure, scores } = picture;
    const selected = this.#selected.has(picture);
    const box = this.#checkbox(t`Select ${name}`, selected, (checked) => {
      this.#select(picture, checked);
      box.closest('[role=row]')?.setAttribute('aria-selected', String(checked));
      this.#showCount(this.#page.pictures().length);
    });
    const src = typeof source === 'string' ? source : URL.createObjectURL(source);
    const image = h('img', { alt: '', decoding: 'async', src });
    image.onerror = () => (image.hidden = true);
    const cells = [
      h('div', { role: 'gridcell' }, box),
      h('div', { role: 'rowheader', title: name }, image, h('span', {}, name)),
    ];
    if (scores && !failure) cells.push(...this.#valueCells(picture));
    else {
      const text = h('div', { role: 'gridcell', className: 'failure' }, failure ?? t`Waiting …`);
      text.title = failure ?? '';
      text.setAttribute('aria-colspan', String(Math.max(1, Math.min(this.#labels.length, MOST_LABELS))));
      cells.push(text);
    }
    return { cells, selected };
  }

  /** @param {Picture} picture */
  #valueCells(picture) {
    const values = valuesOf(picture, this.#view);
    const chosen = new Set(selectedLabels(picture, this.#thresholds));
    const { lowest, highest } = this.#logits;
    return this.#labels.slice(0, MOST_LABELS).map((label) => {
      const value = values.get(label);
      const cell = h('div', { role: 'gridcell', className: 'value' });
      if (value === undefined) {
        cell.textContent = '–';
        return cell;
      }
      cell.textContent = this.#view === 'logit' ? value.toFixed(2) : formatPercent(value);
      cell.classList.toggle('chosen', chosen.has(label));
      if (chosen.has(label)) cell.ariaDescription = t`reaches the threshold`;
      const share = this.#view === 'logit' ? (value - lowest) / (highest - lowest || 1) : value;
      cell.style.setProperty('--share', share.toFixed(3));
      return cell;
    });
  }

  /** @param {string} label @param {boolean} checked @param {(checked: boolean) => void} onChange */
  #checkbox(label, checked, onChange) {
    const box = h('input', { type: 'checkbox', checked, ariaLabel: label, tabIndex: -1 });
    box.addEventListener('change', () => onChange(box.checked));
    return box;
  }

  /** @param {Picture} picture @param {boolean} selected */
  #select(picture, selected) {
    if (selected) this.#selected.add(picture);
    else this.#selected.delete(picture);
  }

  /** Saves the selected pictures' answers, or of all that are shown if none is selected. @param {'csv' | 'json' | 'names'} kind */
  #save(kind) {
    const some = this.#shown.filter((picture) => this.#selected.has(picture));
    const chosen = some.length ? some : this.#shown;
    const labels = this.#labels;
    if (kind === 'csv') download(`siglip-${this.#view}.csv`, 'text/csv', toCsv(chosen, labels, this.#view));
    else if (kind === 'names')
      download('siglip-labels.csv', 'text/csv', toNamesPerLabel(chosen, labels, this.#thresholds));
    else {
      const json = toJson(chosen, labels, this.#thresholds, this.#page.question());
      download('siglip.json', 'application/json', json);
    }
    announce(t`Saved ${picturesText(chosen.length)}.`);
  }
}
