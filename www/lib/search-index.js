/** Search in pictures of a person's own: an index that is kept on the device. */
import { SiglipError, throwIfAborted } from './errors.js';
import { forget, load, save } from './index-storage.js';
import { failureOf, folderError, isGone, listed } from './indexed-files.js';
import { RemainingTime } from './remaining-time.js';

/** @typedef {import('../worker/protocol.js').IndexRequest} IndexRequest */
/** @typedef {import('../worker/protocol.js').IndexEntry} IndexEntry */
/** @typedef {import('./images.js').ImageInput} ImageInput */
/** @typedef {import('./siglip.js').Siglip} Siglip */
/**
 * What is looked for: a text, an image, or a mixture. Of `text`, `image` and `like`, the name of a picture in the index, any
 * number may be given; the result is unlike the texts of `minus`.
 * @typedef {string | ImageInput | {text?: string | string[], minus?: string | string[], image?: ImageInput, like?: string}} Query
 */
/** A picture found; `score` is the dot product with the query, both of L2 norm 1. @typedef {IndexEntry & {score: number}} Found */
/** A file that is not in the index, and why. @typedef {{name: string, code: string, message: string}} Failure */
/**
 * How far an {@link Indexing} is; `remaining` is an estimate in milliseconds.
 * @typedef {{done: number, total: number, name: string, embedded: number, failed: number, remaining: number}} IndexProgress
 */
/** What was done: files embedded, files that were known, names removed because their files are gone, and failures. @typedef {{embedded: number, known: number, removed: number, failures: Failure[]}} IndexSummary */
/** @typedef {(request: any) => Promise<any>} Ask */
/** What an {@link Indexing} asks of its work, before each picture. @typedef {{proceed: () => Promise<void>, isPaused: () => boolean}} Work */

/** A page that is closed loses at most the work of this time, in milliseconds, if a save takes less than a twentieth of it. */
const SAVE_EVERY = 15_000;
/** The work between two saves takes so many times as long as the first of them. */
const SAVE_SHARE = 20;
/** Bytes of the largest file that is read. */
const LARGEST = 2 ** 29;

/** Files that were opened as indexes. */
let filesOpened = 0;

/**
 * Opens an index. Another tab that has it open makes it `readOnly` here; that of a file always is.
 * @param {Siglip} siglip
 * @param {import('./worker-client.js').WorkerClient} worker
 * @param {string | Blob} [from] its name, or a file, which is not kept
 */
export async function openIndex(siglip, worker, from = 'pictures') {
  if (typeof from === 'string') return openKept(siglip, worker, from);
  const ask = askingOf(worker, `file ${++filesOpened}`);
  await ask({ ask: 'open', model: siglip.info.model, file: from });
  return new SearchIndex(siglip, ask);
}

/**
 * @param {import('./worker-client.js').WorkerClient} worker
 * @param {string} name of the index, for the worker
 * @returns {Ask}
 */
const askingOf = (worker, name) => (request) =>
  worker.call({ method: 'index', parameters: { ...request, name } });

/**
 * Opens an index that is kept on this device.
 * @param {Siglip} siglip
 * @param {import('./worker-client.js').WorkerClient} worker
 * @param {string} name
 */
async function openKept(siglip, worker, name) {
  const { model, embeddingSize, logitScale, logitBias } = siglip.info;
  // Each model has an index of its own: embeddings of two cannot be compared.
  const key = `${encodeURIComponent(name)}@${embeddingSize}_${logitScale?.toFixed(4)}_${logitBias?.toFixed(4)}`;
  const release = await lock(key);
  // A model that is disposed of leaves its indexes to others.
  worker.whileAlive(new Promise(() => {})).catch(() => release?.());
  const ask = askingOf(worker, key);
  /** @type {SiglipError | undefined} */
  let damage;
  try {
    await ask({ ask: 'open', model, file: await load(key) });
  } catch (error) {
    if (!(error instanceof SiglipError && error.code === 'bad-input')) {
      release?.();
      throw error;
    }
    // Pictures can be embedded again: an index that cannot be read must not end the search.
    damage = error;
    await ask({ ask: 'open', model });
  }
  return new SearchIndex(siglip, ask, key, release, damage);
}

