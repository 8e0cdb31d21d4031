/** Errors of the library, and calls that can be aborted. */

/** @typedef {'network' | 'not-found' | 'integrity' | 'unsupported-model' | 'bad-weights' | 'bad-image' | 'bad-input' | 'quota' | 'out-of-memory' | 'aborted' | 'wasm'} ErrorCode */

/** An error of this library. If a call was aborted, its name is `AbortError`, as in the web platform. */
export class SiglipError extends Error {
  /** Whether another decoder may be able to read the image. @type {boolean | undefined} */
  unsupportedFormat;
  /** Whether the module for rare formats can read the image. @type {boolean | undefined} */
  rareFormat;
  /** Whether the image is damaged. @type {boolean | undefined} */
  broken;

  /**
   * @param {ErrorCode} code the kind of failure, for programs
   * @param {string} message the failure and the way out, for people
   * @param {unknown} [cause] the error behind this one
   */
  constructor(code, message, cause) {
    super(message, { cause });
    this.name = code === 'aborted' ? 'AbortError' : 'SiglipError';
    /** @type {ErrorCode} */
    this.code = code;
  }
}

/** @param {AbortSignal} signal */
const reasonOf = ({ reason }) =>
  reason instanceof SiglipError ? reason : new SiglipError('aborted', 'The call was aborted.', reason);

/** @param {AbortSignal | undefined} signal */
export const throwIfAborted = (signal) => {
  if (signal?.aborted) throw reasonOf(signal);
};

/**
 * Settles as `promise` does, or rejects as soon as one of the signals fires.
 * @template T
 * @param {Promise<T>} promise
 * @param {...(AbortSignal | undefined)} signals
 * @returns {Promise<T>}
 */
export async function abortable(promise, ...signals) {
  const listening = new AbortController();
  const aborted = new Promise((_, reject) => {
    for (const signal of signals) {
      if (signal?.aborted) reject(reasonOf(signal));
      signal?.addEventListener('abort', () => reject(reasonOf(signal)), { signal: listening.signal });
    }
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    listening.abort();
  }
}
