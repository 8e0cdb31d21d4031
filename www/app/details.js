/** In the panel of the model: timings, memory and device, for those who look. */
import { h, sheetOf } from '../ui/dom.js';
import { formatBytes, formatTime } from '../ui/format.js';
import { t } from '../ui/translate.js';
import { deviceText } from './device-choice.js';
import { byId } from './page.js';

/** @typedef {import('./model-panel.js').ModelPanel} ModelPanel */
/** @typedef {import('./card.js').Card} Card */

document.adoptedStyleSheets.push(
  sheetOf(`
.details dl { display: grid; grid-template-columns: auto minmax(0, 1fr); gap: .3rem 1rem; margin: 0; padding-top: .75rem; font-size: .875rem; }
.details dt { color: var(--muted); }
.details dd { margin: 0; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
`),
);

const list = h('dl');
const element = h('details', { className: 'details' }, h('summary', {}, t`Timings and memory`), list);

/**
 * Shows the details of the model that answers. They are read anew whenever the visitor opens them.
 * @param {ModelPanel} panel
 * @param {() => Card[]} cards
 */
export function showDetails(panel, cards) {
  byId('kept').after(element);
  element.ontoggle = () => show(panel, cards());
  show(panel, cards());
}

/** @param {ModelPanel} panel @param {Card[]} cards */
async function show(panel, cards) {
  if (!element.open) return;
  list.replaceChildren(...(await rowsOf(panel, cards)).flatMap(row));
  // The browser may take its time to count.
  const last = list.lastChild;
  const bytes = await memoryOfPage();
  if (bytes && list.lastChild === last) list.append(...row([t`Memory of the page`, formatBytes(bytes)]));
}

/** @param {[string, string]} row */
const row = ([name, value]) => [h('dt', {}, name), h('dd', {}, value)];

/** @param {ModelPanel} panel @param {Card[]} cards @returns {Promise<[string, string][]>} */
async function rowsOf({ siglip, transfer, loadMs }, cards) {
  if (!siglip) return [];
  const { info } = siglip;
  const times = cards.flatMap(({ times }) => times ?? []);
  const { usage, quota } = (await navigator.storage?.estimate?.().catch(() => undefined)) ?? {};
  const { imageSize, contextLength, embeddingSize } = info;
  return [
    [t`Model`, info.model],
    ...when(loadMs, (ms) => [t`Ready after`, formatTime(ms)]),
    ...when(transfer, ({ bytes, ms }) => [t`Downloaded`, t`${formatBytes(bytes)} in ${formatTime(ms)}`]),
    ...when(times.length, (count) => [
      t`Pictures`,
      t`${count}; the median takes ${formatTime(median(times.map(({ embeddingMs }) => embeddingMs)))}`,
    ]),
    ...when(times.length, () => [
      t`Labels, in the median`,
      formatTime(median(times.map(({ scoringMs }) => scoringMs))),
    ]),
    [t`Device`, deviceText(info)],
    [t`Engine`, info.backend],
    [t`Shared memory`, crossOriginIsolated ? t`yes` : t`no: the page is not cross-origin isolated`],
    [t`Weights`, formatBytes(info.bytes)],
    ...when(usage !== undefined && quota, (quota) => [
      t`Storage`,
      t`${formatBytes(usage ?? 0)} used, ${formatBytes(quota)} allowed`,
    ]),
    [
      t`Reads`,
      contextLength
        ? t`pictures of ${imageSize} px, texts of ${contextLength} tokens`
        : t`pictures of ${imageSize} px`,
    ],
    [t`Embeddings`, t`${embeddingSize} numbers`],
    ...when(info.logitScale, (scale) => [
      t`Scale and bias`,
      `${scale.toPrecision(4)}, ${info.logitBias?.toPrecision(4)}`,
    ]),
  ];
}

/**
 * A row, if there is a value for it.
 * @template T
 * @param {T | undefined | false | 0} value
 * @param {(value: T) => [string, string]} row
 * @returns {[string, string][]}
 */
const when = (value, row) => (value ? [row(value)] : []);

/** @param {number[]} values */
const median = (values) => [...values].sort((one, other) => one - other)[values.length >> 1];

/** All memory of the page with its workers, where the browser tells: on isolated pages in Chromium. */
async function memoryOfPage() {
  const { measureUserAgentSpecificMemory: measure } = /** @type {any} */ (performance);
  return /** @type {number | undefined} */ ((await measure?.call(performance).catch(() => undefined))?.bytes);
}