/**
 * Keeps other tabs from writing to an index.
 * @param {string} key
 * @returns {Promise<(() => void) | undefined>} releases it; nothing if another tab has it
 */
function lock(key) {
  if (!navigator.locks) return Promise.resolve(() => undefined);
  return new Promise((resolve, reject) => {
    navigator.locks
      .request(`siglip-index:${key}`, { ifAvailable: true }, (lock) => {
        if (!lock) return resolve(undefined);
        return new Promise((release) => resolve(() => release(undefined)));
      })
      .catch(reject);
  });
}

/** An index of pictures, from `siglip.index()`. */
export class SearchIndex {
  #siglip;
  #ask;
  #key;
  #release;

  /**
   * @param {Siglip} siglip
   * @param {Ask} ask
   * @param {string} [key] under which it is kept, if it is
   * @param {() => void} [release] lets another tab change it
   * @param {SiglipError} [damage]
   */
  constructor(siglip, ask, key = '', release, damage) {
    this.#siglip = siglip;
    this.#ask = ask;
    this.#key = key;
    this.#release = release;
    /** Whether it can only be searched: it is that of a file, or another tab is at work on it. */
    this.readOnly = !release;
    /** Why what was kept could not be used, so that the index is empty. */
    this.damage = damage;
  }

  /** The pictures. @returns {Promise<IndexEntry[]>} */
  async entries() {
    return this.#ask({ ask: 'entries' });
  }

