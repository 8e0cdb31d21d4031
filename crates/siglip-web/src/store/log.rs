//! The format of a cached model: one file of records, written from front to back and never changed.
//!
//! Each record has a checksum. A record and those before it hold all that is needed to resume the download from its
//! end. So a file that was cut off at any byte is valid up to its last whole record. A complete file ends with
//! [`Record::End`], which tells where the towers are, so that one can be read without the other.
//!
//! | bytes | |
//! |---|---|
//! | 4 | kind of record |
//! | 4 | length of the contents, little-endian |
//! | 4 | CRC-32 of kind and contents, little-endian |
//! | ... | contents: the length of a JSON value (4 bytes), the JSON value, and the bytes that belong to it |

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::contents::Contents;
use crate::body::{self, Body};

/// The name of the folder. A change of this format takes a new name. `www/lib/model-cache.js` has it too.
pub const FOLDER: &str = "siglip-web-2";

/// Bytes of a record before its contents.
const HEAD: usize = 12;
/// Bytes at the end of a complete file: the length of the record before them that they belong to.
pub const FOOTER: usize = 4;
/// The longest record is the header of a GGUF, with the tokenizer in it; it is shorter than this.
const MAX_CONTENTS: usize = 200_000_000;

/// One record.
#[derive(Debug, PartialEq)]
pub enum Record {
    /// The first record: which model this is.
    Manifest(Manifest),
    /// A small file of the checkpoint, by name.
    File(String, Vec<u8>),
    /// A weight file starts: where it comes from, and its header.
    Header(Source, Vec<u8>),
    /// Packed weights, and their end position in the weight file.
    Batches(Progress, Vec<u8>),
    /// The model is complete. `None` in a file of an older version.
    End(Option<Contents>),
    /// Whose the labels of this file are.
    LabelOwner(LabelOwner),
    /// A label that was embedded, and its embedding in little-endian f32.
    Label(Label, Vec<u8>),
}

/// What the embeddings of labels were made with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LabelOwner {
    /// [`Contents::id`] of the cached model.
    pub id: String,
    /// The kernels: others may differ in the last bits.
    pub backend: String,
    /// The version of this crate, which tokenized the text.
    pub version: String,
}

/// A label with what was embedded of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Label {
    /// The label.
    pub label: String,
    /// The label in its template.
    pub text: String,
    /// The words of the label that the model cannot read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<String>,
}

/// Which model is cached, and how. `www/lib/model-cache.js` reads it too.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The URL of the model's folder, or of the `.gguf`.
    pub model: String,
    /// `q8` or `f32`.
    pub precision: String,
    /// `image`, `text` or `both`.
    pub towers: String,
    /// The dtypes of the ONNX files that were asked for; `None` for the folder's own choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub onnx: Option<String>,
}

/// Where a weight file comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// Its name in the folder.
    pub file: String,
    /// Its length in bytes.
    pub total: u64,
    /// The server's strong ETag.
    pub etag: Option<String>,
    /// The server's Last-Modified.
    pub last_modified: Option<String>,
}

/// The position up to which a weight file was packed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// The next byte.
    pub position: u64,
    /// The state of the digest there; `None` if nobody computes it.
    pub digest: Option<String>,
}

