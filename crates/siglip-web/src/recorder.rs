use siglip::CheckpointFiles;
use web_sys::WorkerGlobalScope;

use crate::assembly;
use crate::intake::Intake;
use crate::listeners::Listeners;
use crate::store::{Manifest, Notice, Part, Record, Source, Store, Writer, check_room};

/// Keeps what arrives, as long as that works: where it does not, a notice says so and the load goes on.
pub struct Recorder<'l> {
    writer: Option<Writer>,
    listeners: &'l Listeners,
}

impl<'l> Recorder<'l> {
    /// Keeps nothing.
    pub fn none(listeners: &'l Listeners) -> Self {
        Recorder { writer: None, listeners }
    }

    /// Writes on what an earlier visit has left.
    pub async fn resume(store: &Store, manifest: &Manifest, part: &Part, listeners: &'l Listeners) -> Self {
        let mut recorder = Recorder::none(listeners);
        let opened = store.writer(manifest, Some(part)).await;
        recorder.writer = recorder.notice(opened).flatten();
        recorder
    }

    /// Begins a model's log, unless there is no room for `bytes`.
    pub async fn begin(&mut self, scope: &WorkerGlobalScope, store: &Store, manifest: &Manifest, bytes: u64) {
        if matches!(store, Store::Nowhere) {
            return;
        }
        let room = check_room(scope, bytes).await;
        let Some(()) = self.notice(room) else { return };
        let opened = store.writer(manifest, None).await;
        self.writer = self.notice(opened).flatten();
        self.append(&Record::Manifest(manifest.clone())).await;
    }

    /// Keeps the small files.
    pub async fn small_files(&mut self, files: &CheckpointFiles) {
        for (name, content) in assembly::named(files) {
            self.file(name, content.as_bytes()).await;
        }
    }

    /// Keeps a small file.
    pub async fn file(&mut self, name: &str, bytes: &[u8]) {
        self.append(&Record::File(name.into(), bytes.to_vec())).await;
    }

    /// Keeps the header of a weight file.
    pub async fn header(&mut self, source: Source, header: Vec<u8>) {
        self.append(&Record::Header(source, header)).await;
    }

    /// Keeps batches, with how far into the file they reach.
    pub async fn batches(&mut self, intake: &Intake, batches: Vec<u8>) {
        self.append(&Record::Batches(intake.progress(), batches)).await;
    }

    /// Makes what was kept the model that the next visit finds.
    pub async fn commit(mut self) {
        self.append(&Record::End).await;
        if let Some(writer) = self.writer.take() {
            let committed = writer.commit().await;
            self.notice(committed);
        }
    }

    /// Forgets what was kept.
    pub async fn discard(self) {
        if let Some(writer) = self.writer {
            writer.discard().await;
        }
    }

    async fn append(&mut self, record: &Record) {
        let Some(writer) = &mut self.writer else { return };
        let appended = writer.append(record).await;
        if self.notice(appended).is_none()
            && let Some(writer) = self.writer.take()
        {
            writer.discard().await;
        }
    }

    fn notice<T>(&self, result: Result<T, Notice>) -> Option<T> {
        result.inspect_err(|notice| self.listeners.notice(notice)).ok()
    }
}
