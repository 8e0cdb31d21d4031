//! Labels with their embeddings: what a bundle for fixed labels has in place of a text tower.
//!
//! As JSON they are also what one page exports and another imports.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::text::Template;
use crate::{Error, json, prompts};

const FORMAT: &str = "siglip-labels";
const VERSION: u32 = 1;
/// Bounds of one JSON.
const MOST_SETS: usize = 256;
const MOST_LABELS: usize = 1 << 15;
const LONGEST_NAME: usize = 200;
/// Furthest that an embedding's L2 norm is from 1.
const NORM_TOLERANCE: f64 = 1e-3;

/// Labels with their embeddings, under a name.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelSet {
    name: String,
    templates: Vec<String>,
    labels: Vec<String>,
    /// The words that the model could not read, of the labels that have some.
    unknown: BTreeMap<String, Vec<String>>,
    /// [labels, embedding size], each of L2 norm 1.
    embeddings: Vec<f32>,
}

impl LabelSet {
    /// A set without labels. Each label's embedding is the mean over the templates, of L2 norm 1 again.
    ///
    /// # Errors
    /// [`Error::BadInput`] for a name that is empty or too long, and for no template, too many, or a bad one.
    pub fn new(name: &str, templates: &[String]) -> Result<LabelSet, Error> {
        let length = name.chars().count();
        if name.trim().is_empty() || length > LONGEST_NAME {
            return Err(bad(format!(
                "the name of a label set has 1 to {LONGEST_NAME} characters, not {length}"
            )));
        }
        let templates = Template::of(templates)?.sentences();
        Ok(LabelSet {
            name: name.into(),
            templates,
            labels: Vec::new(),
            unknown: BTreeMap::new(),
            embeddings: Vec::new(),
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its labels, in their order.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// The sentences that each label was put into.
    pub fn templates(&self) -> &[String] {
        &self.templates
    }

    /// Adds a label with its embedding.
    pub(crate) fn push(&mut self, label: &str, unknown: Vec<String>, embedding: &[f32]) {
        self.labels.push(label.into());
        if !unknown.is_empty() {
            self.unknown.insert(label.into(), unknown);
        }
        self.embeddings.extend_from_slice(embedding);
    }

    /// The place of each label.
    pub(crate) fn places(&self) -> impl Iterator<Item = (&str, usize)> {
        self.labels.iter().map(String::as_str).zip(0..)
    }

    /// A label's embedding, and the words of it that the model could not read.
    pub(crate) fn at(&self, place: usize) -> (&[f32], &[String]) {
        let size = self.embeddings.len() / self.labels.len().max(1);
        let unknown = self.unknown.get(&self.labels[place]).map_or(&[][..], Vec::as_slice);
        (&self.embeddings[place * size..(place + 1) * size], unknown)
    }
}

/// The mean over the embeddings of one label's sentences, of L2 norm 1 again. A single one stays as it is, so that scores are
/// those of the label's own text to the last bit.
pub(crate) fn mean_embedding(vectors: &[Vec<f32>]) -> Vec<f32> {
    if let [one] = vectors {
        return one.clone();
    }
    let width = vectors.first().map_or(0, |vector| vector.len());
    let sums: Vec<f64> =
        (0..width).map(|at| vectors.iter().map(|vector| f64::from(vector[at])).sum()).collect();
    let norm = sums.iter().map(|sum| sum * sum).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
    sums.into_iter().map(|sum| (sum / norm) as f32).collect()
}

/// Tells whose the embeddings of labels are.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelOwner {
    /// The model's name, for people.
    pub model: String,
    /// Width of its embeddings.
    pub embedding_size: usize,
    /// Its factor of every cosine. It and the bias are learned, so that no two models have the same.
    pub logit_scale: f32,
    /// Added to every scaled cosine.
    pub logit_bias: f32,
}

/// Label sets, each with a name of its own.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LabelSets(Vec<LabelSet>);

impl LabelSets {
    /// The sets, in their order.
    pub fn sets(&self) -> &[LabelSet] {
        &self.0
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The set of this name.
    ///
    /// # Errors
    /// [`Error::BadInput`] lists the names that there are.
    pub fn get(&self, name: &str) -> Result<&LabelSet, Error> {
        self.0.iter().find(|set| set.name == name).ok_or_else(|| {
            let names = self.0.iter().map(|set| format!("{:?}", set.name)).collect::<Vec<_>>().join(", ");
            bad(match names.is_empty() {
                true => format!("there is no label set {name:?}; the model has none"),
                false => format!("there is no label set {name:?}; there is {names}"),
            })
        })
    }

    /// Adds a set in place of one with the same name, if there is one.
    pub fn insert(&mut self, set: LabelSet) {
        match self.0.iter_mut().find(|old| old.name == set.name) {
            Some(old) => *old = set,
            None => self.0.push(set),
        }
    }

    /// The sets as JSON.
    pub fn to_json(&self, owner: &LabelOwner) -> String {
        let sets = self.0.iter().map(|set| StoredSet {
            name: set.name.clone(),
            templates: set.templates.clone(),
            labels: set.labels.clone(),
            unknown: set.unknown.clone(),
            embeddings: base64::encode(little_endian(&set.embeddings)),
        });
        let stored = Stored {
            format: FORMAT.into(),
            version: VERSION,
            model: owner.model.clone(),
            embedding_size: owner.embedding_size,
            logit_scale: owner.logit_scale,
            logit_bias: owner.logit_bias,
            sets: sets.collect(),
        };
        // Nothing in it can fail: its keys are strings.
        serde_json::to_string(&stored).unwrap_or_default()
    }

    /// Reads and checks what [`LabelSets::to_json`] has written.
    ///
    /// # Errors
    /// [`Error::BadInput`] names what is wrong.
    pub fn from_json(json: &str) -> Result<(LabelSets, LabelOwner), Error> {
        let stored: Stored = json::parse("the labels", json).map_err(|error| match error {
            Error::UnsupportedModel { field, reason } => bad(format!("{field}: {reason}")),
            error => error,
        })?;
        let Stored { format, version, model, embedding_size, logit_scale, logit_bias, sets } = stored;
        if format != FORMAT || version != VERSION {
            return Err(bad(format!(
                "the labels are {format:?} {version}; {FORMAT:?} {VERSION} can be read"
            )));
        }
        if !(1..=8192).contains(&embedding_size) || !logit_scale.is_finite() || !logit_bias.is_finite() {
            return Err(bad("embeddingSize, logitScale or logitBias is out of range"));
        }
        let (count, labels) = (sets.len(), sets.iter().map(|set| set.labels.len()).sum::<usize>());
        if !(1..=MOST_SETS).contains(&count) || labels > MOST_LABELS {
            return Err(bad(format!(
                "{count} label sets with {labels} labels; 1 to {MOST_SETS} sets and {MOST_LABELS} labels can be read"
            )));
        }
        let mut read = LabelSets::default();
        for set in sets {
            let set = set.check(embedding_size)?;
            if read.get(set.name()).is_ok() {
                return Err(bad(format!("the label set {:?} occurs twice", set.name())));
            }
            read.0.push(set);
        }
        Ok((read, LabelOwner { model, embedding_size, logit_scale, logit_bias }))
    }

    /// Reads those of a bundle whose embeddings have this width.
    pub(crate) fn of_bundle(json: &str, embedding_size: usize) -> Result<LabelSets, Error> {
        let wrong = |reason| Error::BadWeights(format!("siglip.labels_json: {reason}"));
        let (sets, owner) = LabelSets::from_json(json).map_err(|error| wrong(error.to_string()))?;
        if owner.embedding_size != embedding_size {
            let found = owner.embedding_size;
            return Err(wrong(format!("embeddings of width {found}; config.json asks for {embedding_size}")));
        }
        Ok(sets)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    format: String,
    version: u32,
    #[serde(default)]
    model: String,
    embedding_size: usize,
    logit_scale: f32,
    logit_bias: f32,
    sets: Vec<StoredSet>,
}

#[derive(Serialize, Deserialize)]
struct StoredSet {
    name: String,
    templates: Vec<String>,
    labels: Vec<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    unknown: BTreeMap<String, Vec<String>>,
    /// Base64 of little-endian f32, [labels, embedding size].
    embeddings: String,
}

impl StoredSet {
    fn check(self, embedding_size: usize) -> Result<LabelSet, Error> {
        let StoredSet { name, templates, labels, unknown, embeddings } = self;
        let set = LabelSet::new(&name, &templates)?;
        let wrong = |reason: String| bad(format!("label set {name:?}: {reason}"));
        prompts(&labels, &Template::default()).map_err(|error| wrong(error.to_string()))?;
        let mut seen = BTreeSet::new();
        if let Some(twice) = labels.iter().find(|label| !seen.insert(label.as_str())) {
            return Err(wrong(format!("the label {twice:?} occurs twice")));
        }
        let expected = labels.len() * embedding_size * size_of::<f32>();
        // The text's length is checked first, so that nothing large is decoded in vain.
        let fits = embeddings.len() == expected.div_ceil(3) * 4;
        let bytes = fits.then(|| base64::decode(&embeddings).ok()).flatten();
        let bytes = bytes.filter(|bytes| bytes.len() == expected).ok_or_else(|| {
            let count = labels.len();
            wrong(format!(
                "the embeddings are not base64 of {count} x {embedding_size} numbers of four bytes"
            ))
        })?;
        let numbers = bytes.as_chunks().0.iter().map(|&four| f32::from_le_bytes(four));
        let embeddings: Vec<f32> = numbers.collect();
        for (label, embedding) in labels.iter().zip(embeddings.chunks_exact(embedding_size)) {
            let squares: f64 = embedding.iter().map(|&value| f64::from(value).powi(2)).sum();
            let distance = (squares.sqrt() - 1.0).abs();
            // A number that is not finite makes a norm that is none.
            if distance.is_nan() || distance > NORM_TOLERANCE {
                return Err(wrong(format!("the embedding of {label:?} has no L2 norm of 1")));
            }
        }
        Ok(LabelSet { labels, unknown, embeddings, ..set })
    }
}

fn little_endian(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn bad(reason: impl Into<String>) -> Error {
    Error::BadInput(reason.into())
}
