/**
 * A checkpoint of base-patch16-256's shape with random weights, made while it is served: what `siglip random --config
 * base-patch16-256 --seed 1` writes (crates/siglip/src/random.rs), to the last bit.
 */

const [HIDDEN, MLP, LAYERS, PATCH, SIDE, VOCABULARY, LENGTH] = [768, 3072, 12, 16, 256, 32_000, 64];
/** Numbers of a chunk. */
const CHUNK = 1 << 20;

/** @typedef {{name: string, shape: number[]}} Tensor */

/** @param {string} layer @param {number[]} shape @returns {Tensor[]} */
const pair = (layer, shape) => [
  { name: `${layer}.weight`, shape },
  { name: `${layer}.bias`, shape: shape.slice(0, 1) },
];

/** @param {string} owner */
const mlp = (owner) => [
  ...pair(`${owner}.mlp.fc1`, [MLP, HIDDEN]),
  ...pair(`${owner}.mlp.fc2`, [HIDDEN, MLP]),
];

/** @param {string} tower */
const blocks = (tower) =>
  Array.from({ length: LAYERS }, (_, layer) => {
    const block = `${tower}.encoder.layers.${layer}`;
    return [
      ...pair(`${block}.layer_norm1`, [HIDDEN]),
      ...['q', 'k', 'v', 'out'].flatMap((name) => pair(`${block}.self_attn.${name}_proj`, [HIDDEN, HIDDEN])),
      ...pair(`${block}.layer_norm2`, [HIDDEN]),
      ...mlp(block),
    ];
  }).flat();

/** @type {Tensor[]} */
const tensors = [
  { name: 'logit_scale', shape: [1] },
  { name: 'logit_bias', shape: [1] },
  { name: 'text_model.embeddings.token_embedding.weight', shape: [VOCABULARY, HIDDEN] },
  { name: 'text_model.embeddings.position_embedding.weight', shape: [LENGTH, HIDDEN] },
  ...blocks('text_model'),
  ...pair('text_model.final_layer_norm', [HIDDEN]),
  ...pair('text_model.head', [HIDDEN, HIDDEN]),
  ...pair('vision_model.embeddings.patch_embedding', [HIDDEN, 3, PATCH, PATCH]),
  { name: 'vision_model.embeddings.position_embedding.weight', shape: [(SIDE / PATCH) ** 2, HIDDEN] },
  ...blocks('vision_model'),
  ...pair('vision_model.post_layernorm', [HIDDEN]),
  { name: 'vision_model.head.probe', shape: [1, 1, HIDDEN] },
  { name: 'vision_model.head.attention.in_proj_weight', shape: [3 * HIDDEN, HIDDEN] },
  { name: 'vision_model.head.attention.in_proj_bias', shape: [3 * HIDDEN] },
  ...pair('vision_model.head.attention.out_proj', [HIDDEN, HIDDEN]),
  ...pair('vision_model.head.layernorm', [HIDDEN]),
  ...mlp('vision_model.head'),
];

const product = (/** @type {number[]} */ sides) => sides.reduce((all, side) => all * side, 1);

function header() {
  let position = 0;
  const entries = tensors.map(({ name, shape }) => {
    const data_offsets = [position, (position += 4 * product(shape))];
    return /** @type {const} */ ([name, { data_offsets, dtype: 'F32', shape }]);
  });
  const json = JSON.stringify(Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1))));
  const padded = Buffer.from(json.padEnd(Math.ceil(json.length / 8) * 8));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));
  return Buffer.concat([length, padded]);
}

/** @param {Tensor} tensor */
function meanOf({ name }) {
  if (name === 'logit_scale') return Math.fround(4.765);
  if (name === 'logit_bias') return Math.fround(-12.932);
  return name.includes('norm') && name.endsWith('.weight') ? 1 : 0;
}

