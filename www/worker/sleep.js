/**
 * Sleep for a worker. One that waits for a message takes in whatever the network brings in the meantime, without bound;
 * one that is asleep does not.
 */

/** A word that nobody changes, to sleep over: shared memory, which no page header is needed for as long as it stays here. */
const word = sharedWord();

function sharedWord() {
  try {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
    return new Int32Array(memory.buffer);
  } catch {
    return undefined;
  }
}

/** Sleeps for a third of a millisecond; undefined where the browser lets no worker sleep. */
export const nap = word && (() => Atomics.wait(word, 0, 0, 0.3));
