/** How a worker that computes for long lets messages in, and how it waits without taking any in. */

/** Longest time without a look at the messages, in milliseconds. */
const LONGEST_STRETCH = 50;

const channel = new MessageChannel();
/** Those that wait for a message, the longest first: a pass and a load may wait at the same time. @type {(() => void)[]} */
const waiting = [];
channel.port1.onmessage = () => waiting.shift()?.();
let lastYield = 0;

/**
 * Resolves when the messages that wait now have been handled.
 * @returns {Promise<void>}
 */
export const yieldToMessages = () =>
  new Promise((resolve) => {
    waiting.push(resolve);
    channel.port2.postMessage(0);
  });

/** Lets waiting messages in, if the last time is a while ago. */
export async function yieldIfDue() {
  if (performance.now() - lastYield < LONGEST_STRETCH) return;
  await yieldToMessages();
  lastYield = performance.now();
}

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
