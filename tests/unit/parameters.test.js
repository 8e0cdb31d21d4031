import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkpoints, folderOf } from '../../www/lib/checkpoints.js';
import { withDtype } from '../../www/lib/dtype.js';
import { loadParametersOf, modelNameOf, scoreParametersOf } from '../../www/lib/parameters.js';
import { sourced } from '../../www/lib/source.js';
import { definePage } from './page-globals.js';

test('a model is a name at the hub, a URL, or one that is relative to the page', (context) => {
  definePage(context);
  const hub = 'https://huggingface.co/google/siglip-base-patch16-224/resolve/main/';
  assert.equal(folderOf('google/siglip-base-patch16-224'), hub);
  assert.equal(folderOf('a/b', '/mirror'), 'https://example.org/mirror/a/b/resolve/main/');
  assert.equal(folderOf('https://example.net/m'), 'https://example.net/m/');
  assert.equal(folderOf('./models/mine/'), 'https://example.org/app/models/mine/');
  assert.equal(folderOf('../m.gguf'), 'https://example.org/m.gguf');
  assert.match(folderOf('tiny'), /\/www\/models\/tiny\/$/);
});

test('every published checkpoint has its own address', (context) => {
  definePage(context);
  assert.equal(new Set(checkpoints.map(({ id }) => folderOf(id))).size, checkpoints.length);
});

test('options that are left out, or undefined, have defaults', () => {
  const { source, ...parameters } = loadParametersOf('tiny', { precision: undefined });
  assert.match(String(source), /tiny/);
  assert.deepEqual(parameters, {
    // The embedded model is too small to be divided.
    workers: 1,
    device: 'cpu',
    options: {
      precision: 'q8',
      imageSize: undefined,
      maxPatches: undefined,
      cache: true,
      towers: 'both',
      ready: 'both',
      headers: {},
      sha256: {},
      onnx: { vision: 'q8', text: 'q8', first: false, original: undefined },
      stallTimeout: 30_000,
      retryDelay: 500,
    },
  });
});

test('models for transformers.js have a pinned revision, and the address of what they were made of', (context) => {
  definePage(context);
  const id = 'onnx-community/siglip2-base-patch16-224-ONNX';
  const hub = 'https://huggingface.co/';
  const revision = 'ba1f3b0843f24bc5417d38e19c37b287d719b2f4';
  assert.equal(folderOf(id), `${hub}${id}/resolve/${revision}/`);
  assert.equal(folderOf('/m/onnx/model_q4.onnx'), 'https://example.org/m/onnx/model_q4.onnx');
  const { onnx } = loadParametersOf(id, {}).options;
  const original = `${hub}google/siglip2-base-patch16-224/resolve/main/model.safetensors`;
  assert.deepEqual(onnx, { vision: 'q8', text: 'q8', first: true, original });
});

test('dtype chooses files by the names of transformers.js', (context) => {
  definePage(context);
  const chosen = (/** @type {any} */ dtype, model = 'a/b') =>
    loadParametersOf(model, withDtype({ dtype })).options;
  assert.deepEqual([chosen('auto').onnx.vision, chosen('auto').precision], ['q8', 'q8']);
  assert.deepEqual([chosen('fp32').onnx.text, chosen('fp32').precision], ['fp32', 'f32']);
  const four = chosen('q4f16').onnx;
  assert.deepEqual([four.vision, four.text], ['q4f16', 'q8']);
  const wished = chosen({ vision_model: 'q4', text_model: 'q4' }).onnx;
  assert.equal(wished.text, 'q4');
  assert.equal(chosen('q8', 'google/siglip-base-patch16-224').onnx.first, false, 'there are none');
  assert.throws(() => chosen('q3'), { code: 'bad-input', message: /fp16/ });
});

test('source "small" takes the files in 8 bits of the same checkpoint, where they are known', async (context) => {
  definePage(context);
  const google = 'google/siglip-base-patch16-224';
  assert.equal(await sourced(google, { source: 'small' }), 'Xenova/siglip-base-patch16-224');
  assert.equal(await sourced(google, { source: 'original' }), google);
  // No connection is known here, so none is costly.
  assert.equal(await sourced(google, { source: 'auto' }), google);
  await assert.rejects(sourced('tiny', { source: 'small' }), { code: 'bad-input', message: /tiny/ });
  await assert.rejects(sourced([], { source: 'small' }), { code: 'bad-input' });
  await assert.rejects(sourced(google, /** @type {any} */ ({ source: 'tiny' })), { code: 'bad-input' });
});

test('a single hash belongs to model.safetensors', () => {
  const { options } = loadParametersOf('tiny', { sha256: 'abc' });
  assert.deepEqual(options.sha256, { 'model.safetensors': 'abc' });
});

test('files are passed by name', () => {
  const files = ['config.json', 'model.safetensors'].map((name) => new File(['x'], name));
  const { source } = loadParametersOf(files, {});
  assert.ok(source instanceof Map);
  assert.deepEqual([...source.keys()], ['config.json', 'model.safetensors']);
  assert.equal(modelNameOf(files), 'config.json, model.safetensors');
  assert.equal(modelNameOf('tiny'), 'tiny');
});

test('a wrong model, number of workers, label, template, topK or threshold is refused', (context) => {
  definePage(context);
  const refused = { name: 'SiglipError', code: 'bad-input' };
  const any = (/** @type {unknown} */ value) => /** @type {any} */ (value);
  for (const model of [undefined, 5, [], ['config.json'], 'https://']) {
    assert.throws(() => loadParametersOf(any(model), {}), refused, `model ${model}`);
  }
  for (const workers of [0, -1, 1.5, NaN, 'many', null]) {
    assert.throws(() => loadParametersOf('tiny', { workers: any(workers) }), refused, `workers ${workers}`);
  }
  for (const labels of ['a cat', [1], undefined, null]) {
    assert.throws(() => scoreParametersOf(any(labels), {}), refused, `labels ${labels}`);
  }
  for (const options of [
    { template: 5 },
    { template: ['{}', 5] },
    { topK: -1 },
    { topK: 1.5 },
    { threshold: 2 },
    { threshold: NaN },
  ]) {
    assert.throws(() => scoreParametersOf(['a'], any(options)), refused, JSON.stringify(options));
  }
});

test('a question keeps its labels and options', () => {
  assert.deepEqual(scoreParametersOf(['a', 'b'], { topK: 0, threshold: 1 }), {
    labels: ['a', 'b'],
    template: ['This is a photo of {}.'],
    topK: 0,
    threshold: 1,
    scale: undefined,
    bias: undefined,
    relative: false,
  });
});
