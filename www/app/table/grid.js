/** A grid of pictures and labels. Only the rows in sight are in the document, so that thousands scroll smoothly. */
import { h } from '../../ui/dom.js';

/** Height of a row in CSS pixels; see style.js (3rem). */
const rowHeight = () => 3 * parseFloat(getComputedStyle(document.documentElement).fontSize);
/** Rows that are kept above and below those in sight. */
const SPARE = 6;

/**
 * What the grid asks for.
 * @typedef {object} Source
 * @property {() => number} rows
 * @property {() => HTMLElement[]} head the cells of the head
 * @property {(row: number) => {cells: HTMLElement[], selected: boolean}} row
 * @property {(element: HTMLElement) => void} onGone a row has left the document
 */

/** Follows the ARIA pattern of a grid: one cell takes part in the order of tabs, arrow keys move it. */
export class Grid {
  #source;
  #head = h('div', { role: 'row', 'aria-rowindex': 1 });
  #body = h('div', { role: 'rowgroup', className: 'body' });
  /** Rows in the document, by index. @type {Map<number, HTMLElement>} */
  #rows = new Map();
  /** The cell of the order of tabs; row 0 is the head. */
  #active = { row: 0, column: 1 };
  #frame = 0;

  /** @param {string} label for screen readers @param {Source} source */
  constructor(label, source) {
    this.#source = source;
    this.element = h(
      'div',
      { role: 'grid', className: 'grid', 'aria-label': label, 'aria-multiselectable': true },
      h('div', { role: 'rowgroup', className: 'head' }, this.#head),
      this.#body,
    );
    this.element.addEventListener('scroll', () => this.#schedule());
    this.element.addEventListener('keydown', (event) => this.#key(event));
    this.element.addEventListener('focusin', ({ target }) => this.#follow(target));
    new ResizeObserver(() => this.#schedule()).observe(this.element);
  }

  /** Shows everything anew, after a change of rows, labels or values. */
  refresh() {
    const hadFocus = this.element.contains(document.activeElement);
    for (const i of [...this.#rows.keys()]) this.#drop(i);
    this.#head.replaceChildren(...this.#source.head());
    const rows = this.#source.rows();
    this.element.setAttribute('aria-rowcount', String(rows + 1));
    this.element.setAttribute('aria-colcount', String(this.#head.childElementCount));
    this.element.style.setProperty('--labels', String(Math.max(1, this.#head.childElementCount - 2)));
    this.#body.style.height = `${rows * rowHeight()}px`;
    this.#active.row = Math.min(this.#active.row, rows);
    this.#render();
    if (hadFocus) this.#focus();
  }

  /** Only shows what scrolling has brought into sight. */
  #schedule() {
    cancelAnimationFrame(this.#frame);
    this.#frame = requestAnimationFrame(() => this.#render());
  }

  #render() {
    const height = rowHeight();
    const count = this.#source.rows();
    const top = Math.floor(this.element.scrollTop / height) - SPARE;
    const shown = Math.ceil(this.element.clientHeight / height) + 2 * SPARE;
    const first = Math.max(0, Math.min(top, count - shown));
    const last = Math.min(count, first + shown);
    // The row with the focus stays, otherwise scrolling would lose the focus.
    const active = this.#active.row - 1;
    for (const i of [...this.#rows.keys()]) if ((i < first || i >= last) && i !== active) this.#drop(i);
    for (let i = first; i < last; i++) if (!this.#rows.has(i)) this.#add(i, height);
    if (active >= 0 && !this.#rows.has(active)) this.#add(active, height);
    this.#markActive();
  }

  /** @param {number} i @param {number} height */
  #add(i, height) {
    const { cells, selected } = this.#source.row(i);
    const row = h('div', { role: 'row', 'aria-rowindex': i + 2, 'aria-selected': selected }, ...cells);
    row.style.transform = `translateY(${i * height}px)`;
    // Screen readers read rows in the order of the document.
    const next = [...this.#rows.keys()].filter((other) => other > i).sort((a, b) => a - b)[0];
    this.#body.insertBefore(row, this.#rows.get(next) ?? null);
    this.#rows.set(i, row);
  }

  /** @param {number} i */
  #drop(i) {
    const row = this.#rows.get(i);
    if (!row) return;
    row.remove();
    this.#rows.delete(i);
    this.#source.onGone(row);
  }

  /** @param {number} row */
  #cells(row) {
    return /** @type {HTMLElement[]} */ ([...((row ? this.#rows.get(row - 1) : this.#head)?.children ?? [])]);
  }

  /** A cell's control, or the cell. */
  get #target() {
    const cells = this.#cells(this.#active.row);
    const cell = cells[Math.min(this.#active.column, cells.length - 1)];
    return /** @type {HTMLElement | null} */ (cell?.querySelector('button, input') ?? cell);
  }

  #markActive() {
    for (const other of this.element.querySelectorAll('[tabindex="0"]')) other.setAttribute('tabindex', '-1');
    this.#target?.setAttribute('tabindex', '0');
  }

  #focus() {
    this.#markActive();
    this.#target?.focus({ preventScroll: true });
  }

  /** @param {EventTarget | null} target */
  #follow(target) {
    const cell = target instanceof Element && target.closest('[role=row] > *');
    const row = cell && cell.parentElement;
    if (!row) return;
    this.#active = {
      row: Number(row.getAttribute('aria-rowindex')) - 1,
      column: [...row.children].indexOf(cell),
    };
    this.#markActive();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const { row, column } = this.#active;
    const lastRow = this.#source.rows();
    const lastColumn = this.#head.childElementCount - 1;
    const page = Math.max(1, Math.floor(this.element.clientHeight / rowHeight()) - 2);
    const to = {
      ArrowUp: [row - 1, column],
      ArrowDown: [row + 1, column],
      ArrowLeft: [row, column - 1],
      ArrowRight: [row, column + 1],
      PageUp: [row - page, column],
      PageDown: [row + page, column],
      Home: [event.ctrlKey ? 0 : row, 0],
      End: [event.ctrlKey ? lastRow : row, lastColumn],
    }[event.key];
    const box = this.#cells(row)[0]?.querySelector('input');
    // A browser would toggle the box when the key is released, and a refresh in between puts another box in its place.
    if (event.key === ' ' && (event.target === box || (row && !(event.target instanceof HTMLInputElement)))) {
      event.preventDefault();
      if (!event.repeat) box?.click();
    }
    if (!to) return;
    event.preventDefault();
    this.#active = {
      row: Math.max(0, Math.min(lastRow, to[0])),
      column: Math.max(0, Math.min(lastColumn, to[1])),
    };
    this.#reveal();
    this.#render();
    this.#focus();
  }

  /** Scrolls so that the active cell is beside the head and the names, not below them. */
  #reveal() {
    const { element } = this;
    const height = rowHeight();
    if (this.#active.row) {
      const top = (this.#active.row - 1) * height;
      const sight = element.clientHeight - this.#head.offsetHeight;
      element.scrollTop = Math.min(top, Math.max(element.scrollTop, top + height - sight));
    }
    const cells = this.#cells(0);
    const cell = cells[this.#active.column];
    if (this.#active.column < 2) return;
    const names = cells[0].offsetWidth + cells[1].offsetWidth;
    const left = cell.offsetLeft - names;
    const right = cell.offsetLeft + cell.offsetWidth - element.clientWidth;
    element.scrollLeft = Math.min(left, Math.max(element.scrollLeft, right));
  }
}
