/** Files as they come in, one by one or in folders. */

/**
 * A file with the folders it was found in.
 * @typedef {{path: string, file: File}} Found
 */

/**
 * Everything that was dropped or pasted, folders walked through.
 * @param {DataTransfer | null} data
 * @returns {Promise<Found[]>}
 */
export async function filesIn(data) {
  // All at once: after the event there is nothing in the list any more.
  const walks = [...(data?.items ?? [])].map((item) => {
    const entry = item.kind === 'file' ? item.webkitGetAsEntry() : null;
    if (entry?.isDirectory) return walk(/** @type {FileSystemDirectoryEntry} */ (entry));
    const file = item.getAsFile();
    return file ? [{ path: file.name, file }] : [];
  });
  return (await Promise.all(walks)).flat();
}

/**
 * What was chosen in a file or folder dialogue, which is then ready for the same again.
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
    // A hundred at most come at a time.
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