impl Record {
    /// The record's bytes in the file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let (kind, json, bytes): (u32, _, &[u8]) = match self {
            Record::Manifest(manifest) => (0, serde_json::to_vec(manifest), &[]),
            Record::File(name, bytes) => (1, serde_json::to_vec(name), bytes),
            Record::Header(source, bytes) => (2, serde_json::to_vec(source), bytes),
            Record::Batches(progress, batches) => (3, serde_json::to_vec(progress), batches),
            Record::End(contents) => (4, serde_json::to_vec(contents), &[0; FOOTER]),
            Record::LabelOwner(owner) => (5, serde_json::to_vec(owner), &[]),
            Record::Label(label, embedding) => (6, serde_json::to_vec(label), embedding),
        };
        // These types always serialise: their keys are strings, and no implementation of theirs fails.
        let json = json.unwrap_or_default();
        let mut record = Vec::with_capacity(HEAD + 4 + json.len() + bytes.len());
        record.extend(kind.to_le_bytes());
        record.extend(((4 + json.len() + bytes.len()) as u32).to_le_bytes());
        record.extend([0; 4]);
        record.extend((json.len() as u32).to_le_bytes());
        record.extend_from_slice(&json);
        record.extend_from_slice(bytes);
        if matches!(self, Record::End(_)) {
            let (length, footer) = (record.len() as u32, record.len() - FOOTER);
            record[footer..].copy_from_slice(&length.to_le_bytes());
        }
        let checksum = checksum(kind, &record[HEAD..]);
        record[8..HEAD].copy_from_slice(&checksum.to_le_bytes());
        record
    }

    fn parse(kind: u32, mut contents: Vec<u8>) -> Option<Record> {
        let (length, rest) = contents.split_first_chunk()?;
        let json = rest.get(..u32::from_le_bytes(*length) as usize)?;
        fn value<T: DeserializeOwned>(json: &[u8]) -> Option<T> {
            serde_json::from_slice(json).ok()
        }
        let bytes = 4 + json.len();
        let json = json.to_vec();
        let mut rest = || {
            contents.drain(..bytes);
            std::mem::take(&mut contents)
        };
        Some(match kind {
            0 => Record::Manifest(value(&json)?),
            1 => Record::File(value(&json)?, rest()),
            2 => Record::Header(value(&json)?, rest()),
            3 => Record::Batches(value(&json)?, rest()),
            4 => Record::End(value(&json)?),
            5 => Record::LabelOwner(value(&json)?),
            6 => Record::Label(value(&json)?, rest()),
            _ => return None,
        })
    }
}

fn checksum(kind: u32, contents: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&kind.to_le_bytes());
    hasher.update(contents);
    hasher.finalize()
}

/// Parses records from chunks of any size.
#[derive(Default)]
struct Parser {
    pending: Vec<u8>,
    /// The end of the last whole record in the file.
    end: u64,
}

/// A parser's result.
enum Found {
    Record(Record),
    /// More bytes are needed.
    Incomplete,
    /// These bytes are no record.
    Broken,
}

impl Parser {
    /// Takes the next record from the pending bytes.
    fn next(&mut self) -> Found {
        let Some(head) = self.pending.first_chunk::<HEAD>() else { return Found::Incomplete };
        let [kind, length, expected] = [0, 1, 2].map(|at| u32::from_le_bytes(head.as_chunks().0[at]));
        let length = length as usize;
        if length > MAX_CONTENTS {
            return Found::Broken;
        }
        if self.pending.len() < HEAD + length {
            return Found::Incomplete;
        }
        let later = self.pending.split_off(HEAD + length);
        let mut contents = std::mem::replace(&mut self.pending, later);
        contents.drain(..HEAD);
        if checksum(kind, &contents) != expected {
            return Found::Broken;
        }
        self.end += (HEAD + length) as u64;
        Record::parse(kind, contents).map_or(Found::Broken, Found::Record)
    }
}

/// Reads the records of a kept file.
pub struct Log {
    body: Body,
    parser: Parser,
}

impl Log {
    /// A file at its start.
    pub fn new(body: Body) -> Log {
        Log { body, parser: Parser::default() }
    }

    /// The next record; `None` where the file ends, is broken or cannot be read.
    pub async fn next(&mut self) -> Option<Record> {
        loop {
            match self.parser.next() {
                Found::Record(record) => return Some(record),
                Found::Broken => return None,
                Found::Incomplete => body::append(&mut self.parser.pending, &self.body.next().await.ok()??),
            }
        }
    }

