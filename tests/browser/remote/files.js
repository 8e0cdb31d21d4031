/** Files for an input: those of the disk, handed over as a page's own. */
import { readFile, readdir } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';
import { types } from '../server.js';

/** @typedef {{name: string, path: string, type: string, base64: string}} FileParts a file, in a form that JSON carries; `path` is that in a folder, or empty */

/** @param {string} path @param {string} [inFolder] @returns {Promise<FileParts>} */
export const toFileParts = async (path, inFolder = '') => ({
  name: basename(path),
  path: inFolder,
  type: types[extname(path)] ?? '',
  base64: await readFile(path, 'base64'),
});

/** The files of a folder, and of those in it. @param {string} folder @returns {Promise<FileParts[]>} */
export async function folderParts(folder) {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const inside = (/** @type {string} */ path) => path.slice(folder.length - basename(folder).length);
  return Promise.all(paths.map((path) => toFileParts(path, inside(path))));
}

/**
 * Runs in the page: chooses files in its input.
 * @param {HTMLInputElement} input
 * @param {FileParts[]} files
 */
export function putFiles(input, files) {
  const transfer = new DataTransfer();
  for (const { name, path, type, base64 } of files) {
    const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
    const file = new File([bytes], name, { type, lastModified: 1000 });
    if (path) Object.defineProperty(file, 'webkitRelativePath', { value: path });
    transfer.items.add(file);
  }
  input.files = transfer.files;
  for (const type of ['input', 'change']) input.dispatchEvent(new Event(type, { bubbles: true }));
}
