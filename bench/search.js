/**
 * Times the search in embeddings, on one thread: node bench/search.js [--kernels DIR] [--model DIR] [--runs N] [--json] [--record].
 * `cargo xtask bench --search` prepares what it needs, and has measured the native kernel just before: the kernel alone in Node.js,
 * and a whole index of a model of one layer in Chromium.
 */
import fs from 'node:fs';
import os from 'node:os';
import { parseArgs } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { slug, writeRecord } from './record.js';
import { measureInPage } from './search-page.js';

// Node.js 20 has relaxed SIMD behind a flag.
setFlagsFromString('--experimental-wasm-relaxed-simd');

const SIZE = 768;
const COUNTS = [100_000, 1_000_000];

const { values } = parseArgs({
  options: {
    kernels: { type: 'string', default: '' },
    model: { type: 'string', default: '' },
    runs: { type: 'string', default: '15' },
    json: { type: 'boolean', default: false },
    record: { type: 'boolean', default: false },
  },
});

/** The median of all runs; the least, which other programs disturb least; and the processor's time for one run. @typedef {{build: string, count: number, milliseconds: number, least?: number, processor?: number, megabytes?: number, importSeconds?: number, openSeconds?: number}} Result */

/** @type {Result[]} */
const results = [];
for (const count of values.kernels ? COUNTS : []) {
  const file = `target/criterion/search/${count}x${SIZE}/new/estimates.json`;
  const { median } = JSON.parse(fs.readFileSync(file, 'utf8'));
  results.push({ build: 'native', count, milliseconds: round(median.point_estimate / 1e6) });
}
for (const build of values.kernels ? fs.readdirSync(values.kernels) : []) {
  for (const count of COUNTS) results.push(await measured(build, count));
}
for (const count of values.model ? COUNTS : []) {
  const file = `target/bench/search-${count}.siglip-index`;
  const { milliseconds, processor, megabytes, seconds } = await measureInPage(
    count,
    values.model,
    file,
    Number(values.runs),
  );
  results.push({
    build: 'index in a page',
    count,
    ...summary(milliseconds),
    processor: round(processor),
    megabytes,
    importSeconds: round(seconds.import),
    openSeconds: round(seconds.open),
  });
}

if (values.json) console.log(JSON.stringify(results, undefined, 2));
else console.table(results);
if (values.record) {
  const cpu = os.cpus()[0].model;
  const date = new Date().toISOString().slice(0, 10);
  const record = { date, cpu, cores: os.cpus().length, size: SIZE, results };
  writeRecord(`${slug(cpu)}/${date}-search`, record);
}

/**
 * @param {string} build
 * @param {number} count
 */
async function measured(build, count) {
  const { instance } = await WebAssembly.instantiate(fs.readFileSync(`${values.kernels}/${build}`));
  const { prepare, search, memory } = /** @type {any} */ (instance.exports);
  prepare(SIZE, count);
  // V8 compiles the loop a second time while it runs.
  for (let i = 0; i < 3; i++) search();
  const times = Array.from({ length: Number(values.runs) }, () => {
    const start = performance.now();
    search();
    return performance.now() - start;
  });
  times.sort((a, b) => a - b);
  const megabytes = Math.round(memory.buffer.byteLength / 1e6);
  return {
    build: build.replace('.wasm', ''),
    count,
    ...summary(times),
    megabytes,
  };
}

/** @param {number[]} sorted */
function summary(sorted) {
  return { milliseconds: round(sorted[sorted.length >> 1]), least: round(sorted[0]) };
}

/** @param {number} value */
function round(value) {
  return Math.round(value * 10) / 10;
}
