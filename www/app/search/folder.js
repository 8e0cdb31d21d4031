/** A folder of the visitor's: its files now, or a handle with which the browser finds it again. */
import { t } from '../../ui/translate.js';

/** The database of the handle, which only IndexedDB can store. */
const DATABASE = 'siglip-web-folder';
const STORE = 'handles';
const KEY = 'last';

/** A folder with its files. */
export class Folder {
  /**
   * @param {string} name
   * @param {File[] | FileSystemDirectoryHandle} source
   */
  constructor(name, source) {
    this.name = name;
    /** What an index is filled from. */
    this.source = source;
  }

  /** @param {File[]} files of one folder, as a file dialogue gives them */
  static ofFiles(files) {
    return new Folder(files[0].webkitRelativePath.split('/')[0] || 'pictures', files);
  }

  /** Remembers the folder, and asks for the permission to read it. @param {FileSystemDirectoryHandle} handle */
  static async ofHandle(handle) {
    const { requestPermission } = /** @type {{requestPermission?: () => Promise<PermissionState>}} */ (
      /** @type {unknown} */ (handle)
    );
    const permission = await requestPermission?.call(handle);
    if (permission && permission !== 'granted') {
      throw new DOMException(t`The browser may not read ${handle.name}; choose the folder again.`);
    }
    await remember(handle).catch(() => {});
    return new Folder(handle.name, handle);
  }

  /**
   * @param {string} path of a file in it
   * @returns {Promise<File | undefined>}
   */
  async file(path) {
    if (Array.isArray(this.source)) {
      return this.source.find((file) => (file.webkitRelativePath || file.name) === path);
    }
    try {
      const steps = path.split('/');
      const name = steps.pop() ?? '';
      let folder = this.source;
      for (const step of steps) folder = await folder.getDirectoryHandle(step);
      return await (await folder.getFileHandle(name)).getFile();
    } catch {
      return undefined;
    }
  }
}

/** The folder of the last visit. @returns {Promise<FileSystemDirectoryHandle | undefined>} */
export const remembered = () => inStore('readonly', (store) => store.get(KEY)).catch(() => undefined);

/** Forgets the folder of the last visit. */
export const forgetFolder = () => resultOf(indexedDB.deleteDatabase(DATABASE));

/** @param {FileSystemDirectoryHandle} handle */
const remember = (handle) => inStore('readwrite', (store) => store.put(handle, KEY));

/**
 * @param {IDBTransactionMode} mode
 * @param {(store: IDBObjectStore) => IDBRequest} work
 * @returns {Promise<any>}
 */
async function inStore(mode, work) {
  const opening = indexedDB.open(DATABASE, 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore(STORE);
  const database = await resultOf(opening);
  try {
    return await resultOf(work(database.transaction(STORE, mode).objectStore(STORE)));
  } finally {
    database.close();
  }
}

/**
 * @template Result
 * @param {IDBRequest<Result>} request
 * @returns {Promise<Result>}
 */
const resultOf = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
