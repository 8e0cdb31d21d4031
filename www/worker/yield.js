/** Longest time without a look at the messages, in milliseconds. */
const BREATH = 50;

const channel = new MessageChannel();
let breathed = 0;

/**
 * Lets the messages in that wait.
 * @returns {Promise<unknown>}
 */
export const turn = () =>
  new Promise((resolve) => {
    channel.port1.onmessage = resolve;
    channel.port2.postMessage(0);
  });

/** Lets waiting messages in, where the last look at them is a while ago. */
export async function breathe() {
  if (performance.now() - breathed < BREATH) return;
  await turn();
  breathed = performance.now();
}
