/** A block of random weights, run by a plan on the GPU and by the simplest arithmetic in double precision. */
import { loadPlanner } from '/www/gpu-plan.js';
import { openDevice } from '/www/worker/gpu-device.js';
import { GpuTower } from '/www/worker/gpu-tower.js';
import { checkWeights } from '/www/worker/gpu-check.js';
import { WeightWriter } from '/www/worker/gpu-weights.js';

/** @typedef {{hidden: number, heads: number, middle: number, gelu: string, length: number, sequences: number, precision: 'q8' | 'f32', hasAllPrograms: boolean}} Shape */

/** Reproducible noise from -1 to 1. @param {number} seed */
function generator(seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return state / 2 ** 31;
  };
}

/** erf by its series. @param {number} x */
function erf(x) {
  if (Math.abs(x) > 6) return Math.sign(x);
  let [sum, term] = [x, x];
  for (let n = 1; n < 200; n++) {
    term *= (-x * x) / n;
    sum += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}

/** @type {Record<string, (x: number) => number>} */
const gelus = {
  gelu: (x) => 0.5 * x * (1 + erf(x / Math.SQRT2)),
  gelu_pytorch_tanh: (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
};

/** @param {number[]} x @param {{weight: number[][], bias: number[]}} layer */
const linear = (x, { weight, bias }) =>
  weight.map((row, i) => row.reduce((sum, value, k) => sum + value * x[k], bias[i]));

/** @param {number[]} x @param {{weight: number[], bias: number[]}} norm */
function layerNorm(x, { weight, bias }) {
  const mean = x.reduce((sum, value) => sum + value) / x.length;
  const variance = x.reduce((sum, value) => sum + (value - mean) ** 2, 0) / x.length;
  return x.map((value, i) => ((value - mean) / Math.sqrt(variance + 1e-6)) * weight[i] + bias[i]);
}

/**
 * Attention of one sequence's normed rows.
 * @param {number[][]} rows
 * @param {any} block
 * @param {number} heads
 */
function attend(rows, { q_proj, k_proj, v_proj, out_proj }, heads) {
  const [q, k, v] = [q_proj, k_proj, v_proj].map((layer) => rows.map((row) => linear(row, layer)));
  const width = q[0].length / heads;
  const context = rows.map((_, i) => {
    const row = new Array(q[0].length).fill(0);
    for (let head = 0; head < heads; head++) {
      const columns = [...Array(width).keys()].map((d) => head * width + d);
      const scores = k.map((key) => columns.reduce((sum, c) => sum + q[i][c] * key[c], 0) / Math.sqrt(width));
      const highest = Math.max(...scores);
      const weights = scores.map((score) => Math.exp(score - highest));
      const total = weights.reduce((sum, weight) => sum + weight);
      for (const c of columns) row[c] = v.reduce((sum, value, j) => sum + (weights[j] / total) * value[c], 0);
    }
    return row;
  });
  return context.map((row) => linear(row, out_proj));
}

/**
 * The greatest differences after attention and after the MLP, relative to the greatest value that each adds.
 * @param {Shape} shape
 * @param {number} seed
 */
export async function differences(
  { hidden, heads, middle, gelu, length, sequences, precision, hasAllPrograms },
  seed,
) {
  const random = generator(seed);
  /** The order of tensors in a block. @type {[string, number, number][]} */
  const layers = [
    ['layer_norm1', hidden, 1],
    ['self_attn.q_proj', hidden, hidden],
    ['self_attn.k_proj', hidden, hidden],
    ['self_attn.v_proj', hidden, hidden],
    ['self_attn.out_proj', hidden, hidden],
    ['layer_norm2', hidden, 1],
    ['mlp.fc1', middle, hidden],
    ['mlp.fc2', hidden, middle],
  ];
  // See `Sizes::to_text` in crates/siglip-gpu: no image tower, and a text tower of one block and no head.
  const [bytes, eps] = [16 * hidden * (hidden + middle), new Uint32Array(Float32Array.of(1e-6).buffer)[0]];
  const tower = [hidden, middle, 1, heads, length, eps, Number(gelu === 'gelu'), 0, 0];
  const tensors = layers.flatMap(([name, , inputs]) => [
    ...[`text_model.encoder.layers.0.${name}.weight`, inputs],
    ...[`text_model.encoder.layers.0.${name}.bias`, 1],
  ]);
  const sizes = [Number(precision === 'q8'), bytes, 0, ...tower, ...tensors, ''].join('\n');
  const plan = await (await loadPlanner())(sizes);
  const { device } = await openDevice(false);
  if (!plan.text) throw new Error('no text tower');
  const gpu = await GpuTower.create(device, plan.text);
  await gpu.compile();
  const writer = new WeightWriter(device, plan, { text: gpu });

  /** Writes a tensor of the block in two batches, and returns its rows. @param {number} index @param {number} rows @param {number} columns */
  const write = async (index, rows, columns) => {
    const { tensor } = plan.places[index];
    const isMatrix = columns > 1;
    const quantized = isMatrix && precision === 'q8';
    /** @type {number[][]} */
    const values = [];
    for (const [first, end] of [
      [0, rows >> 1],
      [rows >> 1, rows],
    ]) {
      const count = end - first;
      const bytes = new Uint8Array(16 + count * (quantized ? 4 + columns : 4 * columns));
      const view = new DataView(bytes.buffer);
      [tensor, first, count, +quantized].forEach((word, i) => view.setUint32(4 * i, word, true));
      for (let row = 0; row < count; row++) {
        const scale = Math.fround((1 + random() * 0.3) / 127 / Math.sqrt(columns));
        if (quantized) view.setFloat32(16 + 4 * row, scale, true);
        values.push(
          Array.from({ length: columns }, (_, column) => {
            const at = row * columns + column;
            if (quantized) {
              const level = Math.round(127 * random());
              view.setInt8(16 + 4 * count + at, level);
              return level * scale;
            }
            const value = Math.fround(isMatrix ? random() / Math.sqrt(columns) : random());
            view.setFloat32(16 + 4 * at, value, true);
            return value;
          }),
        );
      }
      await writer.write(bytes);
    }
    return values;
  };
  /** @type {any} */
  const block = {};
  let index = 0;
  for (const [name, outputs, inputs] of layers) {
    const weight = await write(index++, outputs, inputs);
    const bias = (await write(index++, outputs, 1)).flat();
    block[name.replace(/.*\./, '')] = { weight: inputs > 1 ? weight : weight.flat(), bias };
  }
  await checkWeights(device, plan.checksum, writer.sums);

  const x = Array.from({ length: sequences * length }, () =>
    Array.from({ length: hidden }, () => Math.fround(random())),
  );
  const input = { values: new Float32Array(x.flat()), sequences };
  // The norm, three kernels of attention, and the addition.
  const attended = await gpu.run(input, 5);
  const done = await gpu.run(input, 'firstBlock');
  const again = await gpu.run(input, 'firstBlock');
  const { programs } = gpu.plan;
  const others = [await gpu.run(input, 'firstBlock', programs[0])];
  if (hasAllPrograms) {
    for (const program of programs.slice(1)) others.push(await gpu.run(input, 'firstBlock', program));
    await gpu.choose();
    others.push(await gpu.run(input, 'firstBlock'));
  }
  // On a GPU that takes 50 ms for each dispatch, each is submitted by itself.
  const [{ dispatches, firstBlock: count }] = programs;
  gpu.limitSubmits(50 * dispatches.length);
  let submits = 0;
  const submit = device.queue.submit.bind(device.queue);
  device.queue.submit = (buffers) => (submits++, submit(buffers));
  const slowly = await gpu.run(input, 'firstBlock', programs[0]);
  const submitted = submits;
  // As much as fits into the memory, one sequence after the other.
  gpu.limitSubmits(1);
  gpu.plan.mostRows = 1;
  gpu.release();
  submits = 0;
  const divided = await gpu.runAll(input, 'firstBlock');
  const passes = submits;
  device.destroy();

  const normed = x.map((row) => layerNorm(row, block.layer_norm1));
  const added = Array.from({ length: sequences }, (_, i) =>
    normed.slice(i * length, (i + 1) * length),
  ).flatMap((rows) => attend(rows, block, heads));
  const middles = x.map((row, i) => row.map((value, j) => value + added[i][j]));
  const results = middles.map((row) => {
    const inner = linear(layerNorm(row, block.layer_norm2), block.fc1).map(gelus[gelu]);
    return linear(inner, block.fc2).map((value, j) => value + row[j]);
  });
  return {
    attention: difference(attended, middles, x),
    mlp: Math.max(
      ...[done, ...others, slowly, divided].map((values) => difference(values, results, middles)),
    ),
    isSame: [again, others[0], slowly].every((values) => done.every((value, i) => value === values[i])),
    hasShortSubmits: submitted === count,
    passes,
  };
}

/** @param {Float32Array} actual @param {number[][]} expected @param {number[][]} before */
function difference(actual, expected, before) {
  const [want, had] = [expected.flat(), before.flat()];
  const change = Math.max(...want.map((value, i) => Math.abs(value - had[i])));
  return Math.max(...want.map((value, i) => Math.abs(value - actual[i]))) / change;
}
