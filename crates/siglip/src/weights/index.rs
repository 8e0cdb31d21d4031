//! The index of weights that are in several files.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::other_names::Naming;
use super::tensor_list::is_buffer;
use super::{affine, bad};
use crate::{Error, impostor};

/// A larger `total_size` is ignored: no progress could be told from it.
const MAX_TOTAL_SIZE: f64 = (1u64 << 53) as f64;
/// Published checkpoints have a handful of files.
const MAX_FILES: usize = 1000;

/// `model.safetensors.index.json`: which of several files holds which tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeightIndex {
    files: BTreeMap<String, BTreeSet<String>>,
    total_size: Option<u64>,
    naming: Naming,
}

#[derive(Deserialize)]
struct IndexFile {
    metadata: Option<IndexMetadata>,
    weight_map: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct IndexMetadata {
    /// A number of bytes; some tools write it as 1e9 or 12.0, or something else altogether.
    total_size: Option<serde_json::Value>,
}

impl WeightIndex {
    /// Reads an index.
    ///
    /// # Errors
    /// [`Error::BadWeights`] if it is malformed, or names anything but safetensors files in its own folder.
    ///
    /// ```
    /// let json = br#"{"weight_map": {"logit_scale": "model-00002-of-00002.safetensors",
    ///                                "logit_bias": "model-00001-of-00002.safetensors"}}"#;
    /// let index = siglip::weights::WeightIndex::parse(json)?;
    /// assert_eq!(index.files().next(), Some("model-00001-of-00002.safetensors"));
    /// # Ok::<(), siglip::Error>(())
    /// ```
    pub fn parse(json: &[u8]) -> Result<WeightIndex, Error> {
        if let Some(reason) = impostor::in_place_of_json(json) {
            return Err(bad(format!("index: {reason}")));
        }
        let IndexFile { metadata, weight_map } =
            serde_json::from_slice(json).map_err(|error| bad(format!("index: {error}")))?;
        let mut files: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let naming = Naming::of(weight_map.keys().map(String::as_str));
        for (name, file) in &weight_map {
            if !is_beside(file) {
                let reason = format!(
                    "index: tensor {name:?} is in {file:?}, which is not a safetensors file beside it"
                );
                return Err(bad(reason));
            }
            let names = files.entry(file.clone()).or_default();
            let matrix = affine::matrix(name).filter(|matrix| weight_map.contains_key(matrix));
            match matrix {
                Some(matrix) if weight_map.get(&matrix) == Some(file) => {}
                Some(matrix) => {
                    return Err(bad(format!("index: {name:?} is in another file than {matrix:?}")));
                }
                None if is_buffer(name) => {}
                None => {
                    names.insert(naming.whole(name));
                }
            }
        }
        if files.len() > MAX_FILES {
            return Err(bad(format!("index: {} files; {MAX_FILES} at most", files.len())));
        }
        let total_size = metadata.and_then(|metadata| metadata.total_size?.as_f64());
        let plausible = |size: &f64| (0.0..MAX_TOTAL_SIZE).contains(size);
        let total_size = total_size.filter(plausible).map(|size| size as u64);
        Ok(WeightIndex { files, total_size, naming })
    }

    /// The files, in the order in which a [`TensorSink`](super::TensorSink) must be given them.
    pub fn files(&self) -> impl ExactSizeIterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// Bytes of all tensors according to the index. It is not checked, so use it only to show progress.
    pub fn total_size(&self) -> Option<u64> {
        self.total_size
    }

    /// Whose names the tensors have in the files.
    pub(super) fn naming(&self) -> Naming {
        self.naming
    }

    /// The files with the tensors that each must hold, in the same order.
    pub(super) fn assignments(&self) -> impl Iterator<Item = (&String, &BTreeSet<String>)> {
        self.files.iter()
    }
}

/// Whether it is a plain file name. An index must not name files elsewhere.
fn is_beside(file: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    file.len() <= 255 && file.ends_with(".safetensors") && !file.starts_with('.') && file.bytes().all(plain)
}
