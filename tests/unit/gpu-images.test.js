/** Which calls share a pass of the GPU, and that each gets its own answer. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { each } from '../../www/lib/each.js';
import { embedTogether } from '../../www/worker/gpu-images.js';

/** @typedef {import('../../www/worker/protocol.js').WaitingCall} WaitingCall */
/** @typedef {import('../../www/worker/protocol.js').PixelValues} PixelValues */

/** An image of one value, which is also its embedding. @param {number} value @param {number} [height] */
const pixelsOf = (value, height = 1) => ({ values: new Float32Array([value]), height });
/** @param {number} value */
const embeddingOf = (value) => new Float32Array([value]);
const tell = () => {};

/**
 * A call for the embedding of `image`, unless it is said to be another.
 * @param {PixelValues} image
 * @param {Partial<WaitingCall>} [more]
 * @returns {WaitingCall}
 */
const call = (image, more = {}) =>
  /** @type {WaitingCall} */ ({
    method: 'embedImage',
    parameters: { image },
    signal: new AbortController().signal,
    tell,
    ...more,
  });

/** What a GPU was given, pass by pass. @param {boolean} [works] */
function fakes(works = true) {
  /** @type {number[][]} */
  const passes = [];
  /** @type {number[]} */
  const alone = [];
  const gpu = /** @type {any} */ ({
    embedImages: async (/** @type {unknown} */ _, /** @type {PixelValues[]} */ images) => {
      passes.push(images.map(({ values }) => values[0]));
      return works ? images.map(({ values }) => embeddingOf(values[0])) : undefined;
    },
  });
  const embed = async (/** @type {PixelValues} */ { values: [value] }) => {
    alone.push(value);
    if (value < 0) throw new Error('too small');
    return embeddingOf(value);
  };
  const read = async (/** @type {any} */ image) => {
    if ('broken' in image) throw new Error('broken');
    return /** @type {PixelValues} */ (image);
  };
  const run = (/** @type {PixelValues} */ pixels, /** @type {WaitingCall[]} */ waiting) =>
    embedTogether(
      /** @type {any} */ ({}),
      gpu,
      { pixels, signal: new AbortController().signal, tell },
      waiting,
      read,
      embed,
    );
  return { passes, alone, run };
}

test('an image alone takes the usual way', async () => {
  const { passes, alone, run } = fakes();
  assert.deepEqual(await run(pixelsOf(1), []), embeddingOf(1));
  assert.deepEqual([passes, alone], [[], [1]]);
});

test('eight images share a pass, and the ninth has its own turn', async () => {
  const { passes, run } = fakes();
  const waiting = [2, 3, 4, 5, 6, 7, 8, 9].map((value) => call(pixelsOf(value)));
  assert.deepEqual(await run(pixelsOf(1), waiting), embeddingOf(1));
  assert.deepEqual(passes, [[1, 2, 3, 4, 5, 6, 7, 8]]);
  const answers = await Promise.all(waiting.slice(0, 7).map(({ answer }) => answer));
  assert.deepEqual(answers, [2, 3, 4, 5, 6, 7, 8].map(embeddingOf));
  assert.equal(waiting[7].answer, undefined);
});

test('other calls, other vectors, and calls that are aborted or answered have their own turn', async () => {
  const { passes, run } = fakes();
  const aborted = new AbortController();
  aborted.abort();
  const answer = Promise.resolve('there');
  const others = [
    /** @type {WaitingCall} */ ({
      method: 'embedTexts',
      parameters: { texts: [] },
      signal: aborted.signal,
      tell,
    }),
    call(pixelsOf(2), { parameters: { image: pixelsOf(2), pooling: 'mean' } }),
    call(pixelsOf(3), { parameters: { image: pixelsOf(3), normalize: false } }),
    call(pixelsOf(4), { signal: aborted.signal }),
    call(pixelsOf(5), { answer }),
  ];
  const last = call(pixelsOf(6));
  await run(pixelsOf(1), [...others, last]);
  assert.deepEqual(passes, [[1, 6]]);
  assert.deepEqual(await last.answer, embeddingOf(6));
  assert.deepEqual(
    others.map((other) => other.answer),
    [undefined, undefined, undefined, undefined, answer],
  );
});

test('images of different sizes run in passes of their own', async () => {
  const { passes, alone, run } = fakes();
  const waiting = [call(pixelsOf(2, 7)), call(pixelsOf(3)), call(pixelsOf(4, 7)), call(pixelsOf(5, 9))];
  assert.deepEqual(await run(pixelsOf(1), waiting), embeddingOf(1));
  assert.deepEqual(
    [passes, alone],
    [
      [
        [1, 3],
        [2, 4],
      ],
      [5],
    ],
  );
  const answers = await Promise.all(waiting.map(({ answer }) => answer));
  assert.deepEqual(answers, [2, 3, 4, 5].map(embeddingOf));
});

test('an image that cannot be read fails its own call alone', async () => {
  const { passes, run } = fakes();
  const broken = call(/** @type {any} */ ({ broken: true }));
  const other = call(pixelsOf(2));
  assert.deepEqual(await run(pixelsOf(1), [broken, other]), embeddingOf(1));
  assert.deepEqual(passes, [[1, 2]]);
  await assert.rejects(/** @type {Promise<unknown>} */ (broken.answer), /broken/);
  assert.deepEqual(await other.answer, embeddingOf(2));
});

test('after a fault each image is embedded where the blocks are then', async () => {
  const { passes, alone, run } = fakes(false);
  const waiting = [call(pixelsOf(-2)), call(pixelsOf(3))];
  assert.deepEqual(await run(pixelsOf(1), waiting), embeddingOf(1));
  assert.deepEqual([passes, alone], [[[1, -2, 3]], [1, -2, 3]]);
  await assert.rejects(/** @type {Promise<unknown>} */ (waiting[0].answer), /too small/);
  assert.deepEqual(await waiting[1].answer, embeddingOf(3));
});

test('a list is answered in order: one at a time, or eight where a GPU answers', async () => {
  for (const [device, most] of /** @type {[string, number][]} */ ([
    ['cpu', 1],
    ['gpu', 8],
  ])) {
    let [running, highest] = [0, 0];
    const answer = async (/** @type {number} */ input) => {
      highest = Math.max(highest, ++running);
      await new Promise((resolve) => setTimeout(resolve, 8 - (input % 8)));
      running--;
      return 10 * input;
    };
    const inputs = Array.from({ length: 11 }, (_, i) => i);
    const answers = await each(inputs, answer, { device });
    assert.deepEqual([answers, highest], [inputs.map((input) => 10 * input), most]);
    assert.equal(await each(3, answer, { device }), 30);
  }
});
