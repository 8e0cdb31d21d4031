/** What the table shows of the answers: values, order and selection. It touches no document. */

/** @typedef {import('../../siglip.js').Score} Score */
/**
 * A picture with its answer.
 * @typedef {object} Answered
 * @property {string} name
 * @property {Score[] | undefined} scores none while the picture waits, or if it has failed
 * @property {string} [failure] why there is no answer
 */
/** @typedef {'probability' | 'logit' | 'share'} View */
/** @typedef {{every: number, own: Map<string, number>}} Thresholds for all labels, and those that a label has of its own */

/**
 * The labels of all answers: first those of `order`, then the others as they come.
 * @param {Answered[]} pictures
 * @param {string[]} [order]
 * @returns {string[]}
 */
export function labelsOf(pictures, order = []) {
  const answered = new Set(pictures.flatMap(({ scores = [] }) => scores.map(({ label }) => label)));
  return [...new Set([...order.filter((label) => answered.has(label)), ...answered])];
}

/**
 * A picture's values by label. Labels that the model does not know have none.
 * @param {Answered} picture
 * @param {View} view
 * @returns {Map<string, number>}
 */
export function valuesOf({ scores = [] }, view) {
  const known = scores.filter(({ unknown }) => !unknown);
  if (view !== 'share') {
    return new Map(known.map(({ label, score, logit }) => [label, view === 'logit' ? logit : score]));
  }
  const highest = Math.max(...known.map(({ logit }) => logit));
  const weights = known.map(({ logit }) => Math.exp(logit - highest));
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return new Map(known.map(({ label }, i) => [label, weights[i] / sum]));
}

/** @param {Thresholds} thresholds @param {string} label */
export const thresholdOf = ({ every, own }, label) => own.get(label) ?? every;

/**
 * The labels whose probability reaches their threshold.
 * @param {Answered} picture
 * @param {Thresholds} thresholds
 * @returns {string[]}
 */
export const selectedLabels = ({ scores = [] }, thresholds) =>
  scores
    .filter(({ label, score, unknown }) => !unknown && score >= thresholdOf(thresholds, label))
    .map(({ label }) => label);

/**
 * Sorts by name, or by a label's values. Pictures without a value come last in both directions.
 * @template {Answered} Picture
 * @param {Picture[]} pictures
 * @param {{by: string | null, descending: boolean}} order `by` is a label, or null for the name
 * @param {View} view
 * @returns {Picture[]}
 */
export function sorted(pictures, { by, descending }, view) {
  const sign = descending ? -1 : 1;
  if (by === null) {
    const { compare } = new Intl.Collator(undefined, { numeric: true });
    return [...pictures].sort((a, b) => sign * compare(a.name, b.name));
  }
  const keyed = pictures.map((picture) => ({ picture, value: valuesOf(picture, view).get(by) }));
  keyed.sort((a, b) => {
    if (a.value === undefined || b.value === undefined)
      return Number(a.value === undefined) - Number(b.value === undefined);
    return sign * (a.value - b.value);
  });
  return keyed.map(({ picture }) => picture);
}
