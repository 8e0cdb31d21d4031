/** What a visitor downloads before the model, minified as hosts are given it. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { minified } from '../../scripts/minify.js';
import { fileAt } from './harness.js';

const BUDGET = 15_000;

/**
 * The scripts that `entries` come to import or start, the generated ones beside the .wasm left out.
 * @param {string[]} entries
 */
async function reachable(entries) {
  const found = new Set(entries.map((entry) => new URL(entry, `file://${fileAt('www/')}`).href));
  for (const url of found) {
    const source = await readFile(new URL(url), 'utf8');
    for (const [, path] of source.matchAll(/(?:^import |from |URL\()'(\.[^']+\.js)'/gm)) {
      found.add(new URL(path, url).href);
    }
  }
  return [...found];
}

/** Bytes on the wire. @param {string[]} urls */
async function gzipped(urls) {
  const sizes = await Promise.all(
    urls.map(async (url) => gzipSync(await minified(new URL(url).pathname), { level: 9 }).length),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}

test('the library and the element stay within 15 KB', async () => {
  const urls = await reachable(['siglip.js', 'worker.js', 'siglip-classifier.js']);
  assert.ok(
    urls.some((url) => url.endsWith('/shards.js') && urls.length > 10),
    urls.join('\n'),
  );
  const bytes = await gzipped(urls);
  assert.ok(bytes <= BUDGET, `${bytes} bytes`);
});

test('what the page adds stays within 15 KB', async () => {
  const library = new Set(await reachable(['siglip.js', 'worker.js', 'siglip-classifier.js']));
  const added = (await reachable(['app.js'])).filter((url) => !library.has(url));
  const styles = ['app.css', 'app/parts.css'].map((path) => `file://${fileAt(`www/${path}`)}`);
  const bytes = await gzipped([...added, ...styles]);
  assert.ok(bytes <= BUDGET, `${bytes} bytes`);
});
