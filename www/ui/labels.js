/**
 * Labels out of a text: split at commas and line ends, trimmed, each once.
 * @param {string} text
 */
export const splitLabels = (text) => unique(text.split(/[,\n]/));

/** @param {string[]} labels */
export const unique = (labels) => [...new Set(labels.map((label) => label.trim()).filter(Boolean))];
