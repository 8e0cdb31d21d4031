//! Caches a model while it is downloaded.

use siglip::CheckpointFiles;
use web_sys::WorkerGlobalScope;

use super::callbacks::Callbacks;
use super::weight_file::WeightFile;
use crate::store::{Manifest, Notice, PartialLog, Record, Source, Store, Writer, check_room};

/// Writes what arrives to the cache. When that fails, it reports a notice and the load goes on without the cache.
pub struct CacheWriter<'l> {
    writer: Option<Writer>,
    callbacks: &'l Callbacks,
}

impl<'l> CacheWriter<'l> {
    /// A writer that caches nothing, until [`CacheWriter::start`].
    pub fn none(callbacks: &'l Callbacks) -> Self {
        CacheWriter { writer: None, callbacks }
    }

    /// Continues what an earlier visit has cached.
    pub async fn resume(
        store: &Store,
        manifest: &Manifest,
        partial: &PartialLog,
        callbacks: &'l Callbacks,
    ) -> Self {
        let mut cache = CacheWriter::none(callbacks);
        let opened = store.writer(manifest, Some(partial)).await;
        cache.writer = cache.report(opened).flatten();
        cache
    }

    /// Starts a model's log, unless the browser has no room for `bytes`.
    pub async fn start(&mut self, scope: &WorkerGlobalScope, store: &Store, manifest: &Manifest, bytes: u64) {
        if matches!(store, Store::Nowhere) {
            return;
        }
        let room = check_room(scope, bytes).await;
        let Some(()) = self.report(room) else { return };
        let opened = store.writer(manifest, None).await;
        self.writer = self.report(opened).flatten();
        self.append(&Record::Manifest(manifest.clone())).await;
    }

    /// Caches the small files.
    pub async fn small_files(&mut self, files: &CheckpointFiles) {
        for (name, content) in files.named() {
            self.file(name, content.as_bytes()).await;
        }
    }

    /// Caches a small file.
    pub async fn file(&mut self, name: &str, bytes: &[u8]) {
        self.append(&Record::File(name.into(), bytes.to_vec())).await;
    }

    /// Caches the header of a weight file.
    pub async fn header(&mut self, source: Source, header: Vec<u8>) {
        self.append(&Record::Header(source, header)).await;
    }

    /// Caches packed weights, with their position in the file.
    pub async fn batches(&mut self, file: &WeightFile, batches: Vec<u8>) {
        self.append(&Record::Batches(file.progress(), batches)).await;
    }

    /// Completes the log, so that the next visit finds the model.
    pub async fn commit(mut self) {
        self.append(&Record::End).await;
        if let Some(writer) = self.writer.take() {
            let committed = writer.commit().await;
            self.report(committed);
        }
    }

    /// Removes what was cached.
    pub async fn discard(self) {
        if let Some(writer) = self.writer {
            writer.discard().await;
        }
    }

    async fn append(&mut self, record: &Record) {
        let Some(writer) = &mut self.writer else { return };
        let appended = writer.append(record).await;
        if self.report(appended).is_none()
            && let Some(writer) = self.writer.take()
        {
            writer.discard().await;
        }
    }

    fn report<T>(&self, result: Result<T, Notice>) -> Option<T> {
        result.inspect_err(|notice| self.callbacks.notice(notice)).ok()
    }
}
