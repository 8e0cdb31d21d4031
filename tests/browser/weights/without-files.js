delete (/** @type {any} */ (FileSystemFileHandle.prototype).createSyncAccessHandle);
