//! An index of pictures: their embeddings in 8 bits with what tells the files apart, and search in it.
//!
//! [`Index::file_chunks`] is the one file that the command line and pages exchange; [`npy`] exchanges embeddings with NumPy.
//! Both go out and come in piece by piece: a million pictures take 850 MB, which are never held twice.

mod duplicates;
mod file;
pub mod npy;
mod places;
mod query;
mod segment;

use siglip_kernels::{Rows, quantize_rows, top_k};

use places::Places;
use segment::{FileInfo, SEGMENT, Segment};

pub use duplicates::DuplicateSearch;
pub use file::IndexReader;
pub use npy::NpyReader;
pub use query::QueryPart;

/// Most values of an embedding.
const MOST_VALUES: usize = 1 << 16;
/// Bytes of the longest name of an entry or a model.
const LONGEST_NAME: usize = 1 << 12;
/// Furthest that two readings of one model's scale or bias are from each other, as a share of it.
const TOLERANCE: f32 = 1e-3;

/// Why an index, or an array for it, cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum IndexError {
    /// The file is something else.
    #[error("this is not an index of pictures; `siglip index` and index.export() write such files")]
    NotAnIndex,
    /// A later version of this program has written it.
    #[error(
        "the index has version {0}, and this program reads version 1; use a newer one, or make the index again"
    )]
    Version(u32),
    /// The file ends early, or bytes of it have changed.
    #[error("the index is damaged: {0}; make it again")]
    Damaged(String),
    /// The embeddings are another model's.
    #[error("the index is of {}; load that model, or make the index again", other_model(index, "of", loaded))]
    OtherModel {
        /// Whose embeddings it has.
        index: String,
        /// The model at hand.
        loaded: String,
    },
    /// An embedding of another length, without a direction, or with numbers that are not finite.
    #[error("the embedding of {name} cannot be used: {reason}")]
    BadEmbedding {
        /// The picture's name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A name that is empty or too long, or one of two that are equal.
    #[error("the name {0:?} is empty, longer than 4096 bytes or given twice")]
    BadName(String),
    /// A NumPy file of another kind.
    #[error("the .npy cannot be used: {0}; write float32 of shape [pictures, values]")]
    BadNpy(String),
    /// No picture has this name.
    #[error("the index has no picture {0:?}")]
    NoSuchName(String),
    /// A query without any part.
    #[error("the query is empty; give a text or a picture")]
    EmptyQuery,
}

/// Names the model that something was made with, where another is loaded. Two of one name differ in their weights.
pub(crate) fn other_model(name: &str, preposition: &str, loaded: &str) -> String {
    if name == loaded {
        format!("other weights of the model {name}")
    } else {
        format!("the model {name}, not {preposition} {loaded}")
    }
}

/// Whose embeddings an index has. Scale and bias are learned, so that no two models have the same.
#[derive(Debug, Clone, PartialEq)]
pub struct IndexModel {
    /// The model's name, for people.
    pub name: String,
    /// Values of an embedding.
    pub embedding_size: usize,
    /// The model's factor of every cosine; NaN if it has none.
    pub logit_scale: f32,
    /// Added to every scaled cosine; NaN if the model has none.
    pub logit_bias: f32,
}

impl IndexModel {
    /// Whether the embeddings of both can be compared. The names may differ: one model may lie at several addresses.
    pub fn matches(&self, other: &IndexModel) -> bool {
        let near = |a: f32, b: f32| (a.is_nan() && b.is_nan()) || (a - b).abs() <= TOLERANCE * b.abs();
        self.embedding_size == other.embedding_size
            && near(self.logit_scale, other.logit_scale)
            && near(self.logit_bias, other.logit_bias)
    }
}

/// A picture of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'n> {
    /// Its path relative to the folder, with slashes.
    pub name: &'n str,
    /// SHA-256 of the file; zeros if it is not known.
    pub hash: [u8; 32],
    /// Length of the file in bytes.
    pub bytes: u64,
    /// When the file was last changed, in milliseconds since 1970.
    pub modified: u64,
}

