/** Models that several parts of a page share. */
import { isHubId, isOnnxRepository } from '../lib/checkpoints.js';
import { Siglip } from '../lib/siglip.js';

/** @typedef {import('../siglip.js').LoadOptions} LoadOptions */
/** @typedef {Pick<LoadOptions, 'onProgress' | 'onNotice'>} Borrower */
/**
 * @typedef {object} Loan
 * @property {Promise<Siglip>} siglip may still wait for its text tower: see {@link Siglip.whole}
 * @property {() => void} release gives the model back
 * @property {() => void} retire takes the model out of the pool: its worker has died, and the next borrower needs a new one
 */

/**
 * @typedef {object} Shared
 * @property {Set<Borrower>} borrowers
 * @property {AbortController} loading
 * @property {Promise<Siglip>} siglip
 */

/** @type {Map<string | symbol, Shared>} */
const pool = new Map();

/**
 * A model shared by all borrowers on the page that ask for the same one. It is disposed of when the last one has
 * released it.
 * @param {string | File[]} model files are never shared: nothing tells whether other files are the same
 * @param {Pick<LoadOptions, 'source' | 'precision' | 'workers' | 'device' | 'imageSize' | 'maxPatches' | 'workerUrl' | 'towers'>} options by all borrowers in the same order
 * @param {Borrower} borrower gets the reports of the load
 * @returns {Loan}
 */
export function borrow(model, options, borrower) {
  const keyOf = (/** @type {LoadOptions} */ options) =>
    typeof model === 'string' ? JSON.stringify([model, options]) : Symbol('files');
  const key = keyOf(options);
  // A model with both towers does what one of them does.
  const shared =
    pool.get(keyOf({ ...options, towers: undefined })) ?? pool.get(key) ?? load(key, model, options);
  shared.borrowers.add(borrower);
  const release = () => {
    if (!shared.borrowers.delete(borrower) || shared.borrowers.size) return;
    forget(shared);
    shared.loading.abort();
    shared.siglip.then((siglip) => siglip.dispose()).catch(() => {});
  };
  return { siglip: shared.siglip, release, retire: () => forget(shared) };
}

/** @param {Shared} shared */
function forget(shared) {
  for (const [key, pooled] of pool) if (pooled === shared) pool.delete(key);
}

/**
 * @param {string | symbol} key
 * @param {string | File[]} model
 * @param {LoadOptions} options
 */
function load(key, model, options) {
  const borrowers = new Set();
  const loading = new AbortController();
  // Of a single file at a hub the sha256 is known, which could not be checked if it came in parts.
  const isWhole =
    model === 'tiny' || (options.source !== 'small' && isHubId(model) && !isOnnxRepository(model));
  const siglip = Siglip.load(model, {
    ...options,
    ready: isWhole ? 'both' : 'image',
    signal: loading.signal,
    onProgress: (progress) => borrowers.forEach((borrower) => borrower.onProgress?.(progress)),
    onNotice: (notice) => borrowers.forEach((borrower) => borrower.onNotice?.(notice)),
  });
  const shared = { borrowers, loading, siglip };
  pool.set(key, shared);
  siglip.catch(() => forget(shared));
  return shared;
}
