import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { AllReduce } from '../../www/worker/all-reduce.js';

/** @typedef {import('../../www/wasm/simd128/siglip_web.js').Engine} Engine */

/** An engine that only adds; it records the order of the partial sums. */
class Adder {
  /** @type {number[]} */
  added = [];

  /** @param {number[]} own one partial sum per element */
  constructor(own) {
    this.own = Uint32Array.from(own);
    this.sums = own.map(() => 0);
  }

  partial_sums_length() {
    return this.own.length;
  }

  /** @param {Uint32Array} into */
  copy_partial_sums(into) {
    into.set(this.own);
  }

  add_own_partial_sums() {
    this.add_partial_sums(this.own);
  }

  /** @param {Uint32Array} partial */
  add_partial_sums(partial) {
    this.added.push(partial[0]);
    this.sums = this.sums.map((sum, i) => sum + partial[i]);
  }
}

/**
 * `count` workers of one model, in this thread.
 * @param {import('node:test').TestContext} context
 * @param {number} count
 */
function workers(context, count) {
  const ports = AllReduce.connect(count);
  context.after(() => ports.flat().forEach((port) => port?.close()));
  return ports.map((own, index) => new AllReduce(index, own));
}

/**
 * @param {AllReduce} allReduce
 * @param {Adder} adder
 */
const sum = (allReduce, adder) => allReduce.sum(/** @type {Engine} */ (/** @type {unknown} */ (adder)));

test('every worker gets the sum of all, added in the order of the workers', async (context) => {
  const team = workers(context, 3);
  team.forEach((worker) => worker.begin(1));
  for (const step of [1, 2, 3]) {
    const adders = team.map((_, i) => new Adder([10 ** i * step, 7 * step]));
    await Promise.all(team.map((worker, i) => sum(worker, adders[i])));
    for (const { sums, added } of adders) {
      assert.deepEqual(sums, [111 * step, 21 * step]);
      assert.deepEqual(added, [step, 10 * step, 100 * step]);
    }
  }
});

test('a worker that is a step or a pass behind gets the sums that arrived early', async (context) => {
  const [fast, slow] = workers(context, 2);
  const [first, second] = [new Adder([1]), new Adder([2])];
  fast.begin(1);
  const ahead = sum(fast, first);
  await setImmediate();
  slow.begin(1);
  await Promise.all([ahead, sum(slow, second)]);
  assert.deepEqual([first.sums, second.sums], [[3], [3]]);
  // The slow one has not begun pass 2 when its partial sums arrive.
  fast.begin(2);
  const next = sum(fast, first);
  await setImmediate();
  slow.begin(2);
  await Promise.all([next, sum(slow, second)]);
  assert.deepEqual([first.sums, second.sums], [[6], [6]]);
});

test('a stopped pass rejects whoever waits for it, and its late sums do not reach the next pass', async (context) => {
  const [leader, follower] = workers(context, 2);
  leader.begin(1);
  follower.begin(1);
  const waiting = sum(leader, new Adder([1]));
  leader.stop(new Error('stopped'));
  await assert.rejects(waiting, /stopped/);
  // The follower sends its sums of pass 1 only now.
  await sum(follower, new Adder([1000]));
  await setImmediate();
  const [first, second] = [new Adder([5]), new Adder([6])];
  leader.begin(2);
  follower.begin(2);
  await Promise.all([sum(leader, first), sum(follower, second)]);
  assert.deepEqual([first.sums, second.sums], [[11], [11]]);
});

test('received arrays are reused for sending, each once', async (context) => {
  const team = workers(context, 3);
  team.forEach((worker) => worker.begin(1));
  const adders = team.map((_, i) => new Adder([i]));
  for (let step = 1; step <= 20; step++) {
    await Promise.all(team.map((worker, i) => sum(worker, adders[i])));
    assert.deepEqual(
      adders.map(({ sums }) => sums),
      [[3 * step], [3 * step], [3 * step]],
    );
  }
});
