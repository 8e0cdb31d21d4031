/** Sizes, probabilities, times and errors as text. */
import { tinyBytes } from '../addresses.js';
import { checkpoints } from '../lib/checkpoints.js';
import { t } from './translate.js';

/** In decimal units, as the model hub writes sizes. @param {number} bytes */
export function formatBytes(bytes) {
  if (bytes >= 1e9) return `${(bytes / 1e9).toFixed(2)} GB`;
  return bytes >= 1e6 ? `${(bytes / 1e6).toFixed(bytes < 1e8 ? 1 : 0)} MB` : `${Math.ceil(bytes / 1e3)} kB`;
}

/** @param {number} probability */
export function formatPercent(probability) {
  const percent = 100 * probability;
  if (percent > 99.9) return '>99.9%';
  if (percent >= 1) return `${percent.toFixed(1)}%`;
  return percent >= 0.01 ? `${percent.toFixed(2)}%` : '<0.01%';
}

/** What tells the meaning of a score. @typedef {{problemType?: string}} Answerer */

/** Whether scores are any numbers, not probabilities: those of a regression. @param {Answerer} info */
export const isNumber = ({ problemType }) => problemType === 'regression';

/**
 * The share among all labels where it was asked for, otherwise the label's own probability.
 * @param {import('../siglip.js').Score} score
 * @param {Answerer} info of the model that has given it
 */
export const formatScore = ({ score, relative = score }, info) =>
  isNumber(info) ? score.toPrecision(4) : formatPercent(relative);

/** @param {number} ms */
export const formatTime = (ms) => (ms < 1000 ? `${Math.ceil(ms)} ms` : `${(ms / 1000).toFixed(1)} s`);

/** @param {import('../siglip.js').Progress} progress */
export function formatProgress({ phase, loaded, total, ready }) {
  if (phase !== 'download') return phase === 'ready' ? t`Ready.` : t`Preparing the model …`;
  if (!loaded && !total) return t`Loading the model …`;
  if (!total) return t`Loading the model: ${formatBytes(loaded)}`;
  return ready
    ? t`Loading the model (ready for pictures): ${formatBytes(loaded)} of ${formatBytes(total)}`
    : t`Loading the model: ${formatBytes(loaded)} of ${formatBytes(total)}`;
}

/**
 * Shows the progress of a load on a bar. The bar has no value while the total is unknown.
 * @param {HTMLProgressElement} bar
 * @param {import('../siglip.js').Progress} progress
 */
export function showProgress(bar, { phase, loaded, total }) {
  if (phase === 'download' && total) bar.value = loaded / total;
  else bar.removeAttribute('value');
}

/**
 * Bytes to download for a model; undefined if the model is not a published one.
 * @param {string} model
 */
export const downloadSize = (model) =>
  model === 'tiny' ? tinyBytes : checkpoints.find(({ id }) => id === model)?.bytes;

/**
 * An error's kind, and what it says.
 * @param {unknown} error
 * @returns {{code: string, message: string}}
 */
export function describe(error) {
  const { code = 'wasm', message = String(error) } = /** @type {import('../siglip.js').SiglipError} */ (
    error
  );
  return { code, message: sentence(message) };
}

/**
 * A sentence, with a capital and a full stop. A URL or a file name at its start stays as it is.
 * @param {string} text
 */
function sentence(text) {
  const start = text.charAt(0);
  const end = /[.!?…]$/.test(text) ? '' : '.';
  return `${/^(https?:|\S+\.\w)/.test(text) ? start : start.toUpperCase()}${text.slice(1)}${end}`;
}
