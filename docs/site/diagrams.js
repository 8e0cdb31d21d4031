/** Draws the diagrams, on the pages that have some. */

const diagrams = document.querySelectorAll('pre.mermaid');
if (diagrams.length) {
  const script = document.createElement('script');
  script.src = new URL('mermaid.tiny.js', import.meta.url).href;
  await new Promise((resolve, reject) => {
    script.onload = resolve;
    script.onerror = reject;
    document.head.append(script);
  });
  const isDark = /navy|coal|ayu/.test(document.documentElement.className);
  const { mermaid } = /** @type {any} */ (globalThis);
  mermaid.initialize({ startOnLoad: false, theme: isDark ? 'dark' : 'neutral' });
  await mermaid.run({ nodes: diagrams });
}
