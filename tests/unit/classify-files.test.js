import assert from 'node:assert/strict';
import { test } from 'node:test';
import { datasetIn, imagesAmong, looseImages, modelIn, namesOf } from '../../www/app/classify-files.js';

/**
 * Files by their paths.
 * @param {...(string | [path: string, type: string])} paths
 */
const found = (...paths) =>
  paths.map((entry) => {
    const [path, type] = typeof entry === 'string' ? [entry, ''] : entry;
    return { path, file: new File(['x'], path.split('/').pop() ?? path, { type }) };
  });

/** @param {File[]} files */
const names = (files) => files.map(({ name }) => name);

test('a .gguf is a model by itself', () => {
  const model = modelIn(found('models/tiny.gguf', 'models/cat.jpg'));
  assert.equal(model?.name, 'tiny.gguf');
  assert.deepEqual(names(model?.files ?? []), ['tiny.gguf']);
});

test('several models are refused', () => {
  assert.throws(() => modelIn(found('a.gguf', 'b.gguf')), { code: 'bad-input', message: /a\.gguf, b\.gguf/ });
  const two = found('x/a/config.json', 'x/b/config.json');
  assert.throws(() => modelIn(two), { code: 'bad-input', message: /several models/ });
});

test('a folder with config.json is a model, and a nested config.json is not a second one', () => {
  const files = found(
    ...['base/config.json', 'base/tokenizer.json', 'base/model.safetensors'],
    ...['base/onnx/config.json', 'base/onnx/model.safetensors'],
  );
  const model = modelIn(files);
  assert.equal(model?.name, 'base');
  assert.deepEqual(names(model?.files ?? []), ['config.json', 'tokenizer.json', 'model.safetensors']);
});

test("a folder of open_clip's is a model, and config.json goes before its file", () => {
  const openClip = ['b/open_clip_config.json', 'b/open_clip_model.safetensors', 'b/tokenizer.json'];
  assert.equal(modelIn(found(...openClip))?.name, 'b');
  const both = modelIn(found('b/config.json', ...openClip));
  assert.equal(both?.files.length, 4);
});

test('a single file of weights may have any name, but the shards of an index keep theirs', () => {
  const renamed = modelIn(found('m/config.json', 'm/epoch-7.safetensors'));
  assert.deepEqual(names(renamed?.files ?? []), ['config.json', 'model.safetensors']);
  const shard = 'model-00001-of-00001.safetensors';
  const indexed = modelIn(found('m/config.json', `m/${shard}`, 'm/model.safetensors.index.json'));
  assert.deepEqual(names(indexed?.files ?? []), ['config.json', shard, 'model.safetensors.index.json']);
});

test('a folder onnx belongs to the model beside it', () => {
  const onnx = ['m/onnx/model.onnx', 'm/onnx/model.onnx_data', 'm/onnx/readme.md'];
  const model = modelIn(found('m/config.json', ...onnx));
  assert.deepEqual(names(model?.files ?? []), ['config.json', 'model.onnx', 'model.onnx_data']);
  assert.throws(() => modelIn(found('model_quantized.onnx')), { code: 'bad-input', message: /config\.json/ });
});

test('weights without config.json are refused with the files that are missing', () => {
  assert.throws(() => modelIn(found('model.safetensors')), {
    code: 'bad-input',
    message: /preprocessor_config\.json/,
  });
  assert.equal(modelIn(found('cat.jpg')), undefined);
});

test('images are recognised by their type or their extension', () => {
  const files = found('a.JPG', 'b.webp', ['c.bin', 'image/png'], '.hidden.jpg', 'deep/d.avif');
  assert.deepEqual(names(imagesAmong(files)), ['a.JPG', 'b.webp', 'c.bin', '.hidden.jpg', 'd.avif']);
  assert.deepEqual(names(looseImages(files)), ['a.JPG', 'b.webp', 'c.bin']);
});

test('other files outside a folder count as images only if an image is among them', () => {
  assert.deepEqual(names(imagesAmong(found('cat.jpg', 'notes.txt', 'deep/notes.txt'))), [
    'cat.jpg',
    'notes.txt',
  ]);
  assert.deepEqual(names(imagesAmong(found('notes.txt'))), []);
  assert.deepEqual(names(imagesAmong(found('IMG_0001'))), ['IMG_0001']);
});

test('class folders are a dataset, sorted, with readable labels', () => {
  const dataset = datasetIn(
    found(
      ...['things/class_10/1.jpg', 'things/class-2/1.jpg', 'things/class-2/2.png'],
      ...['things/cover.jpg', 'things/class-2/notes.txt', 'things/empty/notes.txt'],
    ),
  );
  assert.equal(dataset?.name, 'things');
  assert.deepEqual(
    dataset?.classes.map(({ label, images }) => [label, images.length]),
    [
      ['class 2', 2],
      ['class 10', 1],
    ],
  );
});

test('folders with the same name are one class, and one class is not a dataset', () => {
  const split = datasetIn(found('d/train/cat/1.jpg', 'd/test/cat/2.jpg', 'd/train/dog/3.jpg'));
  assert.deepEqual(
    split?.classes.map(({ label, images }) => [label, images.length]),
    [
      ['cat', 2],
      ['dog', 1],
    ],
  );
  assert.equal(datasetIn(found('d/cat/1.jpg', 'd/cat/2.jpg')), undefined);
  assert.equal(datasetIn(found('cat/1.jpg', 'dog/2.jpg')), undefined);
});

test('an error message names the first three files', () => {
  assert.equal(namesOf(found('a', 'b')), 'a, b');
  assert.equal(namesOf(found('a', 'b', 'c', 'd', 'e')), 'a, b, c and 2 more');
});
