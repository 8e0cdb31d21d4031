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

test('custom-elements.json has the attributes, slots, parts and custom properties of the elements', async () => {
  const manifest = JSON.parse(await readFile(join(installed, 'custom-elements.json'), 'utf8'));
  const names = (/** @type {{name: string}[]} */ list) => list.map(({ name }) => name).sort();
  const page = await harness.open({ path: '/tests/browser/pages/blank.html' });
  for (const [i, tag] of ['siglip-classifier', 'siglip-search'].entries()) {
    const [{ tagName, attributes, cssParts, cssProperties, members, slots }] =
      manifest.modules[i].declarations;
    assert.equal(tagName, tag);
    const found = await page.evaluate(
      async ({ tag, fields }) => {
        await import(`/www/${tag}.js`);
        const { ScoreList } = await import('/www/ui/scores.js');
        const element = /** @type {any} */ (document.createElement(tag));
        document.body.append(element);
        const root = /** @type {ShadowRoot} */ (element.shadowRoot);
        if (tag === 'siglip-classifier') {
          const list = new ScoreList();
          list.show([{ label: 'a', score: 0.5, logit: 0 }]);
          root.append(list.element);
        } else {
          element.index = '/examples/search/pictures.siglip-index';
          await element.search('a boat');
        }
        const parts = [...root.querySelectorAll('[part]')].flatMap((part) => [...part.part]);
        const slots = [...root.querySelectorAll('slot')].map(({ name }) => name);
        const styles = root.adoptedStyleSheets.flatMap(({ cssRules }) =>
          [...cssRules].map(({ cssText }) => cssText),
        );
        return {
          attributes: /** @type {any} */ (element.constructor).observedAttributes,
          parts: [...new Set(parts)],
          slots: [...new Set(slots)],
          properties: [...new Set(styles.join().match(/--siglip-[a-z-]+/g))],
          missing: fields.filter((/** @type {string} */ name) => !(name in element)),
        };
      },
      { tag, fields: names(members) },
    );
    assert.deepEqual(names(attributes), found.attributes.sort());
    assert.deepEqual(names(cssParts), found.parts.sort());
    assert.deepEqual(names(slots), found.slots.sort());
    assert.deepEqual(names(cssProperties), found.properties.sort());
    assert.deepEqual(found.missing, []);
  }
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
  assert.ok(worker > 10_000 && worker < 36 * 1024, `worker.js: ${worker} bytes`);
  const page = await gzipped('siglip.js', 'element.js', 'tiny.js');
  assert.ok(page > 5_000 && page < 14.5 * 1024, `the page's scripts: ${page} bytes`);
  const { size } = await stat(join(installed, 'models/tiny.gguf'));
  assert.ok(size < 6_000_000, `the embedded model: ${size} bytes`);
  const { tinyBytes } = await import(join(installed, 'addresses.js'));
  assert.ok(Math.abs(tinyBytes - size) < 5000, `${tinyBytes} bytes told, ${size} in the package`);
  assert.deepEqual(files.filter((name) => /\.(ts|md|rs|toml|safetensors)$/.test(name)).sort(), [
    'CHANGELOG.md',
    'README.md',
  ]);
});
