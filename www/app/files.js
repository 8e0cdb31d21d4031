/** Files from a drop, a paste or a file dialogue, alone or in folders. */

/**
 * A file with its path: the folders it was found in, and its name.
 * @typedef {{path: string, file: File}} Found
 */

/**
 * All files of a drop or a paste, also those inside folders.
 * @param {DataTransfer | null} data
 * @returns {Promise<Found[]>}
 */
export async function filesIn(data) {
  // Read the whole list now: it is empty after the event.
  const walks = [...(data?.items ?? [])].map((item) => {
    const entry = item.kind === 'file' ? item.webkitGetAsEntry() : null;
    if (entry?.isDirectory) return walk(/** @type {FileSystemDirectoryEntry} */ (entry));
    const file = item.getAsFile();
    return file ? [{ path: file.name, file }] : [];
  });
  return (await Promise.all(walks)).flat();
}

/**
 * The files chosen in a dialogue. The input is emptied, so that choosing the same files again fires an event.
 * @param {HTMLInputElement} input
 * @returns {Found[]}
 */
export function filesFrom(input) {
  const found = [...(input.files ?? [])].map((file) => ({
    path: file.webkitRelativePath || file.name,
    file,
  }));
  input.value = '';
  return found;
}

/** @param {FileSystemDirectoryEntry} folder @returns {Promise<Found[]>} */
async function walk(folder) {
  /** @type {(Found | Found[])[]} */
  const found = [];
  for (const entry of await entriesOf(folder)) {
    if (entry.isDirectory) found.push(await walk(/** @type {FileSystemDirectoryEntry} */ (entry)));
    else found.push(await fileOf(/** @type {FileSystemFileEntry} */ (entry)));
  }
  return found.flat();
}

/** @param {FileSystemDirectoryEntry} folder */
async function entriesOf(folder) {
  const reader = folder.createReader();
  const entries = [];
  for (;;) {
    // Each call returns a hundred entries at most.
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return entries;
    entries.push(...some);
  }
}

/** @param {FileSystemFileEntry} entry @returns {Promise<Found>} */
const fileOf = (entry) =>
  new Promise((resolve, reject) =>
    entry.file((file) => resolve({ path: entry.fullPath.replace(/^\//, ''), file }), reject),
  );
