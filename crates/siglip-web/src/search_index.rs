//! An index of pictures for scripts: worker/search-index.js drives it.

use serde::Serialize;
use siglip::index::{DuplicateSearch, Entry, Index, IndexModel, QueryPart};
use wasm_bindgen::prelude::*;

use crate::Engine;
use crate::error::Error;

/// Pictures by name, with their embeddings.
#[wasm_bindgen]
pub struct SearchIndex {
    index: Index,
    /// The model that is loaded.
    loaded: IndexModel,
    parts: Vec<QueryPart>,
    /// The search for duplicates that was begun.
    duplicates: Option<DuplicateSearch>,
}

/// A picture, as scripts see it.
#[derive(Serialize)]
struct Listed<'i> {
    name: &'i str,
    /// SHA-256 in hexadecimal digits; empty if it is not known.
    hash: String,
    bytes: u64,
    modified: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<f32>,
}

impl<'i> Listed<'i> {
    fn new(entry: &'i Entry, score: Option<f32>) -> Listed<'i> {
        let Entry { name, hash, bytes, modified } = entry;
        let digits = match hash {
            [0, ..] if *hash == [0; 32] => String::new(),
            _ => hash.iter().map(|byte| format!("{byte:02x}")).collect(),
        };
        Listed { name, hash: digits, bytes: *bytes, modified: *modified, score }
    }
}

#[wasm_bindgen]
impl Engine {
    /// An index for embeddings of this model: an empty one, or that of a file. `name` is the model's, for people.
    pub fn search_index(&self, name: &str, file: Option<Vec<u8>>) -> Result<SearchIndex, JsValue> {
        let loaded = self.siglip()?.index_model(name);
        let index = match file {
            Some(file) => Index::parse(&file).map_err(wrong)?,
            None => Index::new(loaded.clone()),
        };
        index.check_model(&loaded).map_err(wrong)?;
        Ok(SearchIndex { index, loaded, parts: Vec::new(), duplicates: None })
    }
}

#[wasm_bindgen]
impl SearchIndex {
    /// Number of pictures.
    pub fn count(&self) -> usize {
        self.index.entries().len()
    }

    /// `[{name, hash, bytes, modified}]`.
    pub fn entries(&self) -> Result<JsValue, JsValue> {
        to_js(&self.index.entries().iter().map(|entry| Listed::new(entry, None)).collect::<Vec<_>>())
    }

    /// Whether the picture of this name has the same length and time as when it was embedded.
    pub fn has(&self, name: &str, bytes: f64, modified: f64) -> bool {
        let same = |entry: &Entry| entry.bytes == bytes as u64 && entry.modified == modified as u64;
        self.index.get(name).is_some_and(same)
    }

    /// Gives the embedding of the file with this SHA-256 to a name. Returns whether there is one.
    pub fn add_known(&mut self, name: &str, hash: &[u8], bytes: f64, modified: f64) -> Result<bool, JsValue> {
        self.index.insert_known(entry(name, hash, bytes, modified)?).map_err(wrong)
    }

    /// Adds a picture, or replaces the one of this name. The hash is empty if it is not known.
    pub fn add(
        &mut self,
        name: &str,
        hash: &[u8],
        bytes: f64,
        modified: f64,
        embedding: &[f32],
    ) -> Result<(), JsValue> {
        self.index.insert(entry(name, hash, bytes, modified)?, embedding).map_err(wrong)
    }

    /// Removes a picture. Returns whether it was there. A search for duplicates begins anew.
    pub fn remove(&mut self, name: &str) -> bool {
        self.duplicates = None;
        self.index.remove(name)
    }

    /// The embedding of a picture.
    pub fn embedding(&self, name: &str) -> Result<Vec<f32>, JsValue> {
        self.index.embedding(name).map_err(wrong)
    }

    /// Adds a part to the next query. A negative weight looks for what is unlike it.
    pub fn add_part(&mut self, embedding: Vec<f32>, weight: f32) {
        self.parts.push(QueryPart { embedding, weight });
    }

    /// `[{name, hash, bytes, modified, score}]` of the pictures that fit the parts best.
    pub fn search(&mut self, count: usize) -> Result<JsValue, JsValue> {
        let query = self.index.query(&std::mem::take(&mut self.parts)).map_err(wrong)?;
        let found = self.index.search(&query, count);
        to_js(&found.iter().map(|found| Listed::new(found.entry, Some(found.score))).collect::<Vec<_>>())
    }

    /// Begins a search for pictures whose embeddings' cosine is at least `threshold`, in place of one that was begun.
    pub fn begin_duplicates(&mut self, threshold: f32) {
        self.duplicates = Some(self.index.begin_duplicates(threshold));
    }

    /// Makes a step of that search: the share that is done as a number, or after the last step groups of names.
    pub fn step_duplicates(&mut self) -> Result<JsValue, JsValue> {
        let gone = || Error::BadInput("pictures were removed, or another search has begun; ask again".into());
        let mut search = self.duplicates.take().ok_or_else(gone)?;
        if !self.index.compare(&mut search) {
            let progress = search.progress();
            self.duplicates = Some(search);
            return Ok(progress.into());
        }
        let groups = self.index.duplicates_found(search);
        let names = |group: &Vec<&Entry>| group.iter().map(|entry| entry.name.clone()).collect::<Vec<_>>();
        to_js(&groups.iter().map(names).collect::<Vec<_>>())
    }

    /// The index as a file.
    pub fn file(&self) -> Vec<u8> {
        self.index.to_bytes()
    }

    /// Adds the pictures of an index file of the same model.
    pub fn add_file(&mut self, file: &[u8]) -> Result<(), JsValue> {
        let other = Index::parse(file).map_err(wrong)?;
        other.check_model(&self.loaded).map_err(wrong)?;
        self.index.merge(&other).map_err(wrong)
    }

    /// The embeddings as an array of NumPy, in the order of [`SearchIndex::entries`].
    pub fn npy(&self) -> Vec<u8> {
        self.index.to_npy()
    }

    /// Adds the rows of an array of NumPy as pictures of these names.
    pub fn add_npy(&mut self, npy: &[u8], names: Vec<String>) -> Result<(), JsValue> {
        self.index.insert_npy(npy, &names).map_err(wrong)
    }
}

fn entry(name: &str, hash: &[u8], bytes: f64, modified: f64) -> Result<Entry, JsValue> {
    let hash = match hash {
        [] => [0; 32],
        _ => hash.try_into().map_err(|_| Error::BadInput("a SHA-256 has 32 bytes".into()))?,
    };
    Ok(Entry { name: name.into(), hash, bytes: bytes as u64, modified: modified as u64 })
}

fn wrong(error: siglip::index::IndexError) -> JsValue {
    Error::from(siglip::Error::from(error)).into()
}

fn to_js(value: &impl Serialize) -> Result<JsValue, JsValue> {
    Ok(value.serialize(&serde_wasm_bindgen::Serializer::json_compatible())?)
}
