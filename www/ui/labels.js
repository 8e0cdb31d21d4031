/**
 * The labels in a text: separated by commas or line ends, trimmed, each once.
 * @param {string} text
 */
export const splitLabels = (text) => unique(text.split(/[,\n]/));

/** @param {string[]} labels */
export const unique = (labels) => [...new Set(labels.map((label) => label.trim()).filter(Boolean))];

/** Sets of templates that the engine knows by name. */
const SETS = ['default', 'imagenet'];

/**
 * The templates in a text: separated by `|` where each part is one, otherwise the text itself.
 * @param {string} text
 */
export function splitTemplates(text) {
  const parts = text.split('|').map((part) => part.trim());
  return parts.every(isTemplate) ? parts : [text];
}

/** Whether a text is a template or the name of a set. @param {string} text */
export const isTemplate = (text) => text.includes('{}') || SETS.includes(text);
