/**
 * Bundles and minifies the scripts and styles in a copy of www/, in place, for those who host it. Files that a page
 * names keep their names: siglip.js, siglip-classifier.js, siglip-search.js, worker.js, app/start.js, app/app.js and the styles.
 *
 *     node scripts/bundle.js target/package/www
 */
import { readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { build, transform } from 'esbuild';

/** The entries for the pages of other sites. */
export const library = ['siglip.js', 'siglip-classifier.js', 'worker.js'];
/** The entry for sites that let visitors search their pictures. */
export const search = ['siglip-search.js'];
/** The entries that this project's own page adds. */
export const page = ['app/start.js', 'app/app.js', 'app/app.css', 'app/parts.css', 'app/model.css'];
/** What privacy.html has besides. */
export const privacy = ['app/privacy.js', 'app/privacy.css'];

/** Minifies the stylesheets in scripts, sheetOf(`…`), which esbuild takes for any other string. @type {import('esbuild').Plugin} */
export const minifySheets = {
  name: 'minify-sheets',
  setup(build) {
    build.onLoad({ filter: /\.js$/ }, async ({ path }) => {
      const [before, css, after] = (await readFile(path, 'utf8')).split(/(?<=sheetOf\(`)([^`]*)/);
      if (css === undefined) return;
      const { code } = await transform(css, { loader: 'css', minify: true, charset: 'utf8' });
      return { contents: before + code.trim() + after };
    });
  },
};

/**
 * @param {string} folder
 * @param {string[]} entries
 */
export async function bundle(folder, entries) {
  return build({
    absWorkingDir: folder,
    entryPoints: entries,
    outdir: folder,
    // Shared chunks lie in www/ itself: the addresses in addresses.js and wasm-addresses.js are relative to it.
    chunkNames: '[name]-[hash]',
    external: ['./wasm/*'],
    bundle: true,
    splitting: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    write: false,
    metafile: true,
    plugins: [minifySheets],
  });
}

if (import.meta.filename === process.argv[1]) {
  const folder = resolve(process.argv[2]);
  const { outputFiles } = await bundle(folder, [...library, ...search, ...page, ...privacy]);
  for (const name of await readdir(folder, { recursive: true })) {
    if (/\.(js|css)$/.test(name) && !/^wasm[\\/]/.test(name)) await rm(join(folder, name));
  }
  await Promise.all(outputFiles.map(({ path, contents }) => writeFile(path, contents)));
}
