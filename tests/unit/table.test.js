/** The table's order, selection and files. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { csvCell, toCsv, toJson, toNamesPerLabel } from '../../www/app/table/export.js';
import { labelsOf, selectedLabels, sorted, valuesOf } from '../../www/app/table/rows.js';

/** @param {string} label @param {number} logit @param {string[]} [unknown] */
const score = (label, logit, unknown) => ({ label, logit, score: 1 / (1 + Math.exp(-logit)), unknown });

const cat = { name: 'cat.jpg', scores: [score('a cat', 2), score('=cmd()', -1)] };
const dog = { name: 'dog, 2.jpg', scores: [score('a dog', 0), score('a cat', -3, ['cat'])] };
const broken = { name: '+broken.png', scores: undefined, failure: 'This picture cannot be read: "x".' };
const all = [broken, dog, cat];

test('labels are those of all answers, each once', () => {
  assert.deepEqual(labelsOf(all), ['a dog', 'a cat', '=cmd()']);
  assert.deepEqual(labelsOf(all, ['=cmd()', 'not asked', 'a dog']), ['=cmd()', 'a dog', 'a cat']);
});

test('shares add up to one, and logits far from zero stay numbers', () => {
  const far = { name: 'far', scores: [score('a', -900), score('b', -901)] };
  for (const picture of [cat, far]) {
    const shares = [...valuesOf(picture, 'share').values()];
    assert.ok(Math.abs(shares.reduce((sum, share) => sum + share, 0) - 1) < 1e-12, String(shares));
  }
  assert.ok(Math.abs((valuesOf(far, 'share').get('a') ?? 0) - 1 / (1 + Math.exp(-1))) < 1e-12);
  assert.equal(valuesOf(cat, 'logit').get('a cat'), 2);
  assert.equal(valuesOf(dog, 'probability').has('a cat'), false, 'an unknown label has no value');
});

test('pictures without a value come last in both directions', () => {
  const names = (/** @type {boolean} */ descending) =>
    sorted(all, { by: 'a cat', descending }, 'probability').map(({ name }) => name);
  assert.equal(names(true)[0], 'cat.jpg');
  assert.equal(names(false)[0], 'cat.jpg');
  const numbered = ['b10', 'b9', 'a'].map((name) => ({ name, scores: [] }));
  const byName = sorted(numbered, { by: null, descending: false }, 'logit');
  assert.deepEqual(
    byName.map(({ name }) => name),
    ['a', 'b9', 'b10'],
  );
});

test('a label of its own threshold is selected by that one', () => {
  const thresholds = { every: 0.5, own: new Map([['a cat', 0.9]]) };
  assert.deepEqual(selectedLabels(cat, { every: 0.5, own: new Map() }), ['a cat']);
  assert.deepEqual(selectedLabels(cat, thresholds), []);
  assert.deepEqual(selectedLabels(dog, thresholds), ['a dog'], 'a probability of just the threshold counts');
  assert.deepEqual(selectedLabels(broken, thresholds), []);
});

test('no text of a CSV file runs as a formula', () => {
  for (const start of ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'])
    assert.match(csvCell(`${start}1+1`), /^"?'/, JSON.stringify(start));
  assert.equal(csvCell('a "b", c'), '"a ""b"", c"');
  assert.equal(csvCell('=HYPERLINK("x";"y")'), `"'=HYPERLINK(""x"";""y"")"`);
  assert.equal(csvCell(-1.5), '-1.5', 'a number stays a number');
  assert.equal(csvCell('猫.jpg'), '猫.jpg');
});

test('the files hold every picture with its values or its failure', () => {
  const thresholds = { every: 0.5, own: new Map() };
  assert.equal(
    toCsv(all, labelsOf(all), 'logit'),
    "\uFEFFpicture,a dog,a cat,'=cmd(),error\r\n" +
      '\'+broken.png,,,,"This picture cannot be read: ""x""."\r\n' +
      '"dog, 2.jpg",0,,,\r\n' +
      'cat.jpg,,2,-1,\r\n',
  );
  assert.equal(
    toNamesPerLabel(all, labelsOf(all), thresholds),
    `\uFEFFlabel,picture,probability\r\na dog,"dog, 2.jpg",0.5\r\na cat,cat.jpg,${cat.scores[0].score}\r\n`,
  );
  const json = JSON.parse(toJson(all, labelsOf(all), thresholds, { model: 'm', template: '{}' }));
  assert.equal(json.model, 'm');
  assert.deepEqual(json.labels[0], { label: 'a dog', threshold: 0.5 });
  assert.deepEqual(
    json.pictures.map((/** @type {any} */ { picture, error, selected }) => [picture, !!error, selected]),
    [
      ['+broken.png', true, []],
      ['dog, 2.jpg', false, ['a dog']],
      ['cat.jpg', false, ['a cat']],
    ],
  );
});
