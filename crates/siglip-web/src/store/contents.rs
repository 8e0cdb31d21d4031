//! Where a complete log has its two towers, so that one can be read without the other.

use std::collections::BTreeMap;
use std::ops::Range;

use js_sys::{Array, Uint8Array};
use serde::{Deserialize, Serialize};
use siglip::Towers;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;
use web_sys::Blob;

use super::log::{FOOTER, Log, Progress, Record};
use crate::body::Body;

/// The longest last record: a weight file takes some hundred bytes of it.
const MOST_BYTES: u64 = 1 << 20;

/// The contents of a log.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Contents {
    /// A random name of this log: what was made with its model is told by it.
    pub id: String,
    /// The bytes that the image tower alone needs.
    image: Vec<Range<u64>>,
    /// The bytes that the text tower alone needs.
    text: Vec<Range<u64>>,
    /// The end of each weight file, by its name.
    pub ends: BTreeMap<String, Progress>,
}

impl Contents {
    /// Adds a record that these towers need. The records come in their order.
    pub fn add(&mut self, record: Range<u64>, towers: Towers) {
        let list = match towers {
            Towers::Image => &mut self.image,
            Towers::Text => &mut self.text,
            Towers::Both => return,
        };
        match list.last_mut() {
            Some(last) if last.end == record.start => last.end = record.end,
            _ => list.push(record),
        }
    }

    /// Reads the contents at the end of a complete log.
    pub async fn read(file: &Blob) -> Option<Contents> {
        let size = file.size();
        let footer = bytes(file, size - FOOTER as f64, size).await?;
        let length = u32::from_le_bytes(*footer.first_chunk()?);
        if u64::from(length) > MOST_BYTES.min(size as u64) {
            return None;
        }
        let end = file.slice_with_f64_and_f64(size - f64::from(length), size).ok()?;
        match Log::new(Body::of_blob(&end)).next().await? {
            Record::End(contents) => contents,
            _ => None,
        }
    }

    /// The log without what the other tower alone needs; `None` if there is nothing to leave out.
    pub fn part(&self, file: &Blob, tower: Towers) -> Option<Blob> {
        let left_out = match tower {
            Towers::Image => &self.text,
            Towers::Text => &self.image,
            Towers::Both => return None,
        };
        if left_out.is_empty() {
            return None;
        }
        let slice = |start: u64, end: f64| file.slice_with_f64_and_f64(start as f64, end).ok();
        let (parts, mut start) = (Array::new(), 0);
        for range in left_out {
            parts.push(&slice(start, range.start as f64)?.into());
            start = range.end;
        }
        parts.push(&slice(start, file.size())?.into());
        Blob::new_with_blob_sequence(&parts).ok()
    }
}

async fn bytes(file: &Blob, start: f64, end: f64) -> Option<Vec<u8>> {
    let slice = file.slice_with_f64_and_f64(start.max(0.0), end).ok()?;
    let buffer = JsFuture::from(slice.array_buffer()).await.ok()?;
    Some(Uint8Array::new(buffer.unchecked_ref()).to_vec())
}