/** @param {Tensor} tensor */
function deviationOf({ name, shape }) {
  if (name.startsWith('logit')) return 0;
  if (name.includes('norm')) return Math.fround(0.1);
  if ((name.includes('embedding.weight') && !name.includes('patch')) || name.endsWith('probe')) return 0.5;
  if (name.endsWith('bias')) return Math.fround(0.02);
  return Math.fround(1 / Math.fround(Math.sqrt(product(shape.slice(1)))));
}

/** The lower half of a product, whose upper half is returned. Numbers of 64 bits are halves of 32. */
let low = 0;

/** The product of two numbers of 32 bits. @param {number} a @param {number} b */
function multiply(a, b) {
  const [a0, a1, b0, b1] = [a & 0xffff, a >>> 16, b & 0xffff, b >>> 16];
  const first = a0 * b0;
  const middle = a1 * b0 + (first >>> 16);
  const other = a0 * b1 + (middle & 0xffff);
  low = (other << 16) | (first & 0xffff) | 0;
  return (a1 * b1 + Math.floor(middle / 0x10000) + Math.floor(other / 0x10000)) | 0;
}

/** The bytes of model.safetensors, in chunks. */
export function* randomBase() {
  yield header();
  let [high, lower] = [0, 1];
  const root = Math.fround(Math.sqrt(3));
  for (const tensor of tensors) {
    const [mean, deviation, length] = [meanOf(tensor), deviationOf(tensor), product(tensor.shape)];
    for (let start = 0; start < length; start += CHUNK) {
      const values = new Float32Array(Math.min(CHUNK, length - start));
      for (let i = 0; i < values.length; i++) {
        // SplitMix64.
        const sum = (lower >>> 0) + 0x7f4a7c15;
        high = (high + 0x9e3779b9 + (sum > 0xffffffff ? 1 : 0)) | 0;
        lower = sum | 0;
        let a = lower ^ ((lower >>> 30) | (high << 2));
        let b = high ^ (high >>> 30);
        b = (multiply(a, 0x1ce4e5b9) + Math.imul(a, 0xbf58476d) + Math.imul(b, 0x1ce4e5b9)) | 0;
        a = low;
        [a, b] = [a ^ ((a >>> 27) | (b << 5)), b ^ (b >>> 27)];
        b = (multiply(a, 0x133111eb) + Math.imul(a, 0x94d049bb) + Math.imul(b, 0x133111eb)) | 0;
        b ^= b >>> 31;
        const unit = (b >>> 8) / (1 << 24);
        values[i] = mean + Math.fround(Math.fround((2 * unit - 1) * root) * deviation);
      }
      yield Buffer.from(values.buffer);
    }
  }
}

/** The other files of the checkpoint, by name. */
export const smallFiles = () => {
  const special = ['<pad>', '</s>', '<unk>'];
  const characters = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i));
  const tokens = [...special, ...characters.filter((character) => !/[A-Z]/.test(character))];
  const added = special.map((content, id) => {
    const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
    return { id, content, ...flags };
  });
  const sequence = (/** @type {'A' | 'B'} */ id) => ({ Sequence: { id, type_id: 0 } });
  return {
    'config.json': { model_type: 'siglip', text_config: {}, vision_config: { image_size: SIDE } },
    'preprocessor_config.json': { size: { height: SIDE, width: SIDE }, resample: 3 },
    'tokenizer.json': {
      version: '1.0',
      truncation: null,
      padding: null,
      added_tokens: added,
      normalizer: { type: 'Lowercase' },
      pre_tokenizer: { type: 'Split', pattern: { Regex: '.' }, behavior: 'Isolated', invert: false },
      post_processor: {
        type: 'TemplateProcessing',
        single: [sequence('A'), { SpecialToken: { id: '</s>', type_id: 0 } }],
        pair: [sequence('A'), sequence('B')],
        special_tokens: { '</s>': { id: '</s>', ids: [1], tokens: ['</s>'] } },
      },
      decoder: null,
      model: {
        type: 'WordLevel',
        vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
        unk_token: '<unk>',
      },
    },
  };
};
