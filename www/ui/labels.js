/**
 * The labels in a text: separated by commas or line ends, trimmed, each once.
 * @param {string} text
 */
export const splitLabels = (text) => unique(text.split(/[,\n]/));

/** @param {string[]} labels */
export const unique = (labels) => [...new Set(labels.map((label) => label.trim()).filter(Boolean))];
