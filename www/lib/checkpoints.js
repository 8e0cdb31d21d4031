/** The published checkpoints, and the addresses of models. */
import { tinyModel } from '../addresses.js';

const hub = 'https://huggingface.co/';

/**
 * A published checkpoint.
 * @typedef {object} Checkpoint
 * @property {string} id its name at the model hub
 * @property {string} label its name for people
 * @property {number} bytes to download
 * @property {boolean} multilingual whether labels may be in many languages
 * @property {boolean} quantized whether its files are in 8 bits, made by others of one of google's checkpoints
 */

/** `bytes` are those of the f32 weights and the tokenizer. @type {[name: string, label: string, bytes: number, multilingual?: boolean][]} */
const published = [
  ['siglip-base-patch16-224', 'Base, 224 px', 815e6],
  ['siglip-base-patch16-256', 'Base, 256 px', 815e6],
  ['siglip-base-patch16-384', 'Base, 384 px', 816e6],
  ['siglip-base-patch16-512', 'Base, 512 px', 818e6],
  ['siglip-base-patch16-256-multilingual', 'Base, 256 px, many languages', 1499e6, true],
  ['siglip-large-patch16-256', 'Large, 256 px', 2611e6],
  ['siglip-large-patch16-384', 'Large, 384 px', 2612e6],
  ['siglip-so400m-patch14-224', 'Shape-optimised 400M, 224 px', 3512e6],
  ['siglip-so400m-patch14-384', 'Shape-optimised 400M, 384 px', 3514e6],
  ['siglip2-base-patch16-224', 'SigLIP 2 base, 224 px', 1535e6, true],
  ['siglip2-base-patch16-256', 'SigLIP 2 base, 256 px', 1535e6, true],
  ['siglip2-base-patch16-384', 'SigLIP 2 base, 384 px', 1536e6, true],
  ['siglip2-base-patch16-512', 'SigLIP 2 base, 512 px', 1538e6, true],
  ['siglip2-base-patch16-naflex', 'SigLIP 2 base, aspect kept', 1535e6, true],
  ['siglip2-large-patch16-256', 'SigLIP 2 large, 256 px', 3561e6, true],
  ['siglip2-large-patch16-384', 'SigLIP 2 large, 384 px', 3562e6, true],
  ['siglip2-so400m-patch16-256', 'SigLIP 2 400M, 256 px', 4579e6, true],
  ['siglip2-so400m-patch16-naflex', 'SigLIP 2 400M, aspect kept', 4579e6, true],
];

/**
 * Repositories for transformers.js with one of these checkpoints in 8 bits, a quarter of the bytes. The hashes of their files
 * are known for one revision, which many programs pin.
 * @type {{original: string, id: string, revision: string, label: string, bytes: number, multilingual?: boolean}[]}
 */
const quantized = [
  {
    original: 'google/siglip-base-patch16-224',
    id: 'Xenova/siglip-base-patch16-224',
    revision: '4649052661e53c7000355844105f8a1792088239',
    label: 'Base, 224 px, in 8 bits',
    bytes: 213e6,
  },
  {
    original: 'google/siglip2-base-patch16-224',
    id: 'onnx-community/siglip2-base-patch16-224-ONNX',
    revision: 'ba1f3b0843f24bc5417d38e19c37b287d719b2f4',
    label: 'SigLIP 2 base, 224 px, in 8 bits',
    bytes: 412e6,
    multilingual: true,
  },
];

/** The published checkpoints that this library runs. @type {Checkpoint[]} */
export const checkpoints = [
  ...published.map(([name, label, bytes, multilingual = false]) => ({
    id: `google/${name}`,
    label,
    bytes,
    multilingual,
    quantized: false,
  })),
  ...quantized.map(({ id, label, bytes, multilingual = false }) => ({
    id,
    label,
    bytes,
    multilingual,
    quantized: true,
  })),
];

/**
 * The hub id of the same checkpoint in fewer bytes, where one is known.
 * @param {string} model
 * @returns {string | undefined}
 */
export const smallOf = (model) => quantized.find(({ original }) => original === model)?.id;

/** @param {any} model */
export const isHubId = (model) => /^[\w.-]+\/[\w.-]+$/.test(model) && !/^\.|\.(gguf|onnx)$/.test(model);

/**
 * The address of a model: the URL of its folder, with a slash at the end, or of its .gguf or .onnx.
 * @param {string} model `tiny`, a hub id, or a URL
 * @param {string} [baseUrl] the address of another hub
 */
export function folderOf(model, baseUrl = hub) {
  if (model === 'tiny') return tinyModel();
  if (isHubId(model)) {
    const revision = quantized.find(({ id }) => id === model)?.revision ?? 'main';
    return `${withSlash(absolute(baseUrl))}${model}/resolve/${revision}/`;
  }
  return /\.(gguf|onnx)$/.test(model) ? absolute(model) : withSlash(absolute(model));
}

/** Whether a hub id is that of a repository for transformers.js. @param {any} model */
export const isOnnxRepository = (model) => isHubId(model) && /^(Xenova|onnx-community)\/|-ONNX$/.test(model);

/**
 * The address of the weights that a repository for transformers.js was made of: they have the scale and bias, which the
 * files of single towers lack.
 * @param {string} model
 * @param {string} [baseUrl]
 */
export function originalOf(model, baseUrl = hub) {
  const [, name] = /^(?:Xenova|onnx-community)\/(.*?)(?:-ONNX)?$/.exec(model) ?? [];
  return name && `${folderOf(`google/${name}`, baseUrl)}model.safetensors`;
}

/** A worker of the page's own, which has no document, may load models too. @param {string} url */
export const absolute = (url) => new URL(url, globalThis.document?.baseURI ?? globalThis.location?.href).href;

/** @param {string} url */
const withSlash = (url) => (url.endsWith('/') ? url : `${url}/`);
