/** bench/gpu.html: what to measure, from the form or the address, and the report as JSON. */
import { benchmark } from './benchmark.js';

/** transformers.js as it is published. */
const CDN = 'https://cdn.jsdelivr.net/npm/@huggingface/transformers@4.3.1/dist/transformers.min.js';

const form = /** @type {HTMLFormElement} */ (document.querySelector('form'));
const log = /** @type {HTMLElement} */ (document.querySelector('#log'));
const result = /** @type {HTMLTextAreaElement} */ (document.querySelector('textarea'));
const button = /** @type {HTMLButtonElement} */ (document.querySelector('button'));

const query = new URLSearchParams(location.search);
for (const field of form.elements) {
  if (!(field instanceof HTMLInputElement) || !query.has(field.name)) continue;
  if (field.type === 'checkbox') field.checked = query.get(field.name) !== '0';
  else field.value = query.get(field.name) ?? '';
}

/** The form's values, and those that only an address has. @returns {import('./benchmark.js').Options} */
function optionsOf() {
  const fields = new FormData(form);
  const text = (/** @type {string} */ name) => String(fields.get(name) ?? '');
  const address = (/** @type {string} */ value) =>
    /^\.{0,2}\//.test(value) ? new URL(value, location.href).href : value;
  const extra = (/** @type {string} */ name) => {
    const value = query.get(name);
    return value === null ? undefined : address(value);
  };
  return {
    model: address(text('model')),
    peer: fields.has('peer')
      ? {
          script: extra('script') ?? CDN,
          wasm: extra('wasm'),
          host: extra('host'),
          model: text('peer-model'),
          fused: query.get('fused') ?? undefined,
        }
      : undefined,
    rounds: Number(text('rounds')),
    warm: Number(query.get('warm') ?? 5),
    runs: Number(text('runs')),
    seconds: Number(query.get('seconds') ?? 20),
    text: fields.has('text'),
    batch: query.get('batch') !== '0',
    only: query.get('only') ?? '',
  };
}

/** To whoever drives the page from another machine's shell. @param {object} message */
function send(message) {
  const post = query.get('post');
  if (post) void fetch(post, { method: 'POST', body: JSON.stringify(message) });
}

const say = (/** @type {string} */ line) => {
  log.textContent += `${line}\n`;
  /** @type {any} */ (window).onLine?.(line);
  send({ line });
};

async function run() {
  button.disabled = true;
  log.textContent = '';
  let report;
  try {
    report = await benchmark(optionsOf(), say);
  } catch (error) {
    report = { error: error instanceof Error ? `${error.message}\n${error.stack}` : String(error) };
    say(report.error);
  }
  result.value = JSON.stringify(report, null, 1);
  button.disabled = false;
  say('done');
  Object.assign(window, { report });
  send({ report });
}

form.addEventListener('submit', (event) => {
  event.preventDefault();
  void run();
});
if (query.has('start')) void run();
