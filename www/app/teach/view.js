/** Teaching by example: pictures make a label a class of its own. */
import { h } from '../../ui/dom.js';
import { describe } from '../describe.js';
import { t } from '../../ui/translate.js';
import { announce } from '../page.js';
import { picturesText } from '../texts.js';
import { ENOUGH, Lessons } from './lessons.js';
import { teachSheet } from './style.js';

/** @typedef {import('../../siglip.js').Siglip} Siglip */
/** @typedef {import('../camera/view.js').Question} Question */
/** @typedef {import('../card.js').Card} Card */
/** @typedef {{item: HTMLElement, show: () => void}} Row */

document.adoptedStyleSheets.push(teachSheet);

/** @param {string} text @param {() => void} onclick */
const button = (text, onclick) => h('button', { className: 'button quiet', type: 'button', onclick }, text);

/** The panel of what is taught, below the labels. */
export class TeachView {
  #page;
  #lessons = new Lessons();
  /** @type {Map<string, Row>} */
  #rows = new Map();
  /** The labels of the rows. @type {string[]} */
  #labels = [];

  #title = h('h3', { tabIndex: -1 }, t`Teach by pictures`);
  #list = h('ul', { className: 'lessons' });
  #status = h('p', { className: 'hint', role: 'status' });
  #error = h('div', { className: 'error', role: 'alert', hidden: true });
  #train = button(t`Train`, () => this.#toggleProbe());
  #save = button(t`Save as a file`, () => this.#saveFile());
  #input = h('input', {
    type: 'file',
    accept: '.json,application/json',
    ariaLabel: t`Load a file of classes`,
  });
  #leave = button(t`Forget the file`, () => {
    this.#lessons.file = undefined;
    this.#changed();
  });

  /**
   * @param {object} page
   * @param {() => Siglip | undefined} page.model
   * @param {() => string[]} page.labels
   * @param {(labels: string[]) => void} page.setLabels
   * @param {() => void} page.changed scores all pictures again
   */
  constructor(page) {
    this.#page = page;
    this.element = h(
      'section',
      { className: 'teach', ariaLabel: t`Teach by pictures` },
      this.#title,
      h(
        'p',
        { className: 'hint' },
        t`Three pictures make a label a class of its own: add them here, or drop them on the label. On a card, say what a picture is not.`,
      ),
      this.#error,
      this.#list,
      this.#status,
      h(
        'div',
        { className: 'row' },
        this.#train,
        this.#save,
        h('label', { className: 'button quiet' }, t`Load a file…`, this.#input),
        this.#leave,
      ),
    );
    this.#input.addEventListener('change', () => {
      const [file] = this.#input.files ?? [];
      this.#input.value = '';
      if (file) this.load(file);
    });
    this.#show();
  }

  /** Shows the panel. */
  show() {
    this.#show();
    this.#title.focus();
  }

  /**
   * The question with the taught classes in place of the labels; nothing if none is taught.
   * @param {Question} question
   * @param {string[]} template
   * @returns {Promise<Question | undefined>}
   */
  async ask({ siglip, options }, template) {
    const labels = this.#page.labels();
    if (labels.join('\n') !== this.#labels.join('\n')) this.#show();
    if (!this.#isUsed()) return;
    try {
      const made = await this.#lessons.make(siglip, labels, template);
      this.#tell(made);
      const { bias, relative } = options;
      return { siglip, labels: made.classes, options: made.info.kind === 'probe' ? {} : { bias, relative } };
    } catch (error) {
      const { code, headline, message } = describe(error);
      if (code !== 'aborted') this.#fail(headline, message);
      // The labels are scored as if nothing were taught.
      return;
    }
  }

  /**
   * Adds pictures to a class.
   * @param {string} label
   * @param {(File | string)[]} sources
   */
  async add(label, sources) {
    const lesson = this.#lessons.of(label);
    const fresh = await this.#readable(sources);
    if (!fresh.length) return;
    this.#lessons.change(label, { images: [...new Set([...lesson.images, ...fresh])] });
    announce(`${label}: ${picturesText(this.#lessons.of(label).images.length)}`);
    this.#changed();
  }

  /** Takes classes from a file. @param {File} file */
  async load(file) {
    const siglip = this.#page.model();
    if (!siglip) return this.#fail(t`The model is not there yet`, t`Load the file again when it is.`);
    try {
      const text = await file.text();
      const classes = await siglip.classes(text);
      const names = classes.names;
      await classes.close();
      this.#lessons.file = { name: file.name, text };
      this.#lessons.trained = false;
      this.#error.hidden = true;
      announce(t`${file.name}: ${names.length} classes.`);
      this.#page.setLabels(names);
      this.#changed();
    } catch (error) {
      const { headline, message } = describe(error);
      this.#fail(headline, `${file.name}: ${message}`);
    }
  }

  /** Offers to say of a card's picture what it is and what it is not. @param {Card} card */
  decorate(card) {
    const place = card.element.querySelector('.answer');
    const labels = this.#page.labels();
    const before = place?.querySelector('.judge');
    const known = [...(before?.querySelectorAll('option') ?? [])].map(({ value }) => value);
    if (!place || (before && known.join('\n') === labels.join('\n'))) return;
    const select = h(
      'select',
      { className: 'field', ariaLabel: t`Label of ${card.name}` },
      ...labels.map((label) => h('option', { value: label }, label)),
    );
    const own = card.scores?.[0]?.label;
    if (own && labels.includes(own)) select.value = own;
    const judge = (/** @type {'images' | 'not'} */ kind) => this.#judge(select.value, card.source, kind);
    const row = h(
      'div',
      { className: 'judge', hidden: !labels.length || !!this.#lessons.file },
      select,
      button(t`This is it`, () => judge('images')),
      button(t`Not this`, () => judge('not')),
    );
    if (before) before.replaceWith(row);
    else place.append(row);
  }

  /**
   * @param {string} label
   * @param {import('./lessons.js').Source} source
   * @param {'images' | 'not'} kind
   */
  async #judge(label, source, kind) {
    if (!(await this.#readable([source])).length) return;
    const { images, not } = this.#lessons.of(label);
    const without = {
      images: images.filter((one) => one !== source),
      not: not.filter((one) => one !== source),
    };
    this.#lessons.change(label, { ...without, [kind]: [...without[kind], source] });
    announce(`${kind === 'not' ? t`Not this` : t`This is it`}: ${label}`);
    this.#changed();
  }

  /** Those that are pictures. @param {import('./lessons.js').Source[]} sources */
  async #readable(sources) {
    this.#error.hidden = true;
    const siglip = this.#page.model();
    if (!siglip) {
      this.#fail(t`The model is not there yet`, t`Add the pictures again when it is.`);
      return [];
    }
    const fresh = [];
    for (const [i, source] of sources.entries()) {
      if (sources.length > 3) this.#status.textContent = t`Looking at ${i + 1} of ${sources.length} …`;
      try {
        await this.#lessons.embed(siglip, source);
        fresh.push(source);
      } catch (error) {
        const { headline, message } = describe(error);
        this.#fail(headline, `${source instanceof File ? source.name : t`The picture`}: ${message}`);
      }
    }
    return fresh;
  }

  #isUsed() {
    return (
      !!this.#lessons.file ||
      this.#lessons.taught(this.#page.labels()).some((label) => this.#lessons.of(label).images.length)
    );
  }

  #toggleProbe() {
    this.#lessons.trained = !this.#lessons.trained;
    this.#changed();
  }

  async #saveFile() {
    const siglip = this.#page.model();
    const made = siglip && this.#last;
    if (!made) return;
    const blob = new Blob([await made.classes.export()], { type: 'application/json' });
    const link = h('a', { href: URL.createObjectURL(blob), download: 'classes.json' });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    announce(t`Saved as classes.json.`);
  }

  /** What was made last. @type {import('./lessons.js').Made | undefined} */
  #last;

  /** @param {import('./lessons.js').Made} made */
  #tell(made) {
    if (this.#last === made) return;
    this.#last = made;
    const { info, untold } = made;
    const { file } = this.#lessons;
    const probe =
      info.kind === 'probe'
        ? t`A linear probe of ${info.classes.length} classes: right in ${accuracyText(info)} of the pictures that it had not seen (cross-validated).`
        : '';
    const from = file ? `${file.name}: ${info.classes.map(({ name }) => name).join(', ')}.` : '';
    const unread = untold.length ? t`The model cannot read ${untold.join(', ')}: pictures are needed.` : '';
    this.#status.textContent = [from, probe, unread].filter(Boolean).join(' ');
  }

  /** @param {string} headline @param {string} message */
  #fail(headline, message) {
    this.#error.replaceChildren(h('p', {}, h('strong', {}, headline), message));
    this.#error.hidden = false;
  }

  #changed() {
    if (this.#lessons.trained && !this.#lessons.enough(this.#page.labels())) this.#lessons.trained = false;
    this.#lessons.touch();
    this.#status.textContent = '';
    this.#show();
    this.#page.changed();
  }

  #show() {
    const labels = (this.#labels = this.#page.labels());
    const isFile = !!this.#lessons.file;
    const rows = new Map(labels.map((label) => [label, this.#rows.get(label) ?? this.#rowOf(label)]));
    for (const [label, { item }] of this.#rows) if (!rows.has(label)) item.remove();
    this.#rows = rows;
    [...rows.values()].forEach(({ item, show }, i) => {
      if (this.#list.children[i] !== item) this.#list.insertBefore(item, this.#list.children[i] ?? null);
      show();
    });
    this.#list.hidden = isFile;
    this.#leave.hidden = !isFile;
    this.#save.hidden = !this.#isUsed();
    this.#train.hidden = isFile || !this.#lessons.enough(labels);
    this.#train.textContent = this.#lessons.trained ? t`Back to means` : t`Train`;
    this.#train.title = t`With ${ENOUGH} pictures a class or more: a linear probe`;
  }

  /** @param {string} label @returns {Row} */
  #rowOf(label) {
    const input = h('input', {
      type: 'file',
      accept: 'image/*',
      multiple: true,
      ariaLabel: t`Pictures of ${label}`,
    });
    const count = h('span', { className: 'hint' });
    const mix = h('input', {
      type: 'range',
      min: '0',
      max: '100',
      step: '5',
      ariaLabel: t`${label}: text or pictures`,
    });
    const slider = h('label', { className: 'mix' }, h('span', {}, t`Text`), mix, h('span', {}, t`Pictures`));
    const forget = button(t`Forget`, () => {
      this.#lessons.forget(label);
      this.#changed();
      input.focus();
    });
    forget.ariaLabel = t`Forget the pictures of ${label}`;
    const item = h(
      'li',
      {},
      h('span', { className: 'name' }, label),
      count,
      slider,
      h(
        'div',
        { className: 'row' },
        h('label', { className: 'button quiet' }, t`Add pictures…`, input),
        forget,
      ),
    );
    input.addEventListener('change', () => {
      const files = [...(input.files ?? [])];
      input.value = '';
      this.add(label, files);
    });
    mix.addEventListener('input', () => {
      this.#lessons.change(label, { mix: mix.valueAsNumber / 100 });
      this.#page.changed();
    });
    const show = () => {
      const { images, not, mix: share } = this.#lessons.of(label);
      const parts = [
        images.length && picturesText(images.length),
        not.length && notText(not.length, images.length),
      ];
      count.textContent = parts.filter(Boolean).join(', ') || t`Only its text`;
      mix.value = String(Math.round(share * 100));
      slider.hidden = !images.length || this.#lessons.trained;
      forget.hidden = !images.length && !not.length;
    };
    return { item, show };
  }
}

/** @param {number} not number of pictures that do not show the class @param {number} images number of those that do */
const notText = (not, images) =>
  images
    ? t`not this: ${picturesText(not)}`
    : t`not this: ${picturesText(not)}, which count once there are pictures of it`;

/** @param {import('../../worker/protocol.js').TaughtSummary} info */
const accuracyText = ({ accuracy = 0 }) => `${(100 * accuracy).toFixed(1)}%`;
