//! Changes that make a variant of a recorded picture.

use serde::Deserialize;

/// A change, as record_variants.py writes it.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Edit {
    Insert(#[expect(dead_code, reason = "a third text says it")] String, usize, String),
    SetOrDelete(String, usize, usize),
    Cut(#[expect(dead_code, reason = "its place in the list says it")] String, usize),
}

/// Places behind the end of the file mean its end, as in the script's slices.
pub fn apply(file: &[u8], edits: &[Edit]) -> Vec<u8> {
    let mut file = file.to_vec();
    for edit in edits {
        match edit {
            Edit::Cut(_, len) => file.truncate(*len),
            Edit::SetOrDelete(kind, at, value) if kind == "set" => file[*at] = *value as u8,
            Edit::SetOrDelete(_, at, len) => {
                let end = file.len().min(at + len);
                file.drain(end.min(*at)..end);
            }
            Edit::Insert(_, at, hex) => {
                let bytes = (0..hex.len()).step_by(2);
                let bytes = bytes.map(|place| u8::from_str_radix(&hex[place..place + 2], 16).unwrap());
                let at = file.len().min(*at);
                file.splice(at..at, bytes);
            }
        }
    }
    file
}
