/**
 * Lists the files that sw.js keeps for visits without a network, with their hashes, in offline-files.js beside it.
 *
 *     node scripts/offline-files.js target/package
 */
import { createHash } from 'node:crypto';
import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join, relative, resolve, sep } from 'node:path';

/** Beside www/. The page is known by its folder: hosts may redirect index.html to it. @type {Record<string, string>} */
const beside = {
  './': 'index.html',
  'privacy.html': 'privacy.html',
  'manifest.webmanifest': 'manifest.webmanifest',
};

/**
 * The script for a site whose files are in `folder`.
 * @param {string} folder
 */
export async function offlineFiles(folder) {
  const names = (await readdir(join(folder, 'www'), { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile() && !/\.(ts|md|toml|rs)$/.test(entry.name))
    .map(({ parentPath, name }) => relative(folder, join(parentPath, name)).replaceAll(sep, '/'))
    .sort();
  const isWasm = (/** @type {string} */ path) => path.startsWith('www/wasm/');
  // Models have a cache of their own.
  const parts = names.filter((path) => !isWasm(path) && !path.startsWith('www/models/'));
  const list = {
    code: await hashesOf(folder, { ...beside, ...byThemselves(parts) }),
    wasm: await hashesOf(folder, byThemselves(names.filter(isWasm))),
  };
  const version = createHash('sha256').update(JSON.stringify(list)).digest('hex').slice(0, 16);
  // HTML takes part in the version, but its hash is not demanded: hosts may add to it.
  for (const path of Object.keys(beside)) if (beside[path].endsWith('.html')) list.code[path] = '';
  return `self.offlineFiles = ${JSON.stringify({ version, ...list }, null, 1)};\n`;
}

/** @param {string[]} paths */
const byThemselves = (paths) => Object.fromEntries(paths.map((path) => [path, path]));

/**
 * Hashes as browsers check them.
 * @param {string} folder
 * @param {Record<string, string>} files by their path for visitors
 */
async function hashesOf(folder, files) {
  const hashes = Object.entries(files).map(async ([path, file]) => {
    const hash = createHash('sha256').update(await readFile(join(folder, file)));
    return [path, `sha256-${hash.digest('base64')}`];
  });
  return /** @type {Record<string, string>} */ (Object.fromEntries(await Promise.all(hashes)));
}

if (import.meta.filename === process.argv[1]) {
  const folder = resolve(process.argv[2]);
  await writeFile(join(folder, 'offline-files.js'), await offlineFiles(folder));
}
