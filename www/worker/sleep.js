/** How a worker waits without taking messages in. */

/** A word of shared memory that nobody writes or notifies. No page header is needed: it is never sent. */
const word = sharedWord();

function sharedWord() {
  try {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
    return new Int32Array(memory.buffer);
  } catch {
    return undefined;
  }
}

/**
 * Blocks this worker for a third of a millisecond; undefined in a browser where workers cannot block. A worker that
 * waits for a message goes on receiving from the network without bound; a blocked one does not.
 */
export const sleep = word && (() => Atomics.wait(word, 0, 0, 0.3));
