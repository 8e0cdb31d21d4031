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
 * @property {boolean} gated whether its terms have to be accepted at the hub: then `headers` names who asks
 */

/**
 * A name's start at google's part of the hub, the name for people, the megabytes of the f32 weights and the tokenizer, and how
 * each name ends. docs/models.md has the shapes.
 * @type {[name: string, label: string, megabytes: number, ends: string][]}
 */
const published = [
  ['siglip-base-patch16', 'Base', 815, '224 256 384 512'],
  ['siglip-base-patch16', 'Base', 1499, '256-multilingual'],
  ['siglip-large-patch16', 'Large', 2611, '256 384'],
  ['siglip-so400m-patch14', 'Shape-optimised 400M', 3513, '224 384'],
  ['siglip-so400m-patch16', 'Shape-optimised 400M', 4531, '256-i18n'],
  ['siglip2-base-patch32', 'SigLIP 2 base, large patches', 1542, '256'],
  ['siglip2-base-patch16', 'SigLIP 2 base', 1536, '224 256 384 512 naflex'],
  ['siglip2-large-patch16', 'SigLIP 2 large', 3562, '256 384 512'],
  ['siglip2-so400m-patch14', 'SigLIP 2 400M, small patches', 4577, '224 384'],
  ['siglip2-so400m-patch16', 'SigLIP 2 400M', 4578, '256 384 512 naflex'],
  ['siglip2-giant-opt-patch16', 'SigLIP 2 giant', 7521, '256 384'],
  ['medsiglip', 'MedSigLIP', 3516, '448'],
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
  ...published.flatMap(([name, label, megabytes, ends]) =>
    ends.split(' ').map((end) => {
      const [side, ...more] = end.split('-');
      return {
        id: `google/${name}-${end}`,
        label: `${label}, ${+side ? `${side} px` : 'aspect kept'}${more[0] ? ', many languages' : ''}`,
        bytes: megabytes * 1e6,
        multilingual: !!more[0] || name[6] === '2',
        quantized: false,
        gated: name[0] === 'm',
      };
    }),
  ),
  ...quantized.map((files) => ({ multilingual: false, ...files, quantized: true, gated: false })),
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
