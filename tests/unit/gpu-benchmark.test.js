/** The report of bench/gpu.html: what is counted, and what is compared with what. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { contestantsOf } from '../../bench/gpu/benchmark.js';
import { describe, leastCosine, speedups, summary } from '../../bench/gpu/statistics.js';

/** @param {object} info */
const adapter = (info) =>
  /** @type {GPUAdapter} */ (
    /** @type {unknown} */ ({ info, features: new Set(['subgroups', 'shader-f16']) })
  );
const times = (/** @type {number} */ median) => ({ median, p10: median, p90: median, runs: 20 });

test('times are told by their median and the tenths at both ends', () => {
  const shuffled = [7, 1, 9, 3, 11, 2, 6, 10, 4, 8, 5];
  assert.deepEqual(summary(shuffled), { median: 6, p10: 2, p90: 10, runs: 11 });
  assert.deepEqual(summary([1.23456]), { median: 1.235, p10: 1.235, p90: 1.235, runs: 1 });
});

test('the cosine is that of the worst embedding, whatever their lengths', () => {
  const expected = [
    [1, 0],
    [3, 4],
  ];
  assert.equal(
    leastCosine(
      [
        [2, 0],
        [6, 8],
      ],
      expected,
    ),
    1,
  );
  assert.equal(
    leastCosine(
      [
        [5, 0],
        [4, 3],
      ],
      expected,
    ),
    0.96,
  );
  assert.ok(
    Number.isNaN(
      leastCosine(
        [
          [NaN, 0],
          [3, 4],
        ],
        expected,
      ),
    ),
  );
});

for (const [software, info] of /** @type {[boolean, object | undefined][]} */ ([
  [true, { vendor: 'google', architecture: 'swiftshader' }],
  [true, { vendor: 'mesa', architecture: '', description: 'llvmpipe (LLVM 15.0.6, 256 bits)' }],
  [true, { vendor: 'intel', architecture: 'xe', isFallbackAdapter: true }],
  [true, { vendor: 'microsoft', description: 'Microsoft Basic Render Driver' }],
  [false, { vendor: 'nvidia', architecture: 'hopper', description: '' }],
  [false, { vendor: 'apple', architecture: 'metal-3' }],
  [false, undefined],
])) {
  test(`${JSON.stringify(info)} is ${software ? 'software' : 'a GPU'}`, () => {
    const described = describe(adapter(/** @type {object} */ (info)));
    assert.equal(described.software, software);
    assert.deepEqual(described.features, ['shader-f16', 'subgroups']);
  });
}

const rightly = { cosine: 0.9998, textCosine: 0.99999 };
const results = [
  { name: 'siglip-web q8', isOurs: true, image: times(10), text1: times(4), ...rightly },
  { name: 'siglip-web f32', isOurs: true, error: 'no memory' },
  {
    name: 'transformers.js fp32',
    isOurs: false,
    image: times(25),
    images8: times(100),
    text1: times(3),
    ...rightly,
  },
  { name: 'transformers.js fp16', isOurs: false, error: 'no f16' },
];

test('each of ours is compared with each other, where both were measured', () => {
  assert.deepEqual(speedups(results, false), [
    { ours: 'siglip-web q8', other: 'transformers.js fp32', image: 2.5, text1: 0.75 },
  ]);
});

for (const wrong of [{ cosine: 0.98 }, { cosine: NaN }, { textCosine: 0.5 }]) {
  test(`a contestant whose embeddings have ${JSON.stringify(wrong)} is compared with none`, () => {
    for (const isOurs of [true, false]) {
      const list = results.map((result) => (result.isOurs === isOurs ? { ...result, ...wrong } : result));
      assert.deepEqual(speedups(list, false), []);
    }
  });
}

test('nothing is compared on a software adapter', () => assert.deepEqual(speedups(results, true), []));

test('contestants take turns', () => {
  const options = { model: 'm', rounds: 1, warm: 1, runs: 1, seconds: 1, text: true, batch: true, only: '' };
  assert.deepEqual(
    contestantsOf(options).map(({ name }) => name),
    ['siglip-web q8', 'siglip-web f32'],
  );
  const peer = { script: 's', model: 'p', fused: 'fused' };
  assert.deepEqual(
    contestantsOf({ ...options, peer }).map(({ isOurs }) => isOurs),
    [true, false, true, false, false, false],
  );
  assert.deepEqual(
    contestantsOf({ ...options, peer, only: 'fp16' }).map(({ name, options }) => [name, options.subfolder]),
    [
      ['transformers.js fp16', 'onnx'],
      ['transformers.js fp16, fused', 'fused'],
    ],
  );
});
