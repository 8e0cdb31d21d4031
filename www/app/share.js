/** Links to this page and code for other pages, with the labels, the template and the model of the page, and no picture. */
import { cachedModels } from '../siglip.js';
import { h } from '../ui/dom.js';
import { folderOf } from '../lib/checkpoints.js';
import { announce } from './page.js';
import { t } from '../ui/translate.js';

/** @typedef {import('./url-state.js').Prompts} Prompts */

/**
 * The element for another page.
 * @param {Prompts} prompts
 * @param {Prompts} defaults left out
 */
export function embedCode({ labels, template, model }, defaults) {
  const script = new URL('www/siglip-classifier.js', document.baseURI).href;
  const attributes = Object.entries({
    labels: labels.join(', '),
    template: template === defaults.template ? '' : template,
    model: model === defaults.model ? '' : model,
  });
  const written = attributes
    .filter(([, value]) => value)
    .map(([name, value]) => ` ${name}="${escaped(value)}"`);
  return `<script type="module" src="${escaped(script)}"></script>\n<siglip-classifier${written.join('')}></siglip-classifier>\n`;
}

/** @param {string} text */
const escaped = (text) => text.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;');

/**
 * Copies a text, or shows it where the browser does not let the page copy.
 * @param {HTMLElement} button was pressed
 * @param {string} text
 */
export async function copy(button, text) {
  button.parentElement?.querySelector('textarea')?.remove();
  const name = button.textContent ?? '';
  try {
    await navigator.clipboard.writeText(text);
    announce(t`Copied.`);
    button.textContent = t`Copied`;
    setTimeout(() => (button.textContent = name), 2000);
  } catch {
    const field = h('textarea', {
      className: 'field',
      readOnly: true,
      rows: 4,
      value: text,
      ariaLabel: name,
    });
    button.parentElement?.append(field);
    field.select();
  }
}

/**
 * Takes up the model that a link names: at once if it is on this device, otherwise the visitor decides.
 * @param {import('./model-panel.js').ModelPanel} panel
 * @param {string} name
 */
export async function takeUp(panel, name) {
  let folder = '';
  try {
    folder = folderOf(name);
  } catch {
    // Not a name of a model: there is nothing to offer.
    return;
  }
  const kept = (await cachedModels()).find(
    ({ model, complete, towers }) => model === folder && complete && towers === 'both',
  );
  if (kept) panel.load({ model: name, precision: kept.precision === 'f32' ? 'f32' : 'q8' });
  else panel.offer(name);
}
