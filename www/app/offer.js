/** On first visits: a published model in place of the demonstration model, with what it costs. */
import { checkpoints, folderOf } from '../lib/checkpoints.js';
import { cachedModels } from '../siglip.js';
import { h, sheetOf } from '../ui/dom.js';
import { formatBytes } from '../ui/format.js';
import { t } from '../ui/translate.js';
import { byId } from './page.js';
import { changeSettings, readSettings } from './settings.js';
import { formatDuration } from './texts.js';

/** @typedef {import('./model-panel.js').ModelPanel} ModelPanel */
/** @typedef {import('./model-panel.js').Transfer} Transfer */
/** Some browsers estimate the connection, in megabits a second. @typedef {{connection?: {downlink?: number}}} Browser */

document.adoptedStyleSheets.push(
  sheetOf(`.offer { display: grid; gap: .6rem; } .offer .row { flex-wrap: wrap; }`),
);

/** The smallest download among the published models: all of them are better than the demonstration model. */
const [offered] = [...checkpoints].sort((one, other) => one.bytes - other.bytes);
/** A download tells the speed of a connection if it is at least so large, in bytes, and took so long, in milliseconds. */
const [LEAST_BYTES, LEAST_MS] = [1e6, 20];

const text = h('p');
const load = h('button', { className: 'button primary', type: 'button' }, t`Load it`);
const close = h('button', { className: 'button', type: 'button' }, t`Not now`);
const element = h(
  'div',
  { className: 'note offer', hidden: true },
  text,
  h('div', { className: 'row' }, load, close),
);

/**
 * Shows the offer while the demonstration model answers, unless the visitor has closed it or has come for another model.
 * @param {ModelPanel} panel
 * @param {string} wanted the model that the visitor has come for
 */
export async function offerModel(panel, wanted) {
  byId('model-note').after(element);
  load.onclick = () => {
    element.hidden = true;
    panel.load({ model: offered.id, precision: 'q8' });
  };
  close.onclick = () => {
    element.hidden = true;
    changeSettings({ noOffer: true });
    byId('chooser').querySelector('summary')?.focus();
  };
  const [kept, { noOffer }] = await Promise.all([isKept(), readSettings()]);
  text.textContent = kept
    ? t`A published model is on this device: ${offered.label}.`
    : costText(panel.transfer);
  element.hidden = panel.named !== 'tiny' || wanted !== 'tiny' || Boolean(noOffer);
}

const isKept = async () =>
  (await cachedModels()).some(({ model, complete }) => complete && model === folderOf(offered.id));

/** @param {Transfer | undefined} transfer */
function costText(transfer) {
  const size = formatBytes(offered.bytes);
  const ms = timeFor(offered.bytes, transfer, /** @type {Browser} */ (navigator));
  if (!ms) return t`For real use: ${offered.label}, ${size} from huggingface.co, kept on this device.`;
  const time = formatDuration(ms);
  return t`For real use: ${offered.label}, ${size} from huggingface.co, kept on this device. At the speed of this connection it takes about ${time}.`;
}

/**
 * How long a download takes in milliseconds; undefined if nothing tells.
 * @param {number} bytes
 * @param {Transfer | undefined} transfer an earlier download
 * @param {Browser} browser
 */
export function timeFor(bytes, transfer, { connection }) {
  if (transfer && transfer.bytes >= LEAST_BYTES && transfer.ms >= LEAST_MS)
    return (bytes / transfer.bytes) * transfer.ms;
  return connection?.downlink ? (8 * bytes) / (1000 * connection.downlink) : undefined;
}
