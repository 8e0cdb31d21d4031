// What the workers of both engines share: the protocol with the page, and statistics.
let resume;
/** Tells the page that a phase begins, and waits until it has reset the peak of memory. */
export const phase = (name) =>
  new Promise((go) => {
    resume = go;
    postMessage({ phase: name });
  });
export const stats = (a) => {
  const s = [...a].sort((x, y) => x - y);
  return {
    median: +s[s.length >> 1].toFixed(1),
    min: +s[0].toFixed(1),
    max: +s.at(-1).toFixed(1),
    n: s.length,
  };
};
export const time = async (f, n) => {
  const a = [];
  for (let i = 0; i < n; i++) {
    const t = performance.now();
    await f();
    a.push(performance.now() - t);
  }
  return a;
};
/** A picture of this side, and ids of `n` labels. */
export const pixels = (size) =>
  Float32Array.from({ length: 3 * size * size }, (_, i) => Math.sin(i * 0.37) * 0.9);
export const ids = (n, length, vocab) =>
  Array.from({ length: n * length }, (_, i) => (i % length < 8 ? 3 + ((i * 7919) % (vocab - 3)) : 1));
/** Answers the page with what `run` makes of its options. */
export function answerWith(run) {
  onmessage = async ({ data }) => {
    if (data === 'go') return resume();
    try {
      postMessage(await run(data));
    } catch (e) {
      postMessage({ error: String(e?.stack || e) });
    }
  };
}
