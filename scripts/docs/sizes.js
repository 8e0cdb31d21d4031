/**
 * Measures what visitors download, for docs/sizes.md.
 *
 *     node scripts/docs/sizes.js            prints the page
 *     node scripts/docs/sizes.js --record   writes it
 */
import { readFile, readdir, stat, writeFile } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import { bundle, library, page } from '../bundle.js';
import { compressed } from '../compress.js';

const root = resolve(import.meta.dirname, '../..');
const gzipped = (/** @type {Uint8Array} */ contents) => gzipSync(contents, { level: 9 }).length;

/** @typedef {{name: string, raw: number, gzip?: number, brotli?: number}} Size */

/**
 * A build's module, with the script that loads it.
 * @param {string} name
 * @param {boolean} compress it takes seconds for each
 * @returns {Promise<Size>}
 */
async function buildSize(name, compress) {
  const folder = join(root, 'www/wasm', name);
  const files = (await readdir(folder)).filter((file) => /\.(wasm|js)$/.test(file));
  const contents = await Promise.all(files.map((file) => readFile(join(folder, file))));
  const sum = (/** @type {number[]} */ sizes) => sizes.reduce((total, size) => total + size, 0);
  return {
    name: `\`www/wasm/${name}\``,
    raw: sum(contents.map(({ length }) => length)),
    ...(compress && {
      gzip: sum(contents.map(gzipped)),
      brotli: sum(await Promise.all(contents.map(async (each) => (await compressed(each)).length))),
    }),
  };
}

/**
 * The scripts that a page loads at once.
 * @param {string} name
 * @param {string[]} entries
 * @param {string[]} [without] entries whose scripts are there already
 * @returns {Promise<Size>}
 */
async function scriptsSize(name, entries, without = []) {
  const { outputFiles, metafile } = await bundle(join(root, 'www'), [...without, ...entries]);
  const atOnce = (/** @type {string[]} */ names) => {
    const found = new Set(names);
    for (const each of found)
      for (const { path, kind, external } of metafile.outputs[each].imports)
        if (kind === 'import-statement' && !external) found.add(path);
    return found;
  };
  const known = atOnce(without);
  const wanted = [...atOnce(entries)].filter((each) => !known.has(each));
  const size = { name, raw: 0, gzip: 0, brotli: 0 };
  for (const { path, contents } of outputFiles) {
    if (!wanted.includes(relative(join(root, 'www'), path))) continue;
    size.raw += contents.length;
    size.gzip += gzipped(contents);
    size.brotli += (await compressed(contents)).length;
  }
  return size;
}

/** The builds of the engine. @param {boolean} compress */
export const buildSizes = (compress) =>
  Promise.all(
    ['simd128', 'relaxed-simd', 'threads', 'rare-formats', 'gpu-plan', 'candle'].map((name) =>
      buildSize(name, compress),
    ),
  );

/** The scripts. */
export const scriptSizes = async () => [
  await scriptsSize('library: `siglip.js`', ['siglip.js']),
  await scriptsSize('library and element', ['siglip.js', 'siglip-classifier.js']),
  await scriptsSize('worker: `worker.js`', ['worker.js']),
  await scriptsSize("the page's own, besides", page, library),
];

const number = new Intl.NumberFormat('en');
const row = (/** @type {(string | number | undefined)[]} */ ...cells) =>
  `| ${cells.map((cell) => (typeof cell === 'number' ? number.format(cell) : (cell ?? ''))).join(' | ')} |`;
const table = (/** @type {Size[]} */ sizes) =>
  sizes.map(({ name, raw, gzip, brotli }) => row(name, raw, gzip, brotli)).join('\n');

async function sizesPage() {
  const packed = (await readdir(join(root, 'target/npm'))).find((name) => name.endsWith('.tgz'));
  if (!packed) throw new Error('target/npm/ has no package: run `cargo xtask package --npm`');
  const installed = join(root, 'target/npm/siglip-web');
  const names = await readdir(installed, { recursive: true, withFileTypes: true });
  let unpacked = 0;
  for (const entry of names)
    if (entry.isFile()) unpacked += (await stat(join(entry.parentPath, entry.name))).size;
  const bytesOf = async (/** @type {string} */ path) => (await stat(join(root, path))).size;
  return `# Sizes

Bytes, as \`cargo xtask docs --record\` measures them; it writes this page. gzip is at level 9, Brotli at 11, as in the \`.br\` files of
\`cargo xtask package\`.

## The engine

A browser downloads one of the first three: the second where it has relaxed SIMD, the third on a cross-origin isolated page. \`rare-formats\`
comes with the first picture that needs it, \`gpu-plan\` with a model on a GPU, \`candle\` when a page asks for it.

| module and its script | raw | gzip | Brotli |
| --- | ---: | ---: | ---: |
${table(await buildSizes(true))}

## Scripts and styles

| loaded at once | raw | gzip | Brotli |
| --- | ---: | ---: | ---: |
${table(await scriptSizes())}

## The embedded model and the npm package

| | bytes |
| --- | ---: |
${row('`www/models/tiny/model.safetensors`', await bytesOf('www/models/tiny/model.safetensors'))}
${row('`models/tiny.gguf` of the npm package', await bytesOf('target/npm/siglip-web/models/tiny.gguf'))}
${row('the npm package, packed', await bytesOf(`target/npm/${packed}`))}
${row('the npm package, unpacked', unpacked)}

The package has every build but candle's, source maps and types; a page's bundle takes the worker, one build and what it imports.
`;
}

if (import.meta.filename === process.argv[1]) {
  const text = await sizesPage();
  if (process.argv.includes('--record')) await writeFile(join(root, 'docs/sizes.md'), text);
  else process.stdout.write(text);
}
