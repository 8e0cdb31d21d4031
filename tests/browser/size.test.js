/** What a visitor downloads before engine and model, as `cargo xtask package` makes it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { bundle, library, page } from '../../scripts/bundle.js';
import { fileAt } from './harness.js';

const BUDGET = 15_000;

/** Bytes on the wire, the generated scripts beside the .wasm left out. @param {string[]} entries */
async function gzipped(entries) {
  const files = await bundle(fileAt('www'), entries);
  return files.reduce((sum, { contents }) => sum + gzipSync(contents, { level: 9 }).length, 0);
}

test('the library and the element stay within 15 KB', async () => {
  const bytes = await gzipped(library);
  assert.ok(bytes > 5000 && bytes <= BUDGET, `${bytes} bytes`);
});

test('what the page adds stays within 15 KB', async () => {
  const bytes = (await gzipped([...library, ...page])) - (await gzipped(library));
  assert.ok(bytes > 2500 && bytes <= BUDGET, `${bytes} bytes`);
});
