//! The labels that a cached model has embedded, kept for the next visit: an entry beside the model's log.
//!
//! The entry has the records of a log: whose labels they are, then the labels, oldest first. It is written whole. Labels of
//! another download of the model, of another version of this crate or of other kernels are not used. So are those from the
//! first broken record on: they are embedded again.

use std::collections::HashSet;

use js_sys::Promise;
use siglip::KnownLabel;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::{JsFuture, future_to_promise};

use super::log::{Label, LabelOwner, Log, Record};
use super::{Manifest, Store, key};

/// Most labels of a model.
const MOST_LABELS: usize = 2048;
/// Most bytes of an entry.
const MOST_BYTES: usize = 8 << 20;

/// The name of a model's labels.
pub fn labels(key: &str) -> String {
    format!("{key}.labels")
}

/// The labels that a cached model has embedded.
pub struct KnownLabels {
    entry: Entry,
    /// The labels and texts that are stored, or about to be.
    kept: HashSet<(String, String)>,
    /// Settles when the write before is done.
    last: Promise,
}

/// Where they are stored.
#[derive(Clone)]
struct Entry {
    store: Store,
    manifest: Manifest,
    owner: LabelOwner,
}

impl KnownLabels {
    /// Those of the model whose log has this id.
    pub fn new(store: &Store, manifest: &Manifest, id: String) -> KnownLabels {
        let (backend, version) = (crate::backend::backend().into(), env!("CARGO_PKG_VERSION").into());
        let owner = LabelOwner { id, backend, version };
        let entry = Entry { store: store.clone(), manifest: manifest.clone(), owner };
        KnownLabels { entry, kept: HashSet::new(), last: Promise::resolve(&JsValue::UNDEFINED) }
    }

    /// Reads the labels of earlier visits.
    pub async fn read(&mut self) -> Vec<KnownLabel> {
        let known = self.entry.read().await;
        self.kept.extend(known.iter().map(|known| (known.label.clone(), known.text.clone())));
        known
    }

    /// Whether a label in its template is not stored yet.
    pub fn lack(&self, label: &str, text: &str) -> bool {
        !self.kept.contains(&(label.into(), text.into()))
    }

    /// Stores labels. The promise is never rejected: what cannot be stored is embedded again in the next visit.
    pub fn keep(&mut self, known: Vec<KnownLabel>) -> Promise {
        self.kept.extend(known.iter().map(|known| (known.label.clone(), known.text.clone())));
        let (entry, last) = (self.entry.clone(), self.last.clone());
        self.last = future_to_promise(async move {
            let _ = JsFuture::from(last).await;
            let _ = entry.add(known).await;
            Ok(JsValue::UNDEFINED)
        });
        self.last.clone()
    }
}

impl Entry {
    async fn read(&self) -> Vec<KnownLabel> {
        let mut known = Vec::new();
        let Some((body, _)) = self.store.read(&labels(&key(&self.manifest))).await else { return known };
        let mut log = Log::new(body);
        if log.next().await != Some(Record::LabelOwner(self.owner.clone())) {
            return known;
        }
        while let Some(Record::Label(Label { label, text, unknown }, bytes)) = log.next().await
            && known.len() < MOST_LABELS
        {
            let embedding = bytes.as_chunks().0.iter().map(|&four| f32::from_le_bytes(four)).collect();
            known.push(KnownLabel { label, text, unknown, embedding });
        }
        known
    }

    /// Adds labels to those that are stored, by this page or another one, unless the model has been deleted. The oldest give
    /// way.
    async fn add(&self, new: Vec<KnownLabel>) -> Result<(), JsValue> {
        if !self.store.has(&self.manifest).await {
            return Ok(());
        }
        let mut known = self.read().await;
        let are_new: HashSet<_> = new.iter().map(|new| (&new.label, &new.text)).collect();
        known.retain(|old| !are_new.contains(&(&old.label, &old.text)));
        known.extend(new.iter().cloned());
        let records = known.into_iter().map(|KnownLabel { label, text, unknown, embedding }| {
            let embedding = embedding.into_iter().flat_map(f32::to_le_bytes).collect();
            Record::Label(Label { label, text, unknown }, embedding).to_bytes()
        });
        let bytes = bounded(Record::LabelOwner(self.owner.clone()).to_bytes(), records.collect());
        self.store.write(&labels(&key(&self.manifest)), &bytes).await
    }
}

/// The first record and as many of the others as fit, the last ones.
fn bounded(owner: Vec<u8>, records: Vec<Vec<u8>>) -> Vec<u8> {
    let mut length = owner.len();
    let fits = |record: &&Vec<u8>| {
        length += record.len();
        length <= MOST_BYTES
    };
    let count = records.iter().rev().take(MOST_LABELS).take_while(fits).count();
    [owner].into_iter().chain(records.into_iter().rev().take(count).rev()).collect::<Vec<_>>().concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_bounded_and_has_the_newest_labels() {
        let records = |count: usize, length: usize| -> Vec<Vec<u8>> {
            (0..count).map(|at| [vec![0; length - 4], (at as u32).to_le_bytes().to_vec()].concat()).collect()
        };
        let few = bounded(vec![9; 3], records(2, 4));
        assert_eq!(few, [9, 9, 9, 0, 0, 0, 0, 1, 0, 0, 0]);
        let many = bounded(vec![9; 3], records(MOST_LABELS + 5, 4));
        assert_eq!(many.len(), 3 + 4 * MOST_LABELS);
        assert_eq!(many[3..7], [5, 0, 0, 0]);
        let long = bounded(vec![9; 3], records(20, 1 << 20));
        assert_eq!(long.len(), 3 + (7 << 20));
        assert_eq!(long[long.len() - 4..], 19u32.to_le_bytes());
    }
}
