/** The package itself: its entries, types, manifest and size. */
import assert from 'node:assert/strict';
import { cp, readFile, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { Harness, fileAt } from '../browser/harness.js';
import { install, projects, run } from './projects.js';

const harness = new Harness();
before(install);
const installed = join(projects, 'node_modules/siglip-web');

test('publint and attw find nothing', async () => {
  assert.match(await run('.', 'publint', '--pack', 'npm', installed), /All good!/);
  const assets = ['worker', 'worker.js', 'wasm/*', 'models/*', 'custom-elements.json'];
  await run('.', 'attw', '--pack', installed, '--profile', 'esm-only', '--exclude-entrypoints', ...assets);
});

test('a strict TypeScript program compiles against the types', async () => {
  await cp(fileAt('tests/npm/types'), join(projects, 'types'), { recursive: true });
  await run('types', 'tsc', '-p', '.');
});

test('custom-elements.json has the attributes, parts and custom properties of the element', async () => {
  const manifest = JSON.parse(await readFile(join(installed, 'custom-elements.json'), 'utf8'));
  const [{ attributes, cssParts, cssProperties, members }] = manifest.modules[0].declarations;
  const names = (/** @type {{name: string}[]} */ list) => list.map(({ name }) => name).sort();
  const page = await harness.open({ path: '/tests/browser/pages/blank.html' });
  const found = await page.evaluate(async (fields) => {
    const { SiglipClassifier } = await import('/www/siglip-classifier.js');
    const { ScoreList } = await import('/www/ui/scores.js');
    const element = new SiglipClassifier();
    const list = new ScoreList();
    list.show([{ label: 'a', score: 0.5, logit: 0 }]);
    document.body.append(element);
    const root = /** @type {ShadowRoot} */ (element.shadowRoot);
    root.append(list.element);
    const parts = [...root.querySelectorAll('[part]')].flatMap((part) => [...part.part]);
    const styles = root.adoptedStyleSheets.flatMap(({ cssRules }) =>
      [...cssRules].map(({ cssText }) => cssText),
    );
    return {
      attributes: SiglipClassifier.observedAttributes,
      parts: [...new Set(parts)],
      properties: [...new Set(styles.join().match(/--siglip-[a-z-]+/g))],
      missing: fields.filter((name) => !(name in element)),
    };
  }, names(members));
  assert.deepEqual(names(attributes), found.attributes.sort());
  assert.deepEqual(names(cssParts), found.parts.sort());
  assert.deepEqual(names(cssProperties), found.properties.sort());
  assert.deepEqual(found.missing, []);
});

test('the scripts are small, and nothing but scripts, engines and the embedded model is packed', async () => {
  const files = (await readdir(installed, { recursive: true })).filter(
    (name) => !/types\/|\.map$/.test(name),
  );
  /** Bytes of scripts and of what they import at once. @param {string[]} names */
  const gzipped = async (...names) => {
    const atOnce = new Set(names);
    let sum = 0;
    for (const name of atOnce) {
      const script = await readFile(join(installed, name), 'utf8');
      for (const [, imported] of script.matchAll(/(?:from|import)"\.\/([^"]+)"/g)) atOnce.add(imported);
      sum += gzipSync(script).length;
    }
    return sum;
  };
  const worker = await gzipped('worker.js');
  assert.ok(worker > 10_000 && worker < 34 * 1024, `worker.js: ${worker} bytes`);
  const page = await gzipped('siglip.js', 'element.js', 'tiny.js');
  assert.ok(page > 5_000 && page < 14.5 * 1024, `the page's scripts: ${page} bytes`);
  const { size } = await stat(join(installed, 'models/tiny.gguf'));
  assert.ok(size < 6_000_000, `the embedded model: ${size} bytes`);
  assert.deepEqual(files.filter((name) => /\.(ts|md|rs|toml|safetensors)$/.test(name)).sort(), [
    'CHANGELOG.md',
    'README.md',
  ]);
});
