//! Caches a model while it is downloaded.

use siglip::{CheckpointFiles, Towers};
use web_sys::WorkerGlobalScope;

use super::callbacks::Callbacks;
use crate::store::{
    Contents, Manifest, Notice, PartialLog, Progress, Record, Source, Store, Writer, check_room,
};

/// Writes what arrives to the cache. When that fails, it reports a notice and the load goes on without the cache.
pub struct CacheWriter<'l> {
    writer: Option<Writer>,
    /// Bytes written so far.
    end: u64,
    /// What is where in them.
    contents: Contents,
    callbacks: &'l Callbacks,
}

impl<'l> CacheWriter<'l> {
    /// A writer that caches nothing, until [`CacheWriter::start`].
    pub fn none(callbacks: &'l Callbacks) -> Self {
        CacheWriter { writer: None, end: 0, contents: Contents::default(), callbacks }
    }

    /// Continues what an earlier visit has cached, which has these contents.
    pub async fn resume(
        store: &Store,
        manifest: &Manifest,
        partial: &PartialLog,
        contents: Contents,
        callbacks: &'l Callbacks,
    ) -> Self {
        let mut cache = CacheWriter { end: partial.log.end(), contents, ..CacheWriter::none(callbacks) };
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
        self.append(&Record::Manifest(manifest.clone()), Towers::Both).await;
    }

    /// Caches the small files.
    pub async fn small_files(&mut self, files: &CheckpointFiles) {
        for (name, content) in files.named() {
            self.file(name, content.as_bytes()).await;
        }
    }

    /// Caches a small file.
    pub async fn file(&mut self, name: &str, bytes: &[u8]) {
        let towers = needed_by(name, bytes);
        self.append(&Record::File(name.into(), bytes.to_vec()), towers).await;
    }

    /// Caches the header of a weight file.
    pub async fn header(&mut self, source: Source, header: Vec<u8>) {
        self.append(&Record::Header(source, header), Towers::Both).await;
    }

    /// Caches packed weights that these towers need, with their position in the file.
    pub async fn batches(&mut self, name: &str, progress: Progress, batches: Vec<u8>, towers: Towers) {
        self.contents.ends.insert(name.into(), progress.clone());
        self.append(&Record::Batches(progress, batches), towers).await;
    }

    /// Completes the log, so that the next visit finds the model. Returns the log's random name.
    pub async fn commit(mut self) -> Option<String> {
        let id = random_name();
        let mut contents = std::mem::take(&mut self.contents);
        contents.id.clone_from(&id);
        self.append(&Record::End(Some(contents)), Towers::Both).await;
        let committed = self.writer.take()?.commit().await;
        self.report(committed).map(|()| id)
    }

    /// Removes what was cached.
    pub async fn discard(self) {
        if let Some(writer) = self.writer {
            writer.discard().await;
        }
    }

    async fn append(&mut self, record: &Record, towers: Towers) {
        let Some(writer) = &mut self.writer else { return };
        let appended = writer.append(record).await;
        match self.report(appended) {
            Some(length) => {
                self.contents.add(self.end..self.end + length, towers);
                self.end += length;
            }
            None => {
                if let Some(writer) = self.writer.take() {
                    writer.discard().await;
                }
            }
        }
    }

    fn report<T>(&self, result: Result<T, Notice>) -> Option<T> {
        result.inspect_err(|notice| self.callbacks.notice(notice)).ok()
    }
}

/// The towers that need a small file. The tokenizer is empty where no text is read.
pub fn needed_by(name: &str, content: &[u8]) -> Towers {
    let [_, _, tokenizer] = CheckpointFiles::NAMES;
    if name == tokenizer && !content.is_empty() { Towers::Text } else { Towers::Both }
}

/// Two logs have the same name in one of 2^100 cases.
fn random_name() -> String {
    let number = || (js_sys::Math::random() * 2f64.powi(52)) as u64;
    format!("{:013x}{:013x}", number(), number())
}
