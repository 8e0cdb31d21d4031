//! An index of pictures for scripts: worker/search-index.js drives it.

use js_sys::{Function, Uint8Array};
use serde::Serialize;
use siglip::index::{self, DuplicateSearch, Entry, Index, IndexError, IndexModel, NpyReader, QueryPart};
use wasm_bindgen::prelude::*;

use crate::Engine;
use crate::error::Error;

/// Pictures by name, with their embeddings.
#[wasm_bindgen]
pub struct SearchIndex {
    index: Index,
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
    fn new(entry: Entry<'i>, score: Option<f32>) -> Listed<'i> {
        let Entry { name, hash, bytes, modified } = entry;
        let digits = match hash {
            [0, ..] if hash == [0; 32] => String::new(),
            _ => hash.iter().map(|byte| format!("{byte:02x}")).collect(),
        };
        Listed { name, hash: digits, bytes, modified, score }
    }
}

#[wasm_bindgen]
impl Engine {
    /// An empty index for embeddings of this model. `name` is the model's, for people.
    pub fn search_index(&self, name: &str) -> Result<SearchIndex, JsValue> {
        Ok(SearchIndex::new(Index::new(self.siglip()?.index_model(name))))
    }

    /// Reads the file of an index of this model, of so many bytes.
    pub fn index_reader(&self, name: &str, length: f64) -> Result<IndexReader, JsValue> {
        let loaded = self.siglip()?.index_model(name);
        Ok(IndexReader { source: Source::File(index::IndexReader::new(length as u64)), loaded })
    }

    /// Reads an array of NumPy of so many bytes, whose rows are embeddings of this model.
    pub fn npy_reader(&self, name: &str, length: f64, names: Vec<String>) -> Result<IndexReader, JsValue> {
        let loaded = self.siglip()?.index_model(name);
        Ok(IndexReader { source: Source::Npy(NpyReader::new(loaded.clone(), names, length as u64)), loaded })
    }
}

/// An index that comes in pieces: a whole file of a million pictures would take as much memory again.
#[wasm_bindgen]
pub struct IndexReader {
    source: Source,
    /// The model that is loaded.
    loaded: IndexModel,
}

enum Source {
    File(index::IndexReader),
    Npy(NpyReader),
}

#[wasm_bindgen]
impl IndexReader {
    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), JsValue> {
        match &mut self.source {
            Source::File(reader) => reader.push(bytes),
            Source::Npy(reader) => reader.push(bytes),
        }
        .map_err(wrong)
    }

    /// The index.
    pub fn finish(self) -> Result<SearchIndex, JsValue> {
        let index = match self.source {
            Source::File(reader) => reader.finish(),
            Source::Npy(reader) => reader.finish(),
        };
        let index = index.map_err(wrong)?;
        index.check_model(&self.loaded).map_err(wrong)?;
        Ok(SearchIndex::new(index))
    }
}

impl SearchIndex {
    fn new(index: Index) -> SearchIndex {
        SearchIndex { index, parts: Vec::new(), duplicates: None }
    }
}

#[wasm_bindgen]
impl SearchIndex {
    /// Number of pictures.
    pub fn count(&self) -> usize {
        self.index.len()
    }

    /// `[{name, hash, bytes, modified}]`.
    pub fn entries(&self) -> Result<JsValue, JsValue> {
        to_js(&self.index.entries().map(|entry| Listed::new(entry, None)).collect::<Vec<_>>())
    }

    /// Whether the picture of this name has the same length and time as when it was embedded.
    pub fn has(&self, name: &str, bytes: f64, modified: f64) -> bool {
        let same = |entry: Entry| entry.bytes == bytes as u64 && entry.modified == modified as u64;
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
        let names = |group: &Vec<Entry>| group.iter().map(|entry| entry.name.to_string()).collect::<Vec<_>>();
        to_js(&groups.iter().map(names).collect::<Vec<_>>())
    }

    /// Gives the index as a file, piece by piece, to a function.
    pub fn write_file(&self, take: &Function) -> Result<(), JsValue> {
        give(self.index.file_chunks(), take)
    }

    /// Gives the embeddings as an array of NumPy, in the order of [`SearchIndex::entries`], piece by piece to a function.
    pub fn write_npy(&self, take: &Function) -> Result<(), JsValue> {
        give(self.index.npy_chunks(), take)
    }

    /// Adds the pictures of another index of the same model.
    pub fn merge(&mut self, other: SearchIndex) -> Result<(), JsValue> {
        self.duplicates = None;
        self.index.merge(other.index).map_err(wrong)
    }
}

fn give(mut chunks: impl Iterator<Item = Vec<u8>>, take: &Function) -> Result<(), JsValue> {
    chunks.try_for_each(|chunk| take.call1(&JsValue::NULL, &Uint8Array::from(&chunk[..])).map(drop))
}

fn entry<'n>(name: &'n str, hash: &[u8], bytes: f64, modified: f64) -> Result<Entry<'n>, JsValue> {
    let hash = match hash {
        [] => [0; 32],
        _ => hash.try_into().map_err(|_| Error::BadInput("a SHA-256 has 32 bytes".into()))?,
    };
    Ok(Entry { name, hash, bytes: bytes as u64, modified: modified as u64 })
}

fn wrong(error: IndexError) -> JsValue {
    Error::from(siglip::Error::from(error)).into()
}

fn to_js(value: &impl Serialize) -> Result<JsValue, JsValue> {
    Ok(value.serialize(&serde_wasm_bindgen::Serializer::json_compatible())?)
}
