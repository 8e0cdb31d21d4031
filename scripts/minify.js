/**
 * Minifies the scripts and styles of a folder in place, for those who host it: the layout stays as it is.
 *
 *     node scripts/minify.js target/package/www
 */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { transform } from 'esbuild';

/** @type {Record<string, 'js' | 'css'>} */
const loaders = { '.js': 'js', '.css': 'css' };

/** @param {string} path @returns {Promise<string>} */
export async function minified(path) {
  const { code } = await transform(await readFile(path, 'utf8'), {
    loader: loaders[extname(path)],
    format: 'esm',
    minify: true,
    target: 'es2022',
  });
  return code;
}

if (import.meta.filename === process.argv[1]) {
  const folder = process.argv[2];
  for (const name of await readdir(folder, { recursive: true })) {
    const path = join(folder, name);
    if (extname(path) in loaders) await writeFile(path, await minified(path));
  }
}
