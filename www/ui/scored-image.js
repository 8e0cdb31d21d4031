/** @typedef {import('../siglip.js').Siglip} Siglip */
/** @typedef {import('../siglip.js').Score} Score */
/** @typedef {import('../siglip.js').ScoreOptions} ScoreOptions */

/** What each model has to do before the next picture: taking turns, every picture is scored before the next is seen. */
const turns = /** @type {WeakMap<Siglip, Promise<unknown>>} */ (new WeakMap());

/** A picture that is seen once by each model and scored as often as the labels change. */
export class Picture {
  #life = new AbortController();
  #scoring = new AbortController();
  /** @type {{siglip: Siglip, embedding: Float32Array, ms: number} | undefined} */
  #seen;

  /** @param {Blob | string} source a file or a URL */
  constructor(source) {
    this.source = source;
    this.name = nameOf(source);
    /** For an <img>. */
    this.url = typeof source === 'string' ? source : URL.createObjectURL(source);
  }

  /**
   * Scores the labels; the scoring before, if it is still under way, is rejected as aborted.
   * @param {Siglip} siglip
   * @param {string[]} labels
   * @param {ScoreOptions} options
   * @returns {Promise<{scores: Score[], seenMs: number, scoredMs: number}>} how long the picture has taken, once a
   *   model, and how long the labels
   */
  score(siglip, labels, options) {
    this.#scoring.abort();
    const { signal } = (this.#scoring = new AbortController());
    const scored = this.#inTurn(turns.get(siglip), siglip, labels, { ...options, signal });
    const over = scored.then(
      () => {},
      () => {},
    );
    turns.set(siglip, over);
    return scored;
  }

  /**
   * @param {Promise<unknown> | undefined} turn
   * @param {Siglip} siglip
   * @param {string[]} labels
   * @param {ScoreOptions} options
   */
  async #inTurn(turn, siglip, labels, options) {
    await turn;
    if (this.#seen?.siglip !== siglip) {
      const start = performance.now();
      // Its own signal: new labels do not make the picture a new one.
      const embedding = await siglip.embedImage(this.source, { signal: this.#life.signal });
      this.#seen = { siglip, embedding, ms: performance.now() - start };
    }
    const { embedding, ms } = this.#seen;
    const start = performance.now();
    const scores = await siglip.score(embedding, labels, options);
    return { scores, seenMs: ms, scoredMs: performance.now() - start };
  }

  /** Ends what is under way. */
  release() {
    this.#life.abort();
    this.#scoring.abort();
    if (typeof this.source !== 'string') URL.revokeObjectURL(this.url);
  }
}

/** @param {Blob | string} source */
function nameOf(source) {
  if (source instanceof File) return source.name;
  if (typeof source !== 'string' || /^(blob|data):/.test(source)) return 'picture';
  return source.split(/[?#]/)[0].split('/').filter(Boolean).pop() ?? source;
}

/**
 * The pictures in what was dropped or pasted: files, or else an address.
 * @param {DataTransfer | null} data
 * @returns {(File | string)[]}
 */
export function picturesIn(data) {
  if (data?.files.length) return [...data.files];
  const text = data?.getData('text/uri-list') || data?.getData('text/plain') || '';
  return text.split(/\s+/, 1).filter((url) => /^(https?:\/\/|data:image\/)/.test(url));
}
