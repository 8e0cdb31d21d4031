/** The arithmetic of an evaluation: how often the best label is the true one. No page, no model. */

/** @typedef {import('../siglip.js').Score} Score */
/**
 * A picture that was taken for something else.
 * @template Item
 * @typedef {{item: Item, truth: string, said: Score, own: Score}} Mistake
 */

/** Labels among which the true one has to be for the wider of the two accuracies. */
export const WIDE = 5;

/**
 * What the answers come to.
 * @template Item what a picture is known by
 */
export class Tally {
  /** Pictures answered. */
  pictures = 0;
  #right = 0;
  #among = 0;
  /** How often a picture of a class (row) was taken for a class (column). @type {number[][]} */
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
    const [said] = scores;
    this.pictures++;
    if (place < WIDE) this.#among++;
    if (place === 0) this.#right++;
    else this.mistakes.push({ item, truth, said, own: scores[place] });
    this.matrix[this.#at(truth)][this.#at(said.label)]++;
  }

  /** The share of pictures whose best label is the true one; not a number where there are no pictures. */
  get top1() {
    return this.#right / this.pictures;
  }

  /** The share whose true label is among the best five; of no use where there are no more labels than that. */
  get top5() {
    return this.labels.length > WIDE ? this.#among / this.pictures : undefined;
  }

  /** @param {string} label */
  #at(label) {
    const index = this.#index.get(label);
    if (index === undefined) throw new RangeError(`${label} is none of the labels`);
    return index;
  }
}

/**
 * The rows of a matrix that a table of `count` has room for: all, or those with the most mistakes, in order.
 * @param {number[][]} matrix
 * @param {number} count
 */
export function rowsToShow(matrix, count) {
  const mistakes = matrix.map((row, truth) =>
    row.reduce((sum, n, said) => sum + (said === truth ? 0 : n), 0),
  );
  return matrix
    .map((_, row) => row)
    .sort((a, b) => mistakes[b] - mistakes[a])
    .slice(0, count)
    .sort((a, b) => a - b);
}

/**
 * One picture of each class in turn: what an evaluation that is stopped tells is then of all classes.
 * @template Item
 * @param {{label: string, pictures: Item[]}[]} classes
 * @returns {{truth: string, item: Item}[]}
 */
export function inTurns(classes) {
  const rounds = classes.reduce((most, { pictures }) => Math.max(most, pictures.length), 0);
  return Array.from({ length: rounds }, (_, round) =>
    classes
      .filter(({ pictures }) => round < pictures.length)
      .map(({ label, pictures }) => ({ truth: label, item: pictures[round] })),
  ).flat();
}
