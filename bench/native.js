/**
 * Times native engines: node bench/native.js --program FILE --model DIR [--peer] [--runs N] [--only NAME] [--json] [--record].
 * `cargo xtask bench --native` prepares what it needs.
 */
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import readline from 'node:readline';
import { parseArgs } from 'node:util';
import { leastCosine } from './gpu/statistics.js';
import { reportOf, slug, writeRecord } from './record.js';

/** Engines and what they compute in. Those of a group take turns. @type {Record<string, string[]>} */
const groups = {
  '8 bits': [
    'siglip q8',
    'siglip q8-exact',
    'litert int8',
    'litert static',
    'openvino int8',
    'onnxruntime int8',
  ],
  floats: ['siglip f32', 'siglip bf16', 'litert f32', 'openvino f32', 'openvino bf16', 'onnxruntime f32'],
};
/** Labels of a pass. */
const TEXTS = 8;
/** Passes of a turn. */
const PASSES = 5;
/** So many milliseconds of passes before them are not counted: threads that begin to work find a processor each only after a while. */
const WARM = 1000;

const { values } = parseArgs({
  options: {
    program: { type: 'string', default: '' },
    model: { type: 'string', default: '' },
    peer: { type: 'boolean', default: false },
    runs: { type: 'string', default: '15' },
    only: { type: 'string', default: '' },
    json: { type: 'boolean', default: false },
    record: { type: 'boolean', default: false },
  },
});

/** A process that answers lines with times. It rests between its turns, because some engines' threads spin while they wait. */
class Contender {
  /** @type {{version: string, image: number[], text: number[]} | undefined} */
  ready;
  #child;
  #lines;

  /**
   * @param {string} name
   * @param {number} threads
   */
  constructor(name, threads) {
    this.name = name;
    const [engine, kind] = name.split(' ');
    const given = [String(threads), values.model, files.image, files.text];
    this.#child =
      engine === 'siglip'
        ? spawn(values.program, [kind, ...given])
        : spawn(python, ['bench/peer/contender.py', `${engine}-${kind}`, ...given]);
    let complaint = '';
    this.#child.stderr.on('data', (text) => (complaint += text));
    this.complaint = () => complaint.trim().split('\n').at(-1);
    this.#lines = readline.createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  async start() {
    const { value } = await this.#lines.next();
    this.ready = value && JSON.parse(value);
    this.#child.kill('SIGSTOP');
  }

