//! The origin private file system: files that can be written in steps and renamed.

use js_sys::{Function, Promise, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    Blob, FileSystemDirectoryHandle, FileSystemFileHandle, FileSystemGetDirectoryOptions,
    FileSystemGetFileOptions, FileSystemReadWriteOptions, FileSystemSyncAccessHandle, WorkerGlobalScope,
};

use super::labels::labels;
use super::log::FOLDER;

/// The folder of the models.
#[derive(Clone)]
pub struct Opfs(FileSystemDirectoryHandle);

/// A file being written. It is closed when dropped; while it is open, no other tab can write to it.
pub struct Writer {
    folder: FileSystemDirectoryHandle,
    key: String,
    access: FileSystemSyncAccessHandle,
    end: u64,
}

impl Opfs {
    /// Opens the folder. Fails if this browser, or this page's frame, has no such folder or cannot rename its files.
    pub async fn open(scope: &WorkerGlobalScope) -> Result<Opfs, JsValue> {
        let known = |class: &str, method: &str| {
            Reflect::get(scope, &class.into())
                .and_then(|class| Reflect::get(&class, &"prototype".into()))
                .and_then(|prototype| Reflect::has(&prototype, &method.into()))
                .unwrap_or(false)
        };
        if !known("FileSystemFileHandle", "createSyncAccessHandle") || !known("FileSystemFileHandle", "move")
        {
            return Err(js_sys::Error::new("this browser cannot write files in steps").into());
        }
        let root: FileSystemDirectoryHandle =
            JsFuture::from(scope.navigator().storage().get_directory()).await?.unchecked_into();
        let options = FileSystemGetDirectoryOptions::new();
        options.set_create(true);
        let folder = JsFuture::from(root.get_directory_handle_with_options(FOLDER, &options)).await?;
        Ok(Opfs(folder.unchecked_into()))
    }

    /// The complete file of this key.
    pub async fn find(&self, key: &str) -> Option<Blob> {
        let handle: FileSystemFileHandle =
            JsFuture::from(self.0.get_file_handle(key)).await.ok()?.unchecked_into();
        Some(JsFuture::from(handle.get_file()).await.ok()?.unchecked_into())
    }

    /// The incomplete file of this key.
    pub async fn find_partial(&self, key: &str) -> Option<Blob> {
        self.find(&partial(key)).await
    }

    /// Writes a small file whole.
    pub async fn write(&self, name: &str, bytes: &[u8]) -> Result<(), JsValue> {
        let mut writer = self.open_file(name, name).await?;
        writer.access.truncate_with_f64(0.0)?;
        match writer.append(bytes)? {
            true => writer.access.flush(),
            false => writer.access.truncate_with_f64(0.0),
        }
    }

    /// Opens the incomplete file of this key to append from byte `end` on. Fails if the file is not `length` bytes long:
    /// then another tab has written to it.
    pub async fn writer(&self, key: &str, length: Option<u64>, end: u64) -> Result<Writer, JsValue> {
        let mut writer = self.open_file(key, &partial(key)).await?;
        writer.end = end;
        if length.is_some_and(|length| writer.access.get_size().is_ok_and(|size| size as u64 != length)) {
            return Err(js_sys::Error::new("another tab is downloading it").into());
        }
        writer.access.truncate_with_f64(end as f64)?;
        Ok(writer)
    }

    async fn open_file(&self, key: &str, name: &str) -> Result<Writer, JsValue> {
        let options = FileSystemGetFileOptions::new();
        options.set_create(true);
        let handle = JsFuture::from(self.0.get_file_handle_with_options(name, &options)).await?;
        let handle: FileSystemFileHandle = handle.unchecked_into();
        let access = JsFuture::from(handle.create_sync_access_handle()).await?.unchecked_into();
        Ok(Writer { folder: self.0.clone(), key: key.into(), access, end: 0 })
    }

    /// Removes the files of this key.
    pub async fn remove(&self, key: &str) {
        // A file that cannot be removed does not exist, or another tab is writing to it.
        for name in [key, &partial(key), &labels(key)] {
            let _ = JsFuture::from(self.0.remove_entry(name)).await;
        }
    }
}

/// The name of a file until it is complete.
fn partial(key: &str) -> String {
    format!("{key}.part")
}

impl Writer {
    /// Appends bytes. Returns `false` if there is no room.
    pub fn append(&mut self, bytes: &[u8]) -> Result<bool, JsValue> {
        let options = FileSystemReadWriteOptions::new();
        options.set_at(self.end as f64);
        let written = self.access.write_with_u8_array_and_options(bytes, &options)?;
        self.end += bytes.len() as u64;
        Ok(written == bytes.len() as f64)
    }

    /// Renames the file, now complete. It replaces an earlier one. It is not flushed, which would hold up the load: if the machine
    /// fails before the system has written it, the checksums tell.
    pub async fn commit(self) -> Result<(), JsValue> {
        let (folder, key) = (self.folder.clone(), self.key.clone());
        drop(self);
        let handle = JsFuture::from(folder.get_file_handle(&partial(&key))).await?;
        let rename: Function = Reflect::get(&handle, &"move".into())?.unchecked_into();
        let renamed: Promise = rename.call1(&handle, &key.into())?.unchecked_into();
        JsFuture::from(renamed).await.map(drop)
    }

    /// Removes the incomplete file.
    pub async fn discard(self) {
        let (folder, name) = (self.folder.clone(), partial(&self.key));
        drop(self);
        let _ = JsFuture::from(folder.remove_entry(&name)).await;
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.access.close();
    }
}
