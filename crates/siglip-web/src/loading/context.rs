//! What every step of a load from a server needs.

use std::collections::VecDeque;

use siglip::weights::{OPEN_CLIP_WEIGHTS, PICKLED_WEIGHTS, onnx_files};

use super::callbacks::Callbacks;
use crate::fetch::Client;
use crate::options::Options;
use crate::store::{Manifest, Store};

/// The weights, where they are in one file.
pub const WEIGHTS: &str = "model.safetensors";
/// The index of weights that are in several files.
pub const INDEX: &str = "model.safetensors.index.json";
/// Packed weights are passed on, to the other workers and to the cache, when this many bytes have been made.
pub const FLUSH_BYTES: usize = 1 << 18;

/// A load from a server.
pub struct Context<'l> {
    /// Sends its requests.
    pub client: Client<'l>,
    /// Names the model in the cache.
    pub manifest: Manifest,
    /// The cache.
    pub store: Store,
    /// The caller's options.
    pub options: &'l Options,
    /// The caller's callbacks.
    pub callbacks: &'l Callbacks,
}

impl Context<'_> {
    /// The URL of a file in the model's folder.
    pub fn url(&self, file: &str) -> String {
        let (folder, _) = self.manifest.model.rsplit_once('/').unwrap_or_default();
        // The small files of an ONNX are beside it, or beside its folder `onnx`.
        let folder = match self.onnx() {
            Some(_) => folder.strip_suffix("/onnx").unwrap_or(folder),
            None => folder,
        };
        format!("{folder}/{file}")
    }

    /// The name of the `.gguf`, if the model is one.
    pub fn gguf(&self) -> Option<&str> {
        let (_, name) = self.manifest.model.rsplit_once('/')?;
        name.ends_with(".gguf").then_some(name)
    }

    /// The ONNX files of the model, if its address is that of one: itself, or both towers.
    pub fn onnx(&self) -> Option<Vec<String>> {
        let (folder, name) = self.manifest.model.rsplit_once('/')?;
        if !name.ends_with(".onnx") {
            return None;
        }
        let path = if folder.ends_with("/onnx") { format!("onnx/{name}") } else { name.into() };
        let towers = self.options.towers;
        let files = onnx_files(&path).unwrap_or_else(|| vec![path]);
        Some(match files.as_slice() {
            [vision, _] if !towers.has_text() => vec![vision.clone()],
            [_, text] if !towers.has_image() => vec![text.clone()],
            _ => files,
        })
    }

    /// Where the weights may be, the likeliest place first.
    pub fn places(&self) -> VecDeque<Place> {
        if let Some(name) = self.gguf() {
            return [Place::Files(vec![name.into()])].into();
        }
        if let Some(names) = self.onnx() {
            return [Place::Files(names)].into();
        }
        let onnx = &self.options.onnx;
        let lists = onnx.dtypes().files(self.options.towers).into_iter().map(Place::Files);
        let mut places = VecDeque::from([
            Place::Files(vec![WEIGHTS.into()]),
            Place::Indexed,
            Place::Files(vec![OPEN_CLIP_WEIGHTS.into()]),
        ]);
        if onnx.first {
            lists.rev().for_each(|list| places.push_front(list));
        } else {
            places.extend(lists);
        }
        places.extend(PICKLED_WEIGHTS.map(Place::Pickled));
        places
    }
}

/// Where a folder may have its weights.
pub enum Place {
    /// In these files.
    Files(Vec<String>),
    /// In several files with an index.
    Indexed,
    /// In a file that is not read.
    Pickled(&'static str),
}

impl Place {
    /// The files, if their names are known beforehand.
    pub fn files(self) -> Option<Vec<String>> {
        match self {
            Place::Files(names) => Some(names),
            Place::Indexed | Place::Pickled(_) => None,
        }
    }
}
