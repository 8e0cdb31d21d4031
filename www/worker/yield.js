/** How a worker that computes for long lets messages in. */

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
