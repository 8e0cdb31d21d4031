/** Checkpoints to serve: the small random one of the fixtures, in variations. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileAt } from '../harness.js';

/** A checkpoint's files by name. @typedef {Record<string, Buffer>} Files */

export const WEIGHTS = 'model.safetensors';
export const INDEX = 'model.safetensors.index.json';

/** @param {string} folder @returns {Files} */
export const readCheckpoint = (folder) =>
  Object.fromEntries(
    ['config.json', 'preprocessor_config.json', 'tokenizer.json', WEIGHTS].map((name) => [
      name,
      readFileSync(fileAt(`${folder}/${name}`)),
    ]),
  );

/** @param {Buffer} bytes */
export const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

/** @param {Buffer} file */
const headerLength = (file) => 8 + Number(file.readBigUInt64LE(0));

/** The same with other weights: a bit of every mantissa is another. @param {Files} files @returns {Files} */
export function otherWeights(files) {
  const weights = Buffer.from(files[WEIGHTS]);
  for (let i = headerLength(weights) + 2; i < weights.length; i += 4) weights[i] ^= 0x20;
  return { ...files, [WEIGHTS]: weights };
}

/** The same in several weight files. @param {Files} files @param {number} count @returns {Files} */
export function sharded({ [WEIGHTS]: weights, ...files }, count) {
  const start = headerLength(weights);
  /** @type {Record<string, {dtype: string, shape: number[], data_offsets: [number, number]}>} */
  const header = JSON.parse(weights.toString('utf8', 8, start));
  const names = Object.keys(header).filter((name) => name !== '__metadata__');
  const shards = Array.from({ length: count }, (_, shard) => names.filter((_, i) => i % count === shard));
  const name = (/** @type {number} */ shard) =>
    `model-${String(shard + 1).padStart(5, '0')}-of-${String(count).padStart(5, '0')}.safetensors`;
  /** @type {Record<string, string>} */
  const weight_map = {};
  shards.forEach((names, shard) => {
    /** @type {Record<string, object>} */
    const own = {};
    const parts = [];
    let position = 0;
    for (const tensor of names) {
      const { data_offsets, ...rest } = header[tensor];
      const part = weights.subarray(start + data_offsets[0], start + data_offsets[1]);
      own[tensor] = { ...rest, data_offsets: [position, position + part.length] };
      weight_map[tensor] = name(shard);
      position += part.length;
      parts.push(part);
    }
    const json = Buffer.from(JSON.stringify(own));
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(json.length));
    files[name(shard)] = Buffer.concat([length, json, ...parts]);
  });
  files[INDEX] = Buffer.from(
    JSON.stringify({ metadata: { total_size: weights.length - start }, weight_map }),
  );
  return files;
}

/** The same with a vocabulary of so many tokens, of which no text has the new ones. @param {Files} files @param {number} count @returns {Files} */
export function withVocabulary(files, count) {
  const name = 'text_model.embeddings.token_embedding.weight';
  const [weights, start] = [files[WEIGHTS], headerLength(files[WEIGHTS])];
  const header = JSON.parse(weights.toString('utf8', 8, start));
  const parts = [];
  let position = 0;
  for (const [tensor, entry] of Object.entries(header)) {
    if (tensor === '__metadata__') continue;
    const [from, to] = entry.data_offsets;
    let part = weights.subarray(start + from, start + to);
    if (tensor === name) {
      part = Buffer.alloc((part.length / entry.shape[0]) * count, part);
      entry.shape[0] = count;
    }
    entry.data_offsets = [position, (position += part.length)];
    parts.push(part);
  }
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  const config = JSON.parse(files['config.json'].toString());
  config.text_config.vocab_size = count;
  return {
    ...files,
    'config.json': Buffer.from(JSON.stringify(config)),
    [WEIGHTS]: Buffer.concat([length, json, ...parts]),
  };
}
