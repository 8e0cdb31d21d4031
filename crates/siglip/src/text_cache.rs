//! Text embeddings by text, so that labels seen before cost nothing.

use std::collections::{HashMap, VecDeque};

/// Greatest number of cached embeddings. At this number the oldest half is dropped.
const CAPACITY: usize = 4096;

/// Text embeddings by text.
#[derive(Debug, Default)]
pub(crate) struct TextCache {
    embeddings: HashMap<String, Vec<f32>>,
    /// Oldest first.
    order: VecDeque<String>,
    /// The words that the model cannot read, of labels that an earlier visit has embedded.
    unknown_words: HashMap<String, Vec<String>>,
}

impl TextCache {
    pub fn get(&self, text: &str) -> Option<&[f32]> {
        self.embeddings.get(text).map(Vec::as_slice)
    }

    pub fn insert(&mut self, text: String, embedding: Vec<f32>) {
        if self.order.len() >= CAPACITY {
            for old in self.order.drain(..CAPACITY / 2) {
                self.embeddings.remove(&old);
            }
        }
        if self.embeddings.insert(text.clone(), embedding).is_none() {
            self.order.push_back(text);
        }
    }

    /// The words of a label that the model cannot read; `None` if no earlier visit has told them.
    pub fn unknown_words(&self, label: &str) -> Option<&[String]> {
        self.unknown_words.get(label).map(Vec::as_slice)
    }

    pub fn insert_unknown_words(&mut self, label: String, unknown: Vec<String>) {
        self.unknown_words.insert(label, unknown);
    }
}
