/** Errors of a worker. The page makes a SiglipError of each. */

import { memory } from './memory.js';

/** @typedef {import('./protocol.js').ErrorMessage} ErrorMessage */

/**
 * The engine cannot run.
 * @param {string} message
 * @param {unknown} [cause]
 */
export const wasmError = (message, cause) => Object.assign(new Error(message, { cause }), { code: 'wasm' });

/**
 * An error as the page gets it: with a code, and with a way out.
 * @param {any} error what was thrown, by the engine, the platform or this project's scripts
 * @returns {ErrorMessage}
 */
export function errorMessageOf(error) {
  if (error?.code && typeof error.code === 'string') {
    // What an error is enumerates neither its message nor its stack.
    return { ...error, message: error.message };
  }
  if (error?.name === 'AbortError') return { code: 'aborted', message: 'The call was aborted.' };
  if (error instanceof RangeError) {
    return { code: 'out-of-memory', message: `There is not enough memory for this: ${error.message}.` };
  }
  if (error instanceof WebAssembly.RuntimeError && memory.wasRefused()) {
    const message =
      'There is not enough memory, and the engine has stopped. Load the model again, or a smaller one.';
    return { code: 'out-of-memory', message };
  }
  return {
    code: 'wasm',
    message: `The engine has failed: ${error?.message ?? error}. Load the model again.`,
  };
}

/**
 * Tells the worker that has started this one why it failed.
 * @param {unknown} error
 */
export const reportFailure = (error) =>
  postMessage(
    /** @type {import('./protocol.js').FailedMessage} */ ({ type: 'failed', error: errorMessageOf(error) }),
  );
