/** The files that an index is made of: their names, and why one cannot be read. */
import { SiglipError } from './errors.js';

/**
 * The reason for which one file is left out. What ends all work is thrown on.
 * @param {unknown} error
 */
export function failureOf(error) {
  if (error instanceof SiglipError) {
    if (['aborted', 'wasm', 'out-of-memory'].includes(error.code)) throw error;
    return error;
  }
  if (error instanceof DOMException) {
    if (isForbidden(error)) throw folderError(error);
    return { code: 'not-found', message: `The file cannot be read any more: ${error.message}` };
  }
  throw error;
}

/** Whether the visitor or the browser has taken the permission to read back. @param {unknown} error */
const isForbidden = (error) =>
  error instanceof DOMException && ['NotAllowedError', 'SecurityError'].includes(error.name);

/** Whether the file is not there. @param {unknown} error */
export const isGone = (error) => error instanceof DOMException && error.name === 'NotFoundError';

/** Why a folder cannot be read: nothing of it is taken for gone. @param {unknown} error */
export function folderError(error) {
  if (!(error instanceof DOMException)) return error;
  const reason = isForbidden(error)
    ? 'The browser may not read the folder any more. Choose it again: what is done is kept, and the work goes on from there.'
    : `The folder cannot be read: ${error.message}. What is in the index stays; choose the folder again.`;
  return new SiglipError('not-found', reason, error);
}

/**
 * Files with their names.
 * @param {Iterable<File> | FileSystemDirectoryHandle} files
 * @returns {Promise<{name: string, file: () => Promise<File>}[]>}
 */
export async function listed(files) {
  if ('kind' in files) return inFolder(files, '');
  return [...files].map((file) => ({
    name: file.webkitRelativePath || file.name,
    file: () => Promise.resolve(file),
  }));
}

/**
 * @param {any} folder
 * @param {string} path
 * @returns {Promise<{name: string, file: () => Promise<File>}[]>}
 */
async function inFolder(folder, path) {
  const list = [];
  for await (const [name, handle] of folder.entries()) {
    if (handle.kind === 'directory') list.push(...(await inFolder(handle, `${path}${name}/`)));
    else list.push({ name: path + name, file: () => handle.getFile() });
  }
  return list;
}
