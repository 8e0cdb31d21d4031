/** The arithmetic of an evaluation: how often the best label is the true one. It needs neither page nor model. */

/** @typedef {import('../siglip.js').Score} Score */
/**
 * An image whose best label is not the true one.
 * @template Item
 * @typedef {{item: Item, truth: string, predicted: Score, own: Score}} Mistake
 */

/** The best labels among which the true one counts as found in the top-5 accuracy. */
export const TOP = 5;

/**
 * Counts answers.
 * @template Item identifies an image
 */
export class Tally {
  /** Images counted. */
  images = 0;
  #rightFirst = 0;
  #rightInTop = 0;
  /** The confusion matrix: images by true class (row) and predicted class (column). @type {number[][]} */
  matrix;
  /** @type {Mistake<Item>[]} */
  mistakes = [];
  /** @type {Map<string, number>} */
  #index;

  /** @param {string[]} labels each once */
  constructor(labels) {
    this.labels = labels;
    this.matrix = labels.map(() => labels.map(() => 0));
    this.#index = new Map(labels.map((label, i) => [label, i]));
  }

  /**
   * @param {Item} item
   * @param {string} truth its class
   * @param {Score[]} scores of all labels, best first
   */
  add(item, truth, scores) {
    const place = scores.findIndex(({ label }) => label === truth);
    const [predicted] = scores;
    this.images++;
    // A class whose name the model cannot read is not scored: none of its images is right.
    const isRead = !scores[place]?.unknown;
    if (isRead && place < TOP) this.#rightInTop++;
    if (isRead && place === 0) this.#rightFirst++;
    else this.mistakes.push({ item, truth, predicted, own: scores[place] });
    this.matrix[this.#at(truth)][this.#at(predicted.label)]++;
  }

  /** The share of images whose best label is the true one; NaN without images. */
  get top1() {
    return this.#rightFirst / this.images;
  }

  /** The share of images whose true label is among the best five; undefined with five labels or fewer. */
  get top5() {
    return this.labels.length > TOP ? this.#rightInTop / this.images : undefined;
  }

  /** @param {string} label */
  #at(label) {
    const index = this.#index.get(label);
    if (index === undefined) throw new RangeError(`${label} is not one of the labels`);
    return index;
  }
}

/**
 * The rows of a confusion matrix for a table of at most `count`: all, or those with the most mistakes, in their order.
 * @param {number[][]} matrix
 * @param {number} count
 */
export function rowsToShow(matrix, count) {
  const mistakes = matrix.map((row, truth) =>
    row.reduce((sum, n, predicted) => sum + (predicted === truth ? 0 : n), 0),
  );
  return matrix
    .map((_, row) => row)
    .sort((a, b) => mistakes[b] - mistakes[a])
    .slice(0, count)
    .sort((a, b) => a - b);
}

/**
 * The images in an order that takes one of each class in turn. An evaluation that is stopped early covers all classes.
 * @template Item
 * @param {{label: string, images: Item[]}[]} classes
 * @returns {{truth: string, item: Item}[]}
 */
export function interleave(classes) {
  const rounds = classes.reduce((most, { images }) => Math.max(most, images.length), 0);
  return Array.from({ length: rounds }, (_, round) =>
    classes
      .filter(({ images }) => round < images.length)
      .map(({ label, images }) => ({ truth: label, item: images[round] })),
  ).flat();
}
