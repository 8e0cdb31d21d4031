/**
 * Records what transformers.js answers to calls.js: `npm install @huggingface/transformers@4.3.1` in FOLDER, then
 *
 *     python3 bench/peer/make_onnx.py CHECKPOINT
 *     node tests/npm/transformers/record.js FOLDER CHECKPOINT
 *
 * CHECKPOINT is a copy of tests/fixtures/random-small, whose ONNX files in single precision the first command makes. Those of
 * tests/fixtures/onnx are combined, and lie in a folder of their own here as on the hub.
 */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { answers } from './calls.js';

const [folder, checkpoint] = process.argv.slice(2).map((path) => resolve(path));
const root = fileURLToPath(new URL('../../..', import.meta.url));
const models = mkdtempSync(join(tmpdir(), 'transformers-'));
cpSync(checkpoint, join(models, 'towers'), { recursive: true });
cpSync(join(root, 'tests/fixtures/onnx'), join(models, 'combined'), { recursive: true });
mkdirSync(join(models, 'combined/onnx'));
cpSync(
  join(root, 'tests/fixtures/onnx/raw/model_quantized.onnx'),
  join(models, 'combined/onnx/model_quantized.onnx'),
);
// transformers.js needs this file, which the fixture has not.
const tokenizer = JSON.parse(readFileSync(join(checkpoint, 'tokenizer_config.json'), 'utf8'));
writeFileSync(
  join(models, 'combined/tokenizer_config.json'),
  JSON.stringify({ ...tokenizer, model_max_length: 64 }),
);

const entry = join(folder, 'node_modules/@huggingface/transformers/dist/transformers.node.mjs');
const library = await import(pathToFileURL(entry).href);
Object.assign(library.env, { allowRemoteModels: false, localModelPath: `${models}/` });
const recorded = await answers(library, {
  towers: 'towers',
  combined: 'combined',
  fitting: join(root, 'tests/npm/transformers/fitting.png'),
  photo: join(root, 'www/samples/cat.jpg'),
});
const rounded = (/** @type {unknown} */ _key, /** @type {any} */ value) =>
  typeof value === 'number' ? Number(value.toPrecision(8)) : value;
writeFileSync(
  join(root, 'tests/npm/transformers/answers.json'),
  `${JSON.stringify({ library: `transformers.js ${library.env.version}`, answers: recorded }, rounded)}\n`,
);
