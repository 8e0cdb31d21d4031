import assert from 'node:assert/strict';
import { test } from 'node:test';
import { splitLabels, unique } from '../../www/ui/labels.js';

test('labels are separated by commas and line ends, trimmed, and each is taken once', () => {
  assert.deepEqual(splitLabels(' a cat, a dog\na boat ,, a cat\r\n,\n'), ['a cat', 'a dog', 'a boat']);
  assert.deepEqual(splitLabels('a cat'), ['a cat']);
  assert.deepEqual(splitLabels(' ,\n, '), []);
});

test('labels differ by case, and their order is kept', () => {
  assert.deepEqual(unique(['b', 'A', ' b ', 'a']), ['b', 'A', 'a']);
});
