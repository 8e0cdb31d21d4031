/**
 * The labels in a text: separated by commas or line ends, trimmed, each once.
 * @param {string} text
 */
export const splitLabels = (text) => unique(text.split(/[,\n]/));

/** @param {string[]} labels */
export const unique = (labels) => [...new Set(labels.map((label) => label.trim()).filter(Boolean))];

/** What the engine knows by name: sets of templates, and whether their sentences are canonicalized. */
const NAMES = ['default', 'imagenet', 'canonicalize', 'verbatim'];

/**
 * The templates in a text: separated by `|` where each part is one, otherwise the text itself.
 * @param {string} text
 */
export function splitTemplates(text) {
  const parts = text.split('|').map((part) => part.trim());
  return parts.every(isTemplate) ? parts : [text];
}

/** Whether a text is a template or a name that may stand beside some. @param {string} text */
export const isTemplate = (text) => text.includes('{}') || NAMES.includes(text);
