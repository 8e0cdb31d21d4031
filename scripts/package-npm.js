/**
 * Makes the folder of the npm package, next to models/tiny.gguf, which is there already. The entries share chunks. The
 * worker is one file with everything in it: bundlers then need no settings for the code that a worker imports.
 *
 *     node scripts/package-npm.js target/npm/siglip-web
 */
import { execFileSync } from 'node:child_process';
import { cp, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { build, transform } from 'esbuild';
import { minifySheets } from './bundle.js';

const root = resolve(import.meta.dirname, '..');
const folder = resolve(process.argv[2]);

/** Leaves the addresses in a file of their own. @type {import('esbuild').Plugin} */
const addressesApart = {
  name: 'addresses-apart',
  setup(build) {
    build.onResolve({ filter: /\/addresses\.js$/ }, () => ({ path: './addresses.js', external: true }));
  },
};

/** Leaves candle's engine out. @type {import('esbuild').Plugin} */
const withoutCandle = {
  name: 'without-candle',
  setup(build) {
    build.onResolve({ filter: /\/candle\.js$/ }, () => ({ path: join(root, 'npm/no-candle.js') }));
  },
};

/** The script of a build of the engine. @param {string} name */
const scriptOf = (name) => join(root, 'www/wasm', name, 'siglip_web.js');
const minified = async (/** @type {string} */ name) =>
  (await transform(await readFile(scriptOf(name), 'utf8'), { minify: true })).code;
const isSame = (await minified('simd128')) === (await minified('relaxed-simd'));

/** Has the builds with and without relaxed SIMD share a script. A worker loads one of them. @type {import('esbuild').Plugin} */
const oneScript = {
  name: 'one-script',
  setup(build) {
    if (isSame)
      build.onResolve({ filter: /\/relaxed-simd\/siglip_web\.js$/ }, () => ({ path: scriptOf('simd128') }));
  },
};

/** @type {import('esbuild').BuildOptions} */
const common = {
  absWorkingDir: root,
  outdir: folder,
  bundle: true,
  minify: true,
  sourcemap: true,
  format: 'esm',
  target: 'es2022',
  // The addresses of assets are relative to the package, where all scripts lie.
  chunkNames: '[name]-[hash]',
  plugins: [minifySheets, addressesApart, withoutCandle, oneScript],
};
await build({
  ...common,
  entryPoints: {
    siglip: 'www/siglip.js',
    element: 'www/siglip-classifier.js',
    search: 'www/siglip-search.js',
    tiny: 'npm/tiny.js',
    transformers: 'www/transformers.js',
  },
  splitting: true,
});
await build({ ...common, entryPoints: { worker: 'www/worker.js' } });

/** Node.js has files of its own in the place of some. @type {import('esbuild').Plugin} */
const forNode = {
  name: 'for-node',
  setup(build) {
    build.onResolve({ filter: /\/start-worker\.js$/ }, () => ({ path: './node-threads.js', external: true }));
    build.onResolve({ filter: /^\.\/tiny\.js$/ }, ({ path }) => ({ path, external: true }));
    build.onResolve({ filter: /^\.\/images\.js$/ }, () => ({ path: join(root, 'npm/node-images.js') }));
  },
};
await build({
  ...common,
  entryPoints: { node: 'npm/node.js', 'transformers-node': 'npm/transformers-node.js' },
  splitting: true,
  chunkNames: 'node-[name]-[hash]',
  external: ['node:*'],
  plugins: [addressesApart, forNode],
});

for (const module of [
  'simd128/siglip_web_bg.wasm',
  'relaxed-simd/siglip_web_bg.wasm',
  'threads/siglip_web_bg.wasm',
  'rare-formats/siglip_rare_bg.wasm',
  'gpu-plan/siglip_gpu_plan.wasm',
])
  await cp(join(root, 'www/wasm', module), join(folder, 'wasm', module));
// Without its comments. Bundlers look for its words, so nothing else changes.
const addresses = await readFile(join(root, 'npm/addresses.js'), 'utf8');
const { code } = await transform(addresses, { minifyWhitespace: true });
await writeFile(join(folder, 'addresses.js'), code);
for (const name of ['LICENSE-APACHE', 'LICENSE-MIT', 'CHANGELOG.md'])
  await cp(join(root, name), join(folder, name));
for (const name of ['README.md', 'bin.js', 'custom-elements.json', 'node-threads.js', 'node-worker.js'])
  await cp(join(root, 'npm', name), join(folder, name));

const tsc = join(root, 'node_modules/.bin/tsc');
execFileSync(tsc, ['-p', 'npm', '--outDir', join(folder, 'types')], { cwd: root, stdio: 'inherit' });
for (const name of ['element.d.ts', 'search.d.ts'])
  await cp(join(root, 'npm', name), join(folder, 'types/npm', name));

const manifest = JSON.parse(await readFile(join(root, 'npm/package.json'), 'utf8'));
const [, version] = /** @type {RegExpMatchArray} */ (
  (await readFile(join(root, 'Cargo.toml'), 'utf8')).match(/^version = "(.+)"$/m)
);
await writeFile(join(folder, 'package.json'), JSON.stringify({ ...manifest, version }, null, 2) + '\n');