    /// Bytes of the records so far.
    pub fn end(&self) -> u64 {
        self.parser.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records() -> Vec<Record> {
        let source = Source {
            file: "model.safetensors".into(),
            total: 9,
            etag: Some("\"a\"".into()),
            last_modified: None,
        };
        vec![
            Record::Manifest(Manifest {
                model: "m".into(),
                precision: "q8".into(),
                towers: "both".into(),
                onnx: None,
            }),
            Record::File("config.json".into(), b"{}".to_vec()),
            Record::File("empty".into(), Vec::new()),
            Record::Header(source, vec![1, 2, 3]),
            Record::Batches(Progress { position: 3, digest: Some("00".into()) }, vec![4; 1000]),
            Record::End(Some(contents())),
            Record::LabelOwner(LabelOwner { id: "1".into(), backend: "simd".into(), version: "0".into() }),
            Record::Label(
                Label { label: "a".into(), text: "a b".into(), unknown: vec!["b".into()] },
                vec![1; 8],
            ),
        ]
    }

    fn contents() -> Contents {
        let mut contents = Contents::default();
        contents.add(0..100, siglip::Towers::Both);
        contents.add(100..200, siglip::Towers::Text);
        contents.add(200..300, siglip::Towers::Image);
        contents.id = "1".into();
        contents
    }

    #[test]
    fn a_complete_file_ends_with_the_length_of_its_last_record() {
        let end = Record::End(Some(contents())).to_bytes();
        let footer = end.last_chunk().copied().map(u32::from_le_bytes);
        assert_eq!(footer, Some(end.len() as u32));
        assert_eq!(parse(&[&end]).0, [Record::End(Some(contents()))]);
    }

    #[test]
    fn the_end_of_an_older_file_is_read() {
        let null = b"null";
        let mut end = [4, 8, 0].map(u32::to_le_bytes).concat();
        end.extend((null.len() as u32).to_le_bytes());
        end.extend(null);
        let checksum = checksum(4, &end[HEAD..]);
        end[8..HEAD].copy_from_slice(&checksum.to_le_bytes());
        assert_eq!(parse(&[&end]).0, [Record::End(None)]);
    }

    fn parse(chunks: &[&[u8]]) -> (Vec<Record>, u64) {
        let (mut parser, mut found) = (Parser::default(), Vec::new());
        for chunk in chunks {
            parser.pending.extend_from_slice(chunk);
            while let Found::Record(record) = parser.next() {
                found.push(record);
            }
        }
        (found, parser.end)
    }

    #[test]
    fn records_come_back_from_chunks_of_any_size() {
        let bytes: Vec<u8> = records().iter().flat_map(Record::to_bytes).collect();
        for size in [1, 7, 100, bytes.len()] {
            let chunks: Vec<&[u8]> = bytes.chunks(size).collect();
            assert_eq!(parse(&chunks), (records(), bytes.len() as u64));
        }
    }

    #[test]
    fn a_truncated_file_is_valid_up_to_its_last_whole_record() {
        let ends: Vec<u64> = records()
            .iter()
            .scan(0, |end, record| {
                *end += record.to_bytes().len() as u64;
                Some(*end)
            })
            .collect();
        let bytes: Vec<u8> = records().iter().flat_map(Record::to_bytes).collect();
        for cut in 0..=bytes.len() {
            let whole = ends.iter().filter(|end| **end <= cut as u64).count();
            let (found, end) = parse(&[&bytes[..cut]]);
            assert_eq!(found, records()[..whole]);
            assert_eq!(end, if whole == 0 { 0 } else { ends[whole - 1] });
        }
    }

    #[test]
    fn a_changed_byte_is_detected() {
        let bytes: Vec<u8> = records().iter().flat_map(Record::to_bytes).collect();
        for at in 0..bytes.len() {
            let mut broken = bytes.clone();
            broken[at] ^= 0x10;
            let (found, _) = parse(&[&broken]);
            assert!(found.len() < records().len(), "byte {at}");
            assert_eq!(found[..], records()[..found.len()], "byte {at}");
        }
    }
}