  /**
   * Embeds pictures in the background. Files that the index has, by name, length and time or by content, cost nothing, so that
   * the same call goes on after a reload.
   * @param {Iterable<File> | FileSystemDirectoryHandle} files a folder's picture names are paths in it
   * @param {{onProgress?: (progress: IndexProgress) => void, signal?: AbortSignal, removeMissing?: boolean}} [options]
   *   `removeMissing` removes the pictures that are not among these files
   * @returns {Indexing}
   */
  add(files, options = {}) {
    return new Indexing((work) => this.#add(files, options, work), options.signal);
  }

  /**
   * The pictures that fit a query best, best first.
   * @param {Query} query
   * @param {{topK?: number, signal?: AbortSignal}} [options]
   * @returns {Promise<Found[]>}
   */
  async search(query, { topK = 20, signal } = {}) {
    if (!(Number.isInteger(topK) && topK > 0)) {
      throw new SiglipError('bad-input', `topK is a whole number from 1 on, not ${topK}.`);
    }
    const isParts = !!query && Object.getPrototypeOf(query) === Object.prototype;
    /** @type {{text?: string | string[], minus?: string | string[], image?: ImageInput, like?: string}} */
    const { text, minus, image, like } = isParts
      ? /** @type {any} */ (query)
      : typeof query === 'string'
        ? { text: query }
        : { image: query };
    const parts = [];
    for (const { list, weight } of [
      { list: text, weight: 1 },
      { list: minus, weight: -1 },
    ]) {
      for (const text of [list ?? []].flat()) {
        parts.push({ embedding: await this.#embedText(text, signal), weight });
      }
    }
    if (image) parts.push({ embedding: await this.#siglip.embedImage(image, { signal }), weight: 1 });
    if (like !== undefined) parts.push({ like, weight: 1 });
    throwIfAborted(signal);
    return this.#ask({ ask: 'search', parts, count: topK });
  }

  /**
   * Removes pictures. Returns how many were there.
   * @param {string | string[]} names
   * @returns {Promise<number>}
   */
  async remove(names) {
    this.#checkWritable();
    const removed = await this.#ask({ ask: 'remove', names: [names].flat() });
    await this.#save();
    return removed;
  }

  /**
   * Groups of names of pictures that are nearly the same: whose embeddings' cosine is at least `threshold`. Every picture is
   * compared with every other, in steps: other calls are answered meanwhile.
   * @param {number} [threshold]
   * @param {{signal?: AbortSignal, onProgress?: (share: number) => void}} [options] `onProgress` hears the share that is done
   * @returns {Promise<string[][]>}
   */
  async duplicates(threshold = 0.95, { signal, onProgress } = {}) {
    if (!(threshold > 0 && threshold <= 1)) {
      throw new SiglipError('bad-input', `threshold is a cosine above 0, up to 1, not ${threshold}.`);
    }
    let answer = await this.#ask({ ask: 'duplicates', threshold });
    while (typeof answer === 'number') {
      onProgress?.(answer);
      throwIfAborted(signal);
      answer = await this.#ask({ ask: 'duplicates' });
    }
    return answer;
  }

  /** The index as the file that `siglip search` answers from. */
  async export() {
    return /** @type {Promise<Blob>} */ (this.#ask({ ask: 'file' }));
  }

  /** The embeddings as NumPy's float32 of shape [pictures, values], and their names. */
  async exportNpy() {
    const names = (await this.entries()).map(({ name }) => name);
    return { npy: /** @type {Blob} */ (await this.#ask({ ask: 'npy' })), names };
  }

  /**
   * Adds what {@link export} or `siglip index` has written, or rows of an .npy of float32 under these names.
   * @param {Blob} file
   * @param {string[]} [names] of an .npy
   */
  async import(file, names) {
    this.#checkWritable();
    await this.#ask({ ask: 'add-file', model: this.#siglip.info.model, file, names });
    await this.#save();
  }

  /** Ends the work on it, so that another tab may begin. What is stored stays. */
  async close() {
    await this.#ask({ ask: 'close' });
    this.#release?.();
  }

  /** Removes it from this device. */
  async delete() {
    this.#checkWritable();
    await this.close();
    await forget(this.#key);
  }

  #checkWritable() {
    if (!this.readOnly) return;
    const ofFile =
      'An index that was opened from a file is only searched. To change it, open one by name, such as siglip.index("pictures"), and import the file.';
    const elsewhere =
      'Another tab is at work on this index, or this page has opened it twice. It can be searched here; to change it, close it there first.';
    throw new SiglipError('bad-input', this.#key ? elsewhere : ofFile);
  }

  async #save() {
    await save(this.#key, await this.#ask({ ask: 'file' }));
  }

  /** As {@link #save}. Where there is no room the work goes on: what it ends with is stored again, or its failure told. */
  async #saveMeanwhile() {
    await this.#save().catch((error) => {
      if (error.code !== 'quota') throw error;
    });
  }

  /**
   * @param {string} text
   * @param {AbortSignal} [signal]
   */
  async #embedText(text, signal) {
    const embedding = await this.#siglip.embedText(text, { signal });
    if (Number.isFinite(this.#siglip.info.logitScale)) {
      const [{ unknown }] = await this.#siglip.score(embedding, [text], { template: '{}', signal });
      if (unknown) {
        const words = unknown.join(', ');
        throw new SiglipError(
          'bad-input',
          `The model cannot read ${words}: use other words, or another model.`,
        );
      }
    }
    return embedding;
  }

  /**
   * @param {Iterable<File> | FileSystemDirectoryHandle} files
   * @param {{onProgress?: (progress: IndexProgress) => void, removeMissing?: boolean}} options
   * @param {Work} work
   * @returns {Promise<IndexSummary>}
   */
  async #add(files, { onProgress, removeMissing }, work) {
    this.#checkWritable();
    const list = await listed(files).catch((error) => {
      throw folderError(error);
    });
    /** @type {IndexSummary} */
    const summary = { embedded: 0, known: 0, removed: 0, failures: [] };
    const present = new Set();
    let [saved, done, saveEvery] = [performance.now(), 0, SAVE_EVERY];
    const time = new RemainingTime(saved);
    // Whoever pauses or leaves the page may not come back to it.
    const saveSoon = () => void (saved = -Infinity);
    globalThis.document?.addEventListener('visibilitychange', saveSoon);
    try {
      const add = async (/** @type {{name: string, file: () => Promise<File>}} */ { name, file }) => {
        try {
          if (await this.#bringUpToDate(name, file)) summary.embedded++;
          else summary.known++;
          present.add(name);
        } catch (error) {
          const { code, message } = failureOf(error);
          summary.failures.push({ name, code, message });
          // A file that is there and cannot be read now may be readable later.
          if (code === 'not-found' && !isGone(error)) present.add(name);
        }
        done++;
        const total = list.length;
        const remaining = time.next(performance.now(), total - done);
        const { embedded, failures } = summary;
        onProgress?.({ done, total, name, embedded, failed: failures.length, remaining });
      };
      while (done < list.length) {
        const stopped = performance.now();
        if (work.isPaused()) await this.#saveMeanwhile();
        await work.proceed();
        time.pause(performance.now() - stopped);
        // As many as a GPU takes in one pass.
        const atOnce = this.#siglip.info.device === 'gpu' ? 8 : 1;
        await Promise.all(list.slice(done, done + atOnce).map(add));
        const now = performance.now();
        if (now - saved > saveEvery) {
          await this.#saveMeanwhile();
          saved = performance.now();
          saveEvery = Math.max(SAVE_EVERY, SAVE_SHARE * (saved - now));
        }
      }
      if (removeMissing) {
        const names = (await this.entries()).map(({ name }) => name).filter((name) => !present.has(name));
        summary.removed = await this.#ask({ ask: 'remove', names });
      }
    } finally {
      globalThis.document?.removeEventListener('visibilitychange', saveSoon);
      // What was done before a cancel is kept as well.
      await this.#save();
    }
    return summary;
  }

  /**
   * @param {string} name
   * @param {() => Promise<File>} open
   * @returns {Promise<boolean>} whether the picture was embedded
   */
  async #bringUpToDate(name, open) {
    const file = await open();
    const known = { name, bytes: file.size, modified: file.lastModified };
    if (await this.#ask({ ask: 'has', file: known })) return false;
    if (file.size > LARGEST) {
      throw new SiglipError('bad-input', `A file of ${file.size} bytes is too large; ${LARGEST} are read.`);
    }
    // Without a secure context there are no hashes: moved files are embedded again.
    const digest = await globalThis.crypto?.subtle?.digest('SHA-256', await file.arrayBuffer());
    const entry = { ...known, hash: new Uint8Array(digest ?? []) };
    if (digest && (await this.#ask({ ask: 'add', file: entry }))) return false;
    await this.#ask({ ask: 'add', file: entry, embedding: await this.#siglip.embedImage(file) });
    return true;
  }
}

/** Pictures that are being embedded. `finished` rejects as aborted after {@link cancel}. */
export class Indexing {
  #cancelled = new AbortController();
  /** @type {Promise<void> | undefined} */
  #paused;
  #resume = () => {};

  /**
   * @param {(work: Work) => Promise<IndexSummary>} run
   * @param {AbortSignal} [signal]
   */
  constructor(run, signal) {
    const proceed = async () => {
      await this.#paused;
      throwIfAborted(signal);
      throwIfAborted(this.#cancelled.signal);
    };
    signal?.addEventListener('abort', () => this.resume());
    /** The outcome. */
    this.finished = run({ proceed, isPaused: () => this.paused });
    // Who only watches the progress need not handle a cancel.
    this.finished.catch(() => undefined);
  }

  /** Whether it waits for {@link resume}. */
  get paused() {
    return !!this.#paused;
  }

  /** Stops after the picture at hand. */
  pause() {
    this.#paused ??= new Promise((resolve) => {
      this.#resume = resolve;
    });
  }

  /** Goes on. */
  resume() {
    this.#paused = undefined;
    this.#resume();
  }

  /** Ends the work. What is done stays in the index. */
  cancel() {
    this.#cancelled.abort();
    this.resume();
  }
}
