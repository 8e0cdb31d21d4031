import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Tally, interleave, rowsToShow } from '../../www/app/evaluation.js';

/** The scores of labels that are named by one letter each, best first. @param {string} order */
const scores = (order) => [...order].map((label, i) => ({ label, score: 1 / (i + 2), logit: -i }));

/** @returns {Tally<string>} */
function tallyOfFour() {
  const tally = /** @type {Tally<string>} */ (new Tally([...'abcdef']));
  tally.add('first', 'a', scores('abcdef'));
  tally.add('second', 'a', scores('bacdef'));
  tally.add('third', 'f', scores('bacdef'));
  tally.add('fourth', 'e', scores('bacdef'));
  return tally;
}

test('a tally counts the images whose true label is first, or among the first five', () => {
  const tally = tallyOfFour();
  assert.equal(tally.images, 4);
  assert.equal(tally.top1, 1 / 4);
  assert.equal(tally.top5, 3 / 4);
  assert.deepEqual(tally.matrix[0], [1, 1, 0, 0, 0, 0]);
});

test('a tally keeps the mistakes with the predicted label and the score of the true one', () => {
  assert.deepEqual(
    tallyOfFour().mistakes.map(({ item, truth, predicted, own }) => [
      item,
      truth,
      predicted.label,
      own.logit,
    ]),
    [
      ['second', 'a', 'b', -1],
      ['third', 'f', 'b', -5],
      ['fourth', 'e', 'b', -4],
    ],
  );
});

test('an image of a class that the model cannot read is never right', () => {
  const tally = /** @type {Tally<string>} */ (new Tally(['猫', '犬']));
  const unread = ['猫', '犬'].map((label) => ({ label, score: 0.3, logit: -0.9, unknown: [label] }));
  tally.add('first', '猫', unread);
  assert.equal(tally.top1, 0);
  assert.equal(tally.mistakes.length, 1);
});

test('without images there is no accuracy, and without six labels there is no top-5 accuracy', () => {
  assert.ok(Number.isNaN(new Tally([...'abcdef']).top1));
  assert.equal(new Tally(['a', 'b']).top5, undefined);
  assert.equal(new Tally([...'abcde']).top5, undefined);
});

test('a label that is not in the tally is refused', () => {
  assert.throws(() => new Tally(['a', 'b']).add('first', 'z', scores('ab')), /z is not one of the labels/);
});

test('a table that is too small shows the classes with the most mistakes, in their order', () => {
  const { matrix } = tallyOfFour();
  assert.deepEqual(rowsToShow(matrix, 6), [0, 1, 2, 3, 4, 5]);
  assert.deepEqual(rowsToShow(matrix, 2), [0, 4]);
  assert.deepEqual(rowsToShow([], 2), []);
});

test('images are taken from each class in turn', () => {
  const order = interleave([
    { label: 'a', images: [1, 2, 3] },
    { label: 'b', images: [4] },
  ]);
  assert.equal(order.map(({ truth, item }) => `${truth}${item}`).join(), 'a1,b4,a2,a3');
  assert.deepEqual(interleave([]), []);
});
