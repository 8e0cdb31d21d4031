/**
 * Makes of the modules in a copy of www/ as few and as small files as can be, in place, for those who host it. What a
 * page names keeps its name: siglip.js, siglip-classifier.js, worker.js, app/app.js and the styles.
 *
 *     node scripts/bundle.js target/package/www
 */
import { readdir, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { build } from 'esbuild';

/** What pages of other sites load. */
export const library = ['siglip.js', 'siglip-classifier.js', 'worker.js'];
/** What this project's own page adds. */
export const page = ['app/app.js', 'app/app.css', 'app/parts.css', 'app/model.css'];

/**
 * @param {string} folder
 * @param {string[]} entries
 */
export async function bundle(folder, entries) {
  const { outputFiles } = await build({
    absWorkingDir: folder,
    entryPoints: entries,
    outdir: folder,
    // Shared parts lie beside the entries: from there they find worker.js, wasm/ and models/ as before.
    chunkNames: '[name]-[hash]',
    external: ['./wasm/*'],
    bundle: true,
    splitting: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    write: false,
  });
  return outputFiles;
}

if (import.meta.filename === process.argv[1]) {
  const folder = resolve(process.argv[2]);
  const bundled = await bundle(folder, [...library, ...page]);
  for (const name of await readdir(folder, { recursive: true })) {
    if (/\.(js|css)$/.test(name) && !/^wasm[\\/]/.test(name)) await rm(join(folder, name));
  }
  await Promise.all(bundled.map(({ path, contents }) => writeFile(path, contents)));
}
