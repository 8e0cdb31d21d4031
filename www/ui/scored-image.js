import { h } from './dom.js';
import { t } from './translate.js';

/** @typedef {import('../siglip.js').Siglip} Siglip */
/** @typedef {import('../siglip.js').Score} Score */
/** @typedef {import('../siglip.js').ScoreOptions} ScoreOptions */
/** @typedef {import('../siglip.js').Notice} Notice */

/** What is to be done for a picture. @typedef {{picture: Element, run: () => Promise<void>}} Turn */
/**
 * What each model has still to do. It embeds and scores one image before it begins the next, so results appear one by one:
 * first those of pictures in view.
 */
const queues = /** @type {WeakMap<Siglip, Turn[]>} */ (new WeakMap());

/** @param {Siglip} siglip @param {Turn[]} queue */
async function takeTurns(siglip, queue) {
  // Elements that have got the model at the same time have all asked by then.
  await null;
  while (queue[0]) {
    const next = queue.findIndex(({ picture }) => isInView(picture));
    await queue.splice(Math.max(0, next), 1)[0].run();
  }
  queues.delete(siglip);
}

/** @param {Element} picture */
function isInView(picture) {
  const { top, bottom } = picture.getBoundingClientRect();
  return bottom > 0 && top < innerHeight;
}

/** An image that each model embeds once, and that is scored again whenever the labels change. */
export class ScoredImage {
  #life = new AbortController();
  #scoring = new AbortController();
  /** By model: the present one answers while the next one embeds. @type {WeakMap<Siglip, {embedding: Float32Array, notices: Notice[], ms: number}>} */
  #embedded = new WeakMap();
  #picture = h('img', { decoding: 'async' });
  /** The picture, as the browser shows it, or else as the model's decoders do. */
  element = h('div', {}, this.#picture);

  /** @param {Blob | string} source a file or a URL */
  constructor(source) {
    this.source = source;
    this.name = nameOf(source);
    const url = typeof source === 'string' ? source : URL.createObjectURL(source);
    const unseen = h('p', { className: 'unseen' }, t`No preview of ${this.name}`);
    const onerror = () => this.#picture.replaceWith(unseen);
    Object.assign(this.#picture, { src: url, alt: this.name, onerror });
  }

  /** In place of what the browser shows, or does not. @param {ImageBitmap} preview */
  #show(preview) {
    const { width, height } = preview;
    const canvas = h('canvas', { width, height, role: 'img', ariaLabel: this.name });
    canvas.getContext('bitmaprenderer')?.transferFromImageBitmap(preview);
    this.element.replaceChildren(canvas);
  }

  /**
   * Scores the labels. A call before this one that has not ended is rejected as aborted.
   * @param {Siglip} siglip
   * @param {import('../lib/siglip.js').Labels | undefined} labels those of a bundle if they are left out
   * @param {ScoreOptions} options
   * @returns {Promise<{scores: Score[], notices: Notice[], embeddingMs: number, scoringMs: number}>} with what
   *   is wrong with the file, the time that the model took to embed the image, perhaps in an earlier call, and the time
   *   it took for the labels
   */
  score(siglip, labels, options) {
    this.#scoring.abort();
    const { signal } = (this.#scoring = new AbortController());
    return this.#inTurn(siglip, async () => {
      const { embedding, notices, ms } = await this.#embed(siglip);
      const start = performance.now();
      const scores = await siglip.score(embedding, labels, { ...options, signal });
      return { scores, notices, embeddingMs: ms, scoringMs: performance.now() - start };
    });
  }

  /** Embeds the image while the model's text tower arrives. @param {Siglip} siglip */
  prepare(siglip) {
    const { info } = siglip;
    // A failure is that of the next score too, which is shown.
    this.#inTurn(siglip, async () => info.ready !== info.towers && this.#embed(siglip)).catch(() => {});
  }

  /**
   * Runs `work` when it is this image's turn.
   * @template T
   * @param {Siglip} siglip
   * @param {() => Promise<T>} work
   * @returns {Promise<T>}
   */
  #inTurn(siglip, work) {
    return new Promise((resolve, reject) => {
      const queue = queues.get(siglip) ?? [];
      if (!queues.has(siglip)) {
        queues.set(siglip, queue);
        takeTurns(siglip, queue);
      }
      queue.push({ picture: this.element, run: () => work().then(resolve, reject) });
    });
  }

  /** The embedding, made on the first call. @param {Siglip} siglip */
  async #embed(siglip) {
    const known = this.#embedded.get(siglip);
    if (known) return known;
    const start = performance.now();
    /** @type {Notice[]} */
    const notices = [];
    // A signal of its own: when the labels change, the image stays the same.
    const embedding = await siglip.embedImage(this.source, {
      signal: this.#life.signal,
      onNotice: (notice) => notices.push(notice),
      onPreview: (preview) => this.#show(preview),
    });
    const embedded = { embedding, notices, ms: performance.now() - start };
    this.#embedded.set(siglip, embedded);
    return embedded;
  }

  /** Aborts the running calls and frees the URL. */
  release() {
    this.#life.abort();
    this.#scoring.abort();
    if (typeof this.source !== 'string') URL.revokeObjectURL(this.#picture.src);
  }
}

/** @param {Blob | string} source */
function nameOf(source) {
  if (source instanceof File) return source.name;
  if (typeof source !== 'string' || /^(blob|data):/.test(source)) return 'picture';
  return source.split(/[?#]/)[0].split('/').filter(Boolean).pop() ?? source;
}

/**
 * The images in a drop or a paste: its files, or else a URL.
 * @param {DataTransfer | null} data
 * @returns {(File | string)[]}
 */
export function imagesIn(data) {
  if (data?.files.length) return [...data.files];
  const text = data?.getData('text/uri-list') || data?.getData('text/plain') || '';
  return text.split(/\s+/, 1).filter((url) => /^(https?:\/\/|data:image\/)/.test(url));
}
