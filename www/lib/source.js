/** Which files of a checkpoint a load takes: google's, or smaller ones that others have made of them. */
import { checkpoints, folderOf, smallOf } from './checkpoints.js';
import { SiglipError } from './errors.js';

/** @typedef {import('./parameters.js').LoadOptions} LoadOptions */
/** What there is to choose from, in bytes to download. @typedef {{model: string, original: number, small: number}} SourceChoice */
/**
 * What the Network Information API tells of a connection, where a browser has it.
 * @typedef {{saveData?: boolean, type?: string, effectiveType?: string, downlink?: number}} Connection
 */

/**
 * Whether a large download is unwelcome. Chromium has a `downlink` of 1.4 to 2.6 Mbit/s as long as it has measured nothing, so
 * only less than that tells of a slow connection.
 * @param {Connection | undefined} connection
 */
export const isCostly = ({ saveData, type, effectiveType, downlink = Infinity } = {}) =>
  !!saveData ||
  type === 'cellular' ||
  ['slow-2g', '2g', '3g'].includes(/** @type {string} */ (effectiveType)) ||
  downlink < 1;

/**
 * The model to load in place of one that was named.
 * @param {string | File | File[]} model
 * @param {LoadOptions} options
 */
export async function sourced(model, { source, chooseSource = confirmed, baseUrl }) {
  if (source === 'original') return model;
  const small = typeof model === 'string' ? smallOf(model) : undefined;
  if (source === 'small') {
    if (small) return small;
    const what = typeof model === 'string' ? model : 'these';
    throw new SiglipError('bad-input', `No smaller files of ${what} are known; take source "original".`);
  }
  if (source !== 'auto') {
    throw new SiglipError('bad-input', `source is "auto", "original" or "small", not "${source}".`);
  }
  const { connection } = /** @type {{connection?: Connection}} */ (globalThis.navigator ?? {});
  if (!small || !isCostly(connection)) return model;
  const models = /** @type {[string, string]} */ ([small, model]);
  // What is on the device costs nothing.
  const { cachedModels } = await import('./model-cache.js');
  const kept = await cachedModels().catch(() => []);
  const here = models.find((each) =>
    kept.some((entry) => entry.complete && entry.model === folderOf(each, baseUrl)),
  );
  if (here) return here;
  const [smallBytes, original] = models.map((each) => checkpoints.find(({ id }) => id === each)?.bytes ?? 0);
  const chosen = await chooseSource({ model: models[1], original, small: smallBytes });
  if (chosen === 'small') return small;
  if (chosen === 'original') return model;
  throw new SiglipError('aborted', 'Neither the original nor the small files were chosen.');
}

/**
 * The choice in one sentence.
 * @param {SourceChoice} choice
 */
const questionAbout = ({ original, small }) =>
  `This connection is metered or slow: load the same model in 8 bits, ${megabytes(small)} in place of ${megabytes(original)}, a little less exact?`;

/** Asks in the browser's own dialog, where there is one. @param {SourceChoice} choice @returns {'small' | 'original'} */
const confirmed = (choice) => (globalThis.confirm?.(questionAbout(choice)) ? 'small' : 'original');

/** @param {number} bytes */
const megabytes = (bytes) => `${Math.round(bytes / 1e6)} MB`;
