/** Answers as files: CSV, JSON, and the pictures of each label. */
import { selectedLabels, thresholdOf, valuesOf } from './rows.js';

/** @typedef {import('./rows.js').Answered} Answered */
/** @typedef {import('./rows.js').Thresholds} Thresholds */

/** With this mark, Excel reads the file as UTF-8. */
const BYTE_ORDER_MARK = '\uFEFF';

/**
 * A cell of a CSV file. Spreadsheets run a text that begins like a formula, so such a text gets an apostrophe (OWASP, "CSV
 * Injection"). Numbers stay as they are.
 * @param {string | number | undefined} value
 */
export function csvCell(value = '') {
  if (typeof value === 'number') return String(value);
  const safe = /^[=+\-@\t\r\n＝＋－＠]/.test(value) ? `'${value}` : value;
  return /[",;\r\n\t]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** @param {(string | number | undefined)[][]} rows */
const csvOf = (rows) => `${BYTE_ORDER_MARK}${rows.map((row) => row.map(csvCell).join(',')).join('\r\n')}\r\n`;

/**
 * A row for each picture, a column for each label, and why a picture has no values.
 * @param {Answered[]} pictures
 * @param {string[]} labels
 * @param {import('./rows.js').View} view
 */
export function toCsv(pictures, labels, view) {
  const rows = pictures.map((picture) => {
    const values = valuesOf(picture, view);
    return [picture.name, ...labels.map((label) => values.get(label)), picture.failure];
  });
  return csvOf([['picture', ...labels, 'error'], ...rows]);
}

/**
 * A row for each picture of each label: those whose probability reaches the label's threshold, the most probable first.
 * @param {Answered[]} pictures
 * @param {string[]} labels
 * @param {Thresholds} thresholds
 */
export function toNamesPerLabel(pictures, labels, thresholds) {
  const selected = pictures.map((picture) => ({
    name: picture.name,
    chosen: new Set(selectedLabels(picture, thresholds)),
    values: valuesOf(picture, 'probability'),
  }));
  const rows = labels.flatMap((label) =>
    selected
      .filter(({ chosen }) => chosen.has(label))
      .map(({ name, values }) => ({ name, probability: values.get(label) ?? 0 }))
      .sort((a, b) => b.probability - a.probability)
      .map(({ name, probability }) => [label, name, probability]),
  );
  return csvOf([['label', 'picture', 'probability'], ...rows]);
}

/**
 * Everything: the question, the thresholds and all scores.
 * @param {Answered[]} pictures
 * @param {string[]} labels
 * @param {Thresholds} thresholds
 * @param {{model: string, template: string}} question
 */
export function toJson(pictures, labels, thresholds, question) {
  const answers = pictures.map((picture) => ({
    picture: picture.name,
    ...(picture.failure ? { error: picture.failure } : {}),
    selected: selectedLabels(picture, thresholds),
    scores: (picture.scores ?? []).map(({ label, score, logit, unknown }) => ({
      label,
      score,
      logit,
      ...(unknown ? { unknown } : {}),
    })),
  }));
  const used = labels.map((label) => ({ label, threshold: thresholdOf(thresholds, label) }));
  return `${JSON.stringify({ ...question, labels: used, pictures: answers }, null, 1)}\n`;
}

/**
 * Gives the visitor a file.
 * @param {string} name
 * @param {string} type
 * @param {string} text
 */
export function download(name, type, text) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = Object.assign(document.createElement('a'), { href: url, download: name });
  link.click();
  // The download has begun by then; WebKit still needs the address for a moment.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
