//! What is kept of a model: one file of records, written from front to back and never changed.
//!
//! Each record has a checksum, and everything that is needed to go on from its end is in it or before it. So a file
//! that was cut off at any byte is good up to the last whole record; it is complete when it ends in
//! [`Record::End`]. No second file, no rewriting, nothing to keep in step.
//!
//! | bytes | |
//! |---|---|
//! | 4 | kind of record |
//! | 4 | bytes of its contents, little-endian |
//! | 4 | CRC-32 of kind and contents, little-endian |
//! | ... | contents: four bytes that tell the length of a JSON value, the value, and the bytes that belong to it |

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::body::Body;
use crate::fetch;

/// Bytes before the contents.
const HEAD: usize = 12;
/// Nothing longer is written: a GGUF's header with the largest tokenizer is shorter.
const MAX_CONTENTS: usize = 200_000_000;

/// One record.
#[derive(Debug, PartialEq)]
pub enum Record {
    /// The first: what it is that is kept.
    Manifest(Manifest),
    /// A small file of the checkpoint, by name.
    File(String, Vec<u8>),
    /// A weight file begins: its identity, and its header.
    Header(Source, Vec<u8>),
    /// Packed batches, and how far into the weight file they reach.
    Batches(Progress, Vec<u8>),
    /// All of it is there.
    End,
}

/// What it is that is kept. `www/lib/model-cache.js` reads it too.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The URL of the model's folder.
    pub model: String,
    /// `q8` or `f32`.
    pub precision: String,
    /// `image`, `text` or `both`.
    pub towers: String,
}

/// A weight file and what identified it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// Its name in the folder.
    pub file: String,
    /// Its length.
    pub total: u64,
    /// The server's strong ETag.
    pub etag: Option<String>,
    /// The server's Last-Modified.
    pub last_modified: Option<String>,
}

/// How far a weight file was read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// The byte that follows.
    pub position: u64,
    /// State of the digest up to there; none where parts of the file are left out.
    pub digest: Option<String>,
}

impl Record {
    /// Its bytes in the file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let (kind, json, bytes): (u32, _, &[u8]) = match self {
            Record::Manifest(manifest) => (0, serde_json::to_vec(manifest), &[]),
            Record::File(name, bytes) => (1, serde_json::to_vec(name), bytes),
            Record::Header(source, bytes) => (2, serde_json::to_vec(source), bytes),
            Record::Batches(progress, batches) => (3, serde_json::to_vec(progress), batches),
            Record::End => (4, Ok(b"null".to_vec()), &[]),
        };
        // These types have string keys only and no failing implementation: they always serialise.
        let json = json.unwrap_or_default();
        let mut record = Vec::with_capacity(HEAD + 4 + json.len() + bytes.len());
        record.extend(kind.to_le_bytes());
        record.extend(((4 + json.len() + bytes.len()) as u32).to_le_bytes());
        record.extend([0; 4]);
        record.extend((json.len() as u32).to_le_bytes());
        record.extend_from_slice(&json);
        record.extend_from_slice(bytes);
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
            4 => Record::End,
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

/// Cuts bytes into records, in chunks of any size.
#[derive(Default)]
struct Parser {
    pending: Vec<u8>,
    /// Where the last whole record ends in the file.
    end: u64,
}

/// What a parser finds.
enum Found {
    Record(Record),
    /// More bytes are needed.
    Part,
    /// These bytes are no record.
    Broken,
}

impl Parser {
    /// The first record of what has come and was not yet taken.
    fn next(&mut self) -> Found {
        let Some(head) = self.pending.first_chunk::<HEAD>() else { return Found::Part };
        let [kind, length, expected] = [0, 1, 2].map(|at| u32::from_le_bytes(head.as_chunks().0[at]));
        let length = length as usize;
        if length > MAX_CONTENTS {
            return Found::Broken;
        }
        if self.pending.len() < HEAD + length {
            return Found::Part;
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
                Found::Part => fetch::append(&mut self.parser.pending, &self.body.next().await.ok()??),
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
            Record::Manifest(Manifest { model: "m".into(), precision: "q8".into(), towers: "both".into() }),
            Record::File("config.json".into(), b"{}".to_vec()),
            Record::File("empty".into(), Vec::new()),
            Record::Header(source, vec![1, 2, 3]),
            Record::Batches(Progress { position: 3, digest: Some("00".into()) }, vec![4; 1000]),
            Record::End,
        ]
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
    fn a_file_cut_off_anywhere_is_good_up_to_its_last_whole_record() {
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
    fn a_changed_byte_is_never_taken_for_what_was_written() {
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