/// A picture that a search has found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found<'i> {
    /// The picture.
    pub entry: Entry<'i>,
    /// The dot product of its embedding and the query, both of L2 norm 1.
    pub score: f32,
}

/// Pictures by name, with their embeddings.
#[derive(Debug, Clone)]
pub struct Index {
    model: IndexModel,
    /// All but the last are full, and none is empty.
    segments: Vec<Segment>,
    places: Places,
}

impl PartialEq for Index {
    fn eq(&self, other: &Index) -> bool {
        self.model == other.model && self.segments == other.segments
    }
}

impl Index {
    /// An index without pictures.
    pub fn new(model: IndexModel) -> Index {
        Index { model, segments: Vec::new(), places: Places::default() }
    }

    /// Whose embeddings it has.
    pub fn model(&self) -> &IndexModel {
        &self.model
    }

    /// Number of pictures.
    pub fn len(&self) -> usize {
        self.segments.last().map_or(0, |last| (self.segments.len() - 1) * SEGMENT + last.len())
    }

    /// Whether it has no pictures.
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// The pictures. Removing one changes the order.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.segments.iter().flat_map(Segment::entries)
    }

    /// Checks that the embeddings are of this model.
    ///
    /// # Errors
    /// [`IndexError::OtherModel`].
    pub fn check_model(&self, loaded: &IndexModel) -> Result<(), IndexError> {
        if self.model.matches(loaded) {
            return Ok(());
        }
        Err(IndexError::OtherModel { index: self.model.name.clone(), loaded: loaded.name.clone() })
    }

    /// The picture of this name.
    pub fn get(&self, name: &str) -> Option<Entry<'_>> {
        self.place(name).map(|place| self.entry(place))
    }

    /// The embedding of the picture of this name, of L2 norm 1 up to what 8 bits lose.
    ///
    /// # Errors
    /// [`IndexError::NoSuchName`].
    pub fn embedding(&self, name: &str) -> Result<Vec<f32>, IndexError> {
        let place = self.place(name).ok_or_else(|| IndexError::NoSuchName(name.into()))?;
        let (scale, vector) = self.row(place);
        Ok(vector.iter().map(|value| f32::from(*value) * scale).collect())
    }

    /// Adds a picture, or replaces the one of this name. The embedding is scaled to L2 norm 1.
    ///
    /// # Errors
    /// [`IndexError::BadName`] and [`IndexError::BadEmbedding`].
    pub fn insert(&mut self, entry: Entry<'_>, embedding: &[f32]) -> Result<(), IndexError> {
        check_name(entry.name)?;
        let wrong = |reason: String| IndexError::BadEmbedding { name: entry.name.into(), reason };
        let size = self.model.embedding_size;
        if embedding.len() != size || !(1..=MOST_VALUES).contains(&size) {
            return Err(wrong(format!("it has {} values, and the index holds {size}", embedding.len())));
        }
        let norm = embedding.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
        if !norm.is_finite() || norm == 0.0 {
            return Err(wrong("its L2 norm is not a positive number".into()));
        }
        let unit: Vec<f32> = embedding.iter().map(|value| (f64::from(*value) / norm) as f32).collect();
        let (mut scale, mut vector) = ([0.0], vec![0; size]);
        quantize_rows(&unit, size, &mut scale, &mut vector);
        self.put(entry, scale[0], &vector);
        Ok(())
    }

    fn put(&mut self, entry: Entry<'_>, scale: f32, vector: &[i8]) {
        if let Some(place) = self.place(entry.name) {
            self.segments[place / SEGMENT].replace(place % SEGMENT, entry, scale, vector);
            return;
        }
        let segment = self.push_entry(entry);
        segment.scales.push(scale);
        segment.vectors.extend_from_slice(vector);
    }

    /// Adds a picture of a new name, whose embedding is to follow, and returns its segment.
    fn push_entry(&mut self, entry: Entry<'_>) -> &mut Segment {
        let place = self.len();
        if place.is_multiple_of(SEGMENT) {
            // A small index takes no more than it needs.
            self.segments.push(match place {
                0 => Segment::default(),
                _ => Segment::with_room(self.model.embedding_size),
            });
        }
        self.segments[place / SEGMENT].push_entry(entry);
        self.places.insert(place, |place| name_of(&self.segments, place));
        &mut self.segments[place / SEGMENT]
    }

    /// Gives the picture of one file also to another name, such as a copy's, or one that the file was moved to. Returns whether
    /// a picture with this hash was there.
    ///
    /// # Errors
    /// [`IndexError::BadName`].
    pub fn insert_known(&mut self, entry: Entry<'_>) -> Result<bool, IndexError> {
        check_name(entry.name)?;
        let known = |file: &FileInfo| file.hash == entry.hash && file.hash != [0; 32];
        let mut files = self.segments.iter().flat_map(Segment::files);
        let Some(place) = files.position(known) else { return Ok(false) };
        let (scale, vector) = self.row(place);
        let vector = vector.to_vec();
        self.put(entry, scale, &vector);
        Ok(true)
    }

    /// Adds the pictures of another index of the same model. Those of the same names are replaced.
    ///
    /// # Errors
    /// [`IndexError::OtherModel`].
    pub fn merge(&mut self, other: Index) -> Result<(), IndexError> {
        other.check_model(&self.model)?;
        if self.is_empty() {
            (self.segments, self.places) = (other.segments, other.places);
            return Ok(());
        }
        // Each segment is freed once it is added.
        for segment in other.segments {
            for (at, entry) in segment.entries().enumerate() {
                self.put(entry, segment.scales[at], segment.vector(at));
            }
        }
        Ok(())
    }

    /// Removes a picture. Returns whether it was there.
    pub fn remove(&mut self, name: &str) -> bool {
        let Some(place) = self.places.remove(name, |place| name_of(&self.segments, place)) else {
            return false;
        };
        // The last picture takes its place.
        let last = self.len() - 1;
        if place != last {
            let Entry { name, hash, bytes, modified } = self.entry(last);
            let (name, (scale, vector)) = (name.to_string(), self.row(last));
            let vector = vector.to_vec();
            self.places.set(&name, place, |place| name_of(&self.segments, place));
            let entry = Entry { name: &name, hash, bytes, modified };
            self.segments[place / SEGMENT].replace(place % SEGMENT, entry, scale, &vector);
        }
        self.segments[last / SEGMENT].pop();
        if last.is_multiple_of(SEGMENT) {
            self.segments.pop();
        }
        true
    }

    /// The pictures that fit a query best, best first. [`Index::query`] makes the query.
    ///
    /// # Panics
    /// If the query is not as long as an embedding.
    pub fn search(&self, query: &[f32], count: usize) -> Vec<Found<'_>> {
        let rows: Vec<Rows> = self.segments.iter().map(Segment::rows).collect();
        let hits = top_k(query, &rows, count);
        hits.into_iter().map(|hit| Found { entry: self.entry(hit.place), score: hit.score }).collect()
    }

    fn place(&self, name: &str) -> Option<usize> {
        self.places.get(name, |place| name_of(&self.segments, place))
    }

    fn entry(&self, place: usize) -> Entry<'_> {
        self.segments[place / SEGMENT].entry(place % SEGMENT)
    }

    fn row(&self, place: usize) -> (f32, &[i8]) {
        let (segment, at) = (&self.segments[place / SEGMENT], place % SEGMENT);
        (segment.scales[at], segment.vector(at))
    }
}

fn name_of(segments: &[Segment], place: usize) -> &str {
    segments[place / SEGMENT].name(place % SEGMENT)
}

fn check_name(name: &str) -> Result<(), IndexError> {
    match name.len() {
        1..=LONGEST_NAME => Ok(()),
        _ => Err(IndexError::BadName(name.into())),
    }
}
