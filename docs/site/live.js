/** Runs the examples on the page: elements as they are, scripts when the reader presses "Run". */

export {};

const elements = document.querySelectorAll('.live siglip-classifier');
if (elements.length) await import('siglip-web/element');

for (const example of document.querySelectorAll('.live:has(code.language-js)')) {
  const code = /** @type {HTMLElement} */ (example.querySelector('code'));
  code.contentEditable = 'plaintext-only';
  code.spellcheck = false;
  code.setAttribute('aria-label', 'The script; it can be changed');
  const run = document.createElement('button');
  run.textContent = 'Run';
  const output = document.createElement('output');
  run.onclick = async () => {
    run.disabled = true;
    output.textContent = '';
    const show = (/** @type {unknown[]} */ ...values) => {
      const texts = values.map((value) => (typeof value === 'string' ? value : JSON.stringify(value)));
      output.append(texts.join(' '), '\n');
    };
    try {
      await runModule(code.innerText, show);
    } catch (error) {
      show(String(error));
    }
    run.disabled = false;
  };
  example.append(run, output);
}

/**
 * Runs a text as a module, so that `import` and `await` are what they are in a file.
 * @param {string} text
 * @param {(...values: unknown[]) => void} show what its console does
 */
async function runModule(text, show) {
  const name = `example${crypto.randomUUID()}`;
  Object.assign(globalThis, { [name]: { ...console, log: show } });
  const module = new Blob([`const console = globalThis['${name}'];${text}`], { type: 'text/javascript' });
  const address = URL.createObjectURL(module);
  try {
    await import(address);
  } finally {
    URL.revokeObjectURL(address);
  }
}
