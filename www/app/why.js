/** On a card: a map over the picture of what in it speaks for a label, and the comparison with another engine. */
import { h, sheetOf } from '../ui/dom.js';
import { describe } from './describe.js';
import { announce } from './page.js';
import { t } from '../ui/translate.js';

/** @typedef {import('../siglip.js').Siglip} Siglip */
/** @typedef {import('../siglip.js').Explanation} Explanation */
/** @typedef {{siglip: Siglip, labels: string[], template: string[]}} Question */

document.adoptedStyleSheets.push(
  sheetOf(`
.thumbnail > * { grid-area: 1 / 1; }
.why { display: grid; gap: .6rem; padding-top: .6rem; font-size: .9rem; }
.why .row { align-items: center; }
.why select { max-width: 100%; }
.why p { overflow-wrap: anywhere; }
`),
);

/** The longest side of the drawn map in pixels. It is coarse, and is smoothed in between. */
const LONGEST = 256;
/** How dark a part gets that says nothing for the label, of 255. */
const DARKEST = 205;

/** The choice of a label and a method, and the map. */
export class Why {
  #image;
  #running = new AbortController();
  /** @type {Question | undefined} */
  #question;
  #labels = h('select', { className: 'field' });
  #thorough = h('input', { type: 'checkbox' });
  #status = h('p', { className: 'hint', role: 'status' });
  #map = h('canvas', { hidden: true, role: 'img' });
  #check = h('details', { ontoggle: () => this.#compare() }, h('summary', {}, t`Check against candle`));
  /** The comparison with another engine. @type {import('./candle-check.js').CandleCheck | undefined} */
  #candle;

  /** @param {import('../ui/scored-image.js').ScoredImage} image */
  constructor(image) {
    this.#image = image;
    this.#labels.ariaLabel = t`Label to explain`;
    this.element = h(
      'div',
      { className: 'why', onchange: () => this.#draw() },
      this.#labels,
      h('label', {}, this.#thorough, t` Thorough: hides one part after the other, some fifty times slower`),
      this.#status,
      this.#check,
    );
  }

  /** Shows the map for the first of the labels, or for the one that was chosen before. @param {Question} question */
  show(question) {
    const before = this.#labels.value;
    const { labels } = (this.#question = question);
    this.#labels.replaceChildren(...labels.map((label) => h('option', {}, label)));
    if (labels.includes(before)) this.#labels.value = before;
    this.#draw();
    this.#compare();
  }

  async #compare() {
    if (!this.#check.open || !this.#question) return;
    const { CandleCheck } = await import('./candle-check.js');
    this.#candle ??= new CandleCheck(this.#image.source);
    this.#check.append(this.#candle.element);
    this.#candle.show(this.#question);
  }

  /** Takes the map off the picture. */
  hide() {
    this.#running.abort();
    this.#map.remove();
  }

  async #draw() {
    if (!this.#question) return;
    this.#running.abort();
    const { signal } = (this.#running = new AbortController());
    const { siglip, template } = this.#question;
    const label = this.#labels.value;
    const method = this.#thorough.checked ? 'occlusion' : 'fast';
    this.#status.textContent = t`Looking closer …`;
    this.#map.remove();
    try {
      const explanation = await siglip.explain(this.#image.source, label, {
        method,
        template,
        signal,
        onProgress: ({ done, total }) => {
          this.#status.textContent = t`Looking closer: ${done} of ${total}`;
        },
      });
      if (signal.aborted) return;
      this.#paint(explanation);
      this.#map.ariaLabel = t`What speaks for “${label}”`;
      this.#image.element.append(this.#map);
      this.#map.hidden = false;
      this.#status.textContent = meaningOf(explanation, label, method);
      announce(this.#status.textContent);
    } catch (error) {
      const { code, headline, message } = describe(error);
      if (code !== 'aborted') this.#status.textContent = `${headline}. ${message}`;
    }
  }

  /** Leaves the parts lit that speak for the label. @param {Explanation} explanation */
  #paint({ width, height, values }) {
    const [least, most] = [Math.min(...values), Math.max(...values)];
    const small = h('canvas', { width, height });
    const pixels = new ImageData(width, height);
    values.forEach((value, patch) => {
      pixels.data[4 * patch + 3] = DARKEST * (1 - (value - least) / (most - least || 1));
    });
    small.getContext('2d')?.putImageData(pixels, 0, 0);
    // The sides of the picture, so that the map is fitted into the card as the picture is.
    const sides = sidesOf(this.#image.element.firstElementChild);
    const scale = LONGEST / Math.max(...sides);
    [this.#map.width, this.#map.height] = sides.map((side) => Math.max(1, Math.round(side * scale)));
    const context = this.#map.getContext('2d');
    if (context) context.imageSmoothingQuality = 'high';
    context?.drawImage(small, 0, 0, this.#map.width, this.#map.height);
  }
}

/** The sides of what the card shows. @param {Element | null} picture */
function sidesOf(picture) {
  if (picture instanceof HTMLImageElement && picture.naturalWidth)
    return [picture.naturalWidth, picture.naturalHeight];
  return picture instanceof HTMLCanvasElement ? [picture.width, picture.height] : [1, 1];
}

/**
 * @param {Explanation} explanation
 * @param {string} label
 * @param {'fast' | 'occlusion'} method
 */
function meaningOf({ values }, label, method) {
  const [least, most] = [Math.min(...values), Math.max(...values)].map((value) => value.toFixed(1));
  return method === 'fast'
    ? t`Lit: the parts that speak most for “${label}”. By themselves they have logits from ${least} to ${most}. This map is experimental.`
    : t`Lit: the parts without which “${label}” is less likely. Hidden, they lower the logit by up to ${most}.`;
}
