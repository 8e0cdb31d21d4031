/** What servers and tools put in the place of a checkpoint's file: it is named, with the way out. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Harness, fileAt } from '../harness.js';
import { INDEX, WEIGHTS, sharded } from './checkpoint.js';
import { FakeHub, load, patient, small } from './fake-hub.js';

const harness = new Harness();

const html = '<!doctype html><title>Sign in</title><form></form>';
const pointer = 'version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 812672320\n';
const json = '{"error": "Repository not found"}';

test('a page, a pointer or JSON in the place of a file is named', async () => {
  const page = await harness.open({ path: '/tests/browser/pages/blank.html' });
  const hub = new FakeHub();
  harness.server.intercept = hub.at('/run/');
  /** @type {[file: string, content: string, code: string, message: RegExp][]} */
  const cases = [
    [WEIGHTS, html, 'bad-weights', /model\.safetensors: .*HTML page.*check the address/],
    [WEIGHTS, pointer, 'bad-weights', /model\.safetensors: .*Git LFS pointer.*git lfs pull/],
    [WEIGHTS, json, 'bad-weights', /model\.safetensors: .*JSON.*Repository not found.*choose/],
    ['config.json', html, 'unsupported-model', /config\.json: .*HTML page/],
    ['preprocessor_config.json', html, 'unsupported-model', /preprocessor_config\.json: .*HTML page/],
    ['tokenizer.json', html, 'unsupported-model', /tokenizer\.json: .*HTML page/],
    ['tokenizer.json', pointer, 'unsupported-model', /tokenizer\.json: .*git lfs pull/],
  ];
  for (const [file, content, code, message] of cases) {
    hub.files = { ...small, [file]: Buffer.from(content) };
    const outcome = await load(page, '/run/', patient);
    assert.equal(outcome.code, code, `${file}: ${outcome.message}`);
    assert.match(outcome.message ?? '', message);
  }
  hub.files = small;
  assert.ok((await load(page, '/run/', patient)).embeddings, 'nothing of it was cached');
});

test('a GGUF that was cut short says so, wherever the cut is', async () => {
  const page = await harness.open({ path: '/tests/browser/pages/blank.html' });
  const whole = readFileSync(fileAt('tests/fixtures/random-small/model.f16.gguf'));
  const hub = new FakeHub();
  harness.server.intercept = hub.at('/run/');
  for (const length of [3, 20, 100, 5000, whole.length >> 1, whole.length - 1000]) {
    hub.files = { 'model.gguf': whole.subarray(0, length) };
    // The server says that this is all of it.
    const fetched = await load(page, '/run/model.gguf', { ...patient, retryDelay: 1 });
    assert.ok(['bad-weights', 'network'].includes(fetched.code ?? ''), fetched.message);
    assert.match(fetched.message ?? '', /cut short|ended after/);

    const chosen = await page.evaluate(
      async (bytes) => {
        const { Siglip } = await import('/www/siglip.js');
        try {
          await Siglip.load(new File([new Uint8Array(bytes)], 'model.gguf'), { workers: 1 });
        } catch (error) {
          const { code, message } = /** @type {import('/www/siglip.js').SiglipError} */ (error);
          return { code, message };
        }
      },
      [...whole.subarray(0, Math.min(length, 20_000))],
    );
    assert.equal(chosen?.code, 'bad-weights');
    assert.match(chosen?.message ?? '', /model\.gguf: .*cut short/);
  }
});

test('configurations with null and an index with a float size load', async () => {
  const page = await harness.open({ path: '/tests/browser/pages/blank.html' });
  const hub = new FakeHub();
  harness.server.intercept = hub.at('/run/');
  const expected = await load(page, '/run/', patient);
  assert.ok(expected.embeddings, expected.message);

  const config = JSON.parse(small['config.json'].toString());
  config.text_config.pad_token_id = null;
  const files = sharded({ ...small, 'config.json': Buffer.from(JSON.stringify(config)) }, 2);
  const index = JSON.parse(files[INDEX].toString());
  index.metadata.total_size += 0.5;
  files[INDEX] = Buffer.from(JSON.stringify(index));
  hub.files = files;
  const found = await load(page, '/run/', { ...patient, cache: false });
  assert.equal(found.embeddings, expected.embeddings, found.message);
});
