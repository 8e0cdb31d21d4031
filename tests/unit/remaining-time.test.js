/** The estimate of the remaining time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RemainingTime } from '../../www/lib/remaining-time.js';

test('the remaining time is that of the files that are left, at the pace so far', () => {
  const remaining = new RemainingTime(1000);
  assert.equal(remaining.next(1020, 9), 180);
  assert.equal(remaining.next(1060, 8), 240);
  assert.equal(remaining.next(1060, 0), 0);
});

test('a pause does not count', () => {
  const remaining = new RemainingTime(0);
  remaining.next(10, 5);
  remaining.pause(60_000);
  assert.equal(remaining.next(60_020, 4), 40);
});

test('after many known files, new ones set the pace', () => {
  const remaining = new RemainingTime(0);
  let now = 0;
  for (let i = 0; i < 1000; i++) remaining.next(++now, 2000 - i);
  for (let i = 0; i < 100; i++) remaining.next((now += 40), 1000 - i);
  assert.equal(remaining.next(now + 40, 899), 40 * 899);
});
