/** Puts what index.html and the names of models say into another language. */
import { checkpoints } from '../lib/checkpoints.js';

const ATTRIBUTES = ['alt', 'aria-label', 'placeholder', 'title'];

/**
 * Translates the texts and the named attributes of a document. Those without a translation stay as they are.
 * @param {Document} page
 * @param {Record<string, string>} translations by the English text, with single spaces
 */
export function translatePage(page, translations) {
  const inOther = (/** @type {string} */ text) => translations[text.trim().replace(/\s+/g, ' ')];
  const texts = page.createTreeWalker(page.documentElement, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const text = /** @type {Text} */ (texts.currentNode);
    const translation = inOther(text.data);
    // The spaces around it keep words apart.
    if (translation) text.data = text.data.replace(text.data.trim(), () => translation);
  }
  for (const name of ATTRIBUTES) {
    for (const element of page.querySelectorAll(`[${name}]`)) {
      const translation = inOther(element.getAttribute(name) ?? '');
      if (translation) element.setAttribute(name, translation);
    }
  }
}

/**
 * Translates the parts of the published models' names.
 * @param {Record<string, string>} translations by the English part
 */
export function translateNames(translations) {
  for (const checkpoint of checkpoints) {
    const parts = checkpoint.label.split(', ').map((part) => translations[part] ?? part);
    checkpoint.label = parts.join(', ');
  }
}
