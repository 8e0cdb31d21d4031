/** Bundles for fixed labels, made of the embedded model as `siglip bundle` makes them, but in half precision, as its weights are. */
import { readFileSync } from 'node:fs';
import { fileAt } from '../harness.js';

const folder = 'www/models/tiny';
const [F16, STRING] = [1, 8];
const ALIGNMENT = 32;

/** @param {string} name */
const textOf = (name) => readFileSync(fileAt(`${folder}/${name}`), 'utf8');

/** @param {number} value */
const u32 = (value) => Buffer.from(Uint32Array.of(value).buffer);
/** @param {number | bigint} value */
const u64 = (value) => Buffer.from(BigUint64Array.of(BigInt(value)).buffer);
/** @param {string} value */
const text = (value) => Buffer.concat([u64(Buffer.byteLength(value)), Buffer.from(value)]);
/** @param {number} length */
const padding = (length) => Buffer.alloc((ALIGNMENT - (length % ALIGNMENT)) % ALIGNMENT);

/**
 * The image tower, scale and bias of the embedded model with these labels, as a GGUF.
 * @param {string} labels what `exportLabels` has returned
 */
export function bundleOf(labels) {
  const file = readFileSync(fileAt(`${folder}/model.safetensors`));
  const data = 8 + Number(file.readBigUInt64LE());
  /** @type {Record<string, {shape: number[], data_offsets: number[]}>} */
  const { __metadata__, ...tensors } = JSON.parse(file.toString('utf8', 8, data));
  const chosen = Object.entries(tensors).filter(([name]) => !name.startsWith('text_model.'));
  const pairs = {
    'general.architecture': 'siglip',
    'siglip.config_json': textOf('config.json'),
    'siglip.preprocessor_config_json': textOf('preprocessor_config.json'),
    'siglip.labels_json': labels,
  };
  const header = [Buffer.from('GGUF'), u32(3), u64(chosen.length), u64(Object.keys(pairs).length)];
  for (const [key, value] of Object.entries(pairs)) header.push(text(key), u32(STRING), text(value));
  const body = [];
  let offset = 0;
  for (const [name, { shape, data_offsets }] of chosen) {
    const bytes = file.subarray(data + data_offsets[0], data + data_offsets[1]);
    header.push(text(name), u32(shape.length), ...shape.toReversed().map(u64), u32(F16), u64(offset));
    body.push(bytes, padding(bytes.length));
    offset += bytes.length + padding(bytes.length).length;
  }
  const head = Buffer.concat(header);
  return Buffer.concat([head, padding(head.length), ...body]);
}