  /** The milliseconds of some passes. @param {'image' | 'text'} tower */
  async turn(tower) {
    this.#child.kill('SIGCONT');
    const pass = async () => {
      this.#child.stdin.write(`${tower}\n`);
      return Number((await this.#lines.next()).value);
    };
    for (let spent = 0; spent < WARM;) spent += await pass();
    const times = [];
    while (times.length < PASSES) times.push(Number((await pass()).toFixed(1)));
    this.#child.kill('SIGSTOP');
    return times;
  }

  end() {
    this.#child.kill('SIGKILL');
  }
}

/** One that has the other engines. */
const python = values.peer ? preparePeers() : '';
const files = writeInputs();
const reference = await embeddings(values.peer ? 'onnxruntime f32' : 'siglip f32');
/** @type {any[]} */
const results = [];
for (const threads of new Set([1, os.cpus().length])) {
  for (const [group, names] of Object.entries(groups)) {
    process.stderr.write(`▸ ${group}, threads: ${threads}\n`);
    results.push(...(await contest(names.filter(isWanted), threads)));
  }
}
const report = reportOf(results);
if (values.json) console.log(JSON.stringify(report, null, 1));
else printTable();
if (values.record) writeRecord(`${slug(report.cpu)}/${report.date}-native`, report);

/** @param {string} name */
function isWanted(name) {
  return name.includes(values.only) && (values.peer || name.startsWith('siglip'));
}

function preparePeers() {
  const script = new URL('./peer/run.sh', import.meta.url).pathname;
  return execFileSync(script, [values.model, '--native'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  }).trim();
}

/** The picture of bench/page.js as pixel values, and ids of labels, in files. */
function writeInputs() {
  const config = JSON.parse(fs.readFileSync(path.join(values.model, 'config.json'), 'utf8'));
  const side = config.vision_config.image_size ?? 224;
  const length = config.text_config.max_position_embeddings ?? 64;
  const vocabulary = config.text_config.vocab_size ?? 32000;
  const pixelValues = new Float32Array(3 * side * side);
  for (let pixel = 0; pixel < side * side; pixel++) {
    for (let channel = 0; channel < 3; channel++) {
      const value = Math.round(128 + 115 * Math.sin(0.37 * (4 * pixel + channel)));
      pixelValues[channel * side * side + pixel] = value / 127.5 - 1;
    }
  }
  const inputIds = Uint32Array.from({ length: TEXTS * length }, (_, i) =>
    i % length < 8 ? 3 + ((i * 7919) % (vocabulary - 3)) : 1,
  );
  const [image, text] = ['pixel_values', 'input_ids'].map((name) => path.join(values.model, name));
  fs.writeFileSync(image, pixelValues);
  fs.writeFileSync(text, inputIds);
  return { image, text };
}

/** What an engine makes of the inputs. @param {string} name */
async function embeddings(name) {
  const contender = new Contender(name, os.cpus().length);
  await contender.start();
  contender.end();
  if (!contender.ready) throw new Error(`${name} did not start: ${contender.complaint()}`);
  return contender.ready;
}

/**
 * @param {string[]} names
 * @param {number} threads
 */
async function contest(names, threads) {
  /** @type {{contender: Contender, ready: NonNullable<Contender['ready']>, image: number[], text: number[]}[]} */
  const contenders = [];
  const failed = [];
  for (const name of names) {
    const contender = new Contender(name, threads);
    await contender.start();
    if (contender.ready) contenders.push({ contender, ready: contender.ready, image: [], text: [] });
    else failed.push({ name, threads, failure: contender.complaint() });
  }
  for (let run = 0; run < Number(values.runs); run += PASSES) {
    for (const { contender, image, text } of contenders) {
      image.push(...(await contender.turn('image')));
      text.push(...(await contender.turn('text')));
    }
  }
  const measured = contenders.map(({ contender, ready, image, text }) => {
    contender.end();
    return {
      name: contender.name,
      version: ready.version,
      threads,
      image: median(image),
      // A virtual machine's processors may share a core for minutes: then the least time tells more.
      imageLeast: Math.min(...image),
      text8: median(text),
      text8Least: Math.min(...text),
      imageCosine: cosine(ready.image, reference.image),
      textCosine: cosine(ready.text, reference.text),
    };
  });
  return [...measured, ...failed];
}

/** @param {number[]} times */
function median(times) {
  return [...times].sort((a, b) => a - b)[times.length >> 1];
}

/**
 * The least of several embeddings.
 * @param {number[]} found
 * @param {number[]} expected
 */
function cosine(found, expected) {
  const size = reference.image.length;
  const rows = (/** @type {number[]} */ values) =>
    Array.from({ length: values.length / size }, (_, row) => values.slice(row * size, (row + 1) * size));
  return Number(leastCosine(rows(found), rows(expected)).toFixed(6));
}

function printTable() {
  console.log(
    `base-patch16-256, random weights; ${report.cpu}, ${report.cores} cores, ${report.date}; milliseconds (median, least)\n`,
  );
  const width = (/** @type {unknown} */ value) => String(value).padStart(10);
  console.log(`${'threads'.padStart(28)}${['image', '', '8 labels', '', 'cosines'].map(width).join('')}`);
  for (const result of results) {
    const { name, threads, failure } = result;
    const { image, imageLeast, text8, text8Least, imageCosine, textCosine } = result;
    const figures = failure ? [failure] : [image, imageLeast, text8, text8Least, imageCosine, textCosine];
    console.log(`${name.padEnd(20)}${String(threads).padStart(8)}${figures.map(width).join('')}`);
  }
}
