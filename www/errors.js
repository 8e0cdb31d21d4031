/** @typedef {'network' | 'not-found' | 'integrity' | 'unsupported-model' | 'bad-weights' | 'bad-image' | 'bad-input' | 'quota' | 'out-of-memory' | 'aborted' | 'wasm'} ErrorCode */

/** Every failure of this library. An aborted call's is named `AbortError`, as the platform's own are. */
export class SiglipError extends Error {
  /**
   * @param {ErrorCode} code what kind of failure, for programs
   * @param {string} message what happened and what to do, for people
   * @param {unknown} [cause] what it came from
   */
  constructor(code, message, cause) {
    super(message, { cause });
    this.name = code === 'aborted' ? 'AbortError' : 'SiglipError';
    /** @type {ErrorCode} */
    this.code = code;
    /** Whether another decoder may read the picture. @type {boolean | undefined} */
    this.unsupportedFormat = undefined;
  }
}

/** @param {AbortSignal | undefined} signal */
export const throwIfAborted = (signal) => {
  if (signal?.aborted) throw new SiglipError('aborted', 'The call was aborted.', signal.reason);
};

/**
 * Settles as `promise` does, or at once when the caller aborts.
 * @template T
 * @param {Promise<T>} promise
 * @param {AbortSignal | undefined} signal
 * @returns {Promise<T>}
 */
export async function abortable(promise, signal) {
  if (!signal) return promise;
  /** @type {() => void} */
  let abort = () => {};
  const aborted = new Promise((_, reject) => {
    abort = () => reject(new SiglipError('aborted', 'The call was aborted.', signal.reason));
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort);
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
