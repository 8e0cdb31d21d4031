//! The file of an index. All numbers are little-endian.
//!
//! | part | content |
//! |---|---|
//! | magic | `SIGLIPIX` |
//! | version | u32: 1 |
//! | embedding size, entries | u32, u32 |
//! | logit scale and bias | f32, f32; NaN if the model has none |
//! | model | u16: length, then UTF-8 |
//! | each entry | u16: length of the name, UTF-8; SHA-256; u64: bytes of the file; u64: its time in ms |
//! | scales | f32 per entry |
//! | vectors | i8 per entry and value |
//! | checksum | CRC-32 of everything before |

use std::iter;

use crc32fast::Hasher;

use super::segment::{FileInfo, SEGMENT, Segment};
use super::{Entry, Index, IndexError, IndexModel, LONGEST_NAME, MOST_VALUES};

const MAGIC: &[u8; 8] = b"SIGLIPIX";
const VERSION: u32 = 1;
/// Bytes of an entry beside its name.
const ENTRY: usize = 2 + 32 + 8 + 8;
/// Bytes of the checksum.
const SUM: u64 = 4;
/// Bytes that [`Index::parse`] reads at a time.
const PIECE: usize = 1 << 20;

impl Index {
    /// The index as a file, piece by piece: the whole would take as much memory again.
    pub fn file_chunks(&self) -> impl Iterator<Item = Vec<u8>> {
        let segments = self.segments.iter();
        let mut content = iter::once(self.header())
            .chain(segments.clone().map(entries))
            .chain(
                segments
                    .clone()
                    .map(|segment| segment.scales.iter().flat_map(|scale| scale.to_le_bytes()).collect()),
            )
            .chain(segments.map(|segment| segment.vectors.iter().map(|value| *value as u8).collect()));
        let mut sum = Some(Hasher::new());
        iter::from_fn(move || {
            if let Some(bytes) = content.next() {
                sum.as_mut()?.update(&bytes);
                return Some(bytes);
            }
            sum.take().map(|sum| sum.finalize().to_le_bytes().to_vec())
        })
    }

    /// The index as a file.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.file_chunks().flatten().collect()
    }

    fn header(&self) -> Vec<u8> {
        let IndexModel { name, embedding_size, logit_scale, logit_bias } = &self.model;
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&(*embedding_size as u32).to_le_bytes());
        bytes.extend_from_slice(&(self.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&logit_scale.to_le_bytes());
        bytes.extend_from_slice(&logit_bias.to_le_bytes());
        push_name(&mut bytes, name);
        bytes
    }

    /// Reads the file of an index. [`IndexReader`] reads one that comes in pieces.
    ///
    /// # Errors
    /// [`IndexError::NotAnIndex`], [`IndexError::Version`], [`IndexError::Damaged`] and [`IndexError::BadName`].
    pub fn parse(bytes: &[u8]) -> Result<Index, IndexError> {
        let mut reader = IndexReader::new(bytes.len() as u64);
        bytes.chunks(PIECE).try_for_each(|piece| reader.push(piece))?;
        reader.finish()
    }
}

/// Reads the file of an index piece by piece. Nothing is allocated that the file has no bytes for.
#[derive(Debug)]
pub struct IndexReader {
    /// Bytes of the file before its checksum that are still to come.
    left: u64,
    /// Of all bytes before the checksum.
    sum: Hasher,
    /// Bytes that are not used yet: less than the next part of the file needs.
    rest: Vec<u8>,
    checksum: Vec<u8>,
    count: usize,
    /// None before the header is read.
    index: Option<Index>,
    /// Scales and values that are read.
    scales: usize,
    values: u64,
}

impl IndexReader {
    /// Begins with a file of so many bytes.
    pub fn new(length: u64) -> IndexReader {
        IndexReader {
            left: length.saturating_sub(SUM),
            sum: Hasher::new(),
            rest: Vec::new(),
            checksum: Vec::new(),
            count: 0,
            index: None,
            scales: 0,
            values: 0,
        }
    }

    /// Takes the next bytes, as many as there are.
    ///
    /// # Errors
    /// As [`Index::parse`].
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), IndexError> {
        let (content, checksum) = bytes.split_at(self.left.min(bytes.len() as u64) as usize);
        if self.checksum.len() + checksum.len() > SUM as usize {
            return Err(IndexError::Damaged("it goes on behind its checksum".into()));
        }
        self.checksum.extend_from_slice(checksum);
        self.left -= content.len() as u64;
        self.sum.update(content);
        self.rest.extend_from_slice(content);
        let rest = std::mem::take(&mut self.rest);
        let mut unread = &rest[..];
        while self.step(&mut unread)? {}
        self.rest = unread.to_vec();
        Ok(())
    }

    /// The index.
    ///
    /// # Errors
    /// As [`Index::parse`].
    pub fn finish(self) -> Result<Index, IndexError> {
        let Some(index) = self.index else {
            let is_other = self.rest.len() < MAGIC.len();
            return Err(if is_other { IndexError::NotAnIndex } else { ended() });
        };
        let is_whole =
            self.values == self.count as u64 * index.model.embedding_size as u64 && self.rest.is_empty();
        let Ok(sum) = <[u8; SUM as usize]>::try_from(self.checksum) else { return Err(ended()) };
        if self.left > 0 || !is_whole {
            return Err(ended());
        }
        if self.sum.finalize() != u32::from_le_bytes(sum) {
            return Err(IndexError::Damaged(
                "its checksum differs: bytes are missing or have changed".into(),
            ));
        }
        Ok(index)
    }

    /// Reads the next part, if all its bytes are there. Returns whether it has read any.
    fn step(&mut self, unread: &mut &[u8]) -> Result<bool, IndexError> {
        let before = unread.len();
        let Some(index) = &mut self.index else {
            let known = unread.len().min(MAGIC.len());
            if unread[..known] != MAGIC[..known] {
                return Err(IndexError::NotAnIndex);
            }
            let Some((model, count)) = header(unread)? else { return Ok(false) };
            let needed = (ENTRY as u64 + 4 + model.embedding_size as u64).checked_mul(count as u64);
            if needed.is_none_or(|needed| needed > unread.len() as u64 + self.left) {
                return Err(ended());
            }
            (self.count, self.index) = (count, Some(Index::new(model)));
            return Ok(true);
        };
        let size = index.model.embedding_size;
        if index.len() < self.count {
            let Some(entry) = entry(unread)? else { return Ok(false) };
            if entry.name.is_empty() || index.get(entry.name).is_some() {
                return Err(IndexError::BadName(entry.name.into()));
            }
            index.push_entry(entry);
            let is_last = index.len() == self.count;
            if is_last && unread.len() as u64 + self.left != self.count as u64 * (4 + size as u64) {
                return Err(IndexError::Damaged("its length and its number of pictures differ".into()));
            }
            return Ok(true);
        }
        if self.scales < self.count {
            let segment = &mut index.segments[self.scales / SEGMENT];
            let (scales, rest) =
                unread.split_at(4 * (unread.len() / 4).min(segment.len() - self.scales % SEGMENT));
            *unread = rest;
            for scale in scales.as_chunks().0 {
                let scale = f32::from_le_bytes(*scale);
                // The scale of an embedding of L2 norm 1 is at most 1/127.
                if !(0.0..=1.0).contains(&scale) {
                    let name = segment.name(segment.scales.len());
                    return Err(IndexError::Damaged(format!("the scale of {name:?}")));
                }
                segment.scales.push(scale);
            }
            self.scales += scales.len() / 4;
            return Ok(unread.len() < before);
        }
        if self.values < self.count as u64 * size as u64 {
            let segment = &mut index.segments[(self.values / (SEGMENT * size) as u64) as usize];
            let taken = unread.len().min(segment.len() * size - segment.vectors.len());
            let (values, rest) = unread.split_at(taken);
            *unread = rest;
            segment.vectors.extend(values.iter().map(|value| *value as i8));
            // The kernels' sums have room for the values that quantization gives, which -128 is none of.
            if let Some(at) = values.iter().position(|value| *value as i8 == i8::MIN) {
                let name = segment.name((segment.vectors.len() - taken + at) / size);
                return Err(IndexError::Damaged(format!("a value of -128 in the embedding of {name:?}")));
            }
            self.values += taken as u64;
            return Ok(taken > 0);
        }
        Ok(false)
    }
}

/// Whose index it is, and how many pictures it has; nothing if bytes are missing.
fn header(unread: &mut &[u8]) -> Result<Option<(IndexModel, usize)>, IndexError> {
    let mut rest = *unread;
    let numbers = (take(&mut rest), take(&mut rest), take(&mut rest), take(&mut rest));
    let (Some::<[u8; 8]>(_), Some(version), Some(size), Some(count)) = numbers else { return Ok(None) };
    let version = u32::from_le_bytes(version);
    if version != VERSION {
        return Err(IndexError::Version(version));
    }
    let embedding_size = u32::from_le_bytes(size) as usize;
    if !(1..=MOST_VALUES).contains(&embedding_size) {
        return Err(IndexError::Damaged(format!("embeddings of {embedding_size} values")));
    }
    let (Some(scale), Some(bias)) = (take(&mut rest), take(&mut rest)) else { return Ok(None) };
    let Some(name) = take_name(&mut rest)? else { return Ok(None) };
    *unread = rest;
    let (logit_scale, logit_bias) = (f32::from_le_bytes(scale), f32::from_le_bytes(bias));
    let model = IndexModel { name: name.into(), embedding_size, logit_scale, logit_bias };
    Ok(Some((model, u32::from_le_bytes(count) as usize)))
}

/// The next entry; nothing if bytes are missing.
fn entry<'n>(unread: &mut &'n [u8]) -> Result<Option<Entry<'n>>, IndexError> {
    let mut rest = *unread;
    let Some(name) = take_name(&mut rest)? else { return Ok(None) };
    let (Some(hash), Some(bytes), Some(modified)) = (take(&mut rest), take(&mut rest), take(&mut rest))
    else {
        return Ok(None);
    };
    *unread = rest;
    let (bytes, modified) = (u64::from_le_bytes(bytes), u64::from_le_bytes(modified));
    Ok(Some(Entry { name, hash, bytes, modified }))
}

/// What a file has of a segment's entries.
fn entries(segment: &Segment) -> Vec<u8> {
    let mut written = Vec::new();
    for (at, FileInfo { hash, bytes, modified }) in segment.files().iter().enumerate() {
        push_name(&mut written, segment.name(at));
        written.extend_from_slice(hash);
        written.extend_from_slice(&bytes.to_le_bytes());
        written.extend_from_slice(&modified.to_le_bytes());
    }
    written
}

fn ended() -> IndexError {
    IndexError::Damaged("it ends early".into())
}

fn push_name(bytes: &mut Vec<u8>, name: &str) {
    // Names of entries are shorter; a model's is for people, and may be cut.
    let name = &name[..name.floor_char_boundary(LONGEST_NAME)];
    bytes.extend_from_slice(&(name.len() as u16).to_le_bytes());
    bytes.extend_from_slice(name.as_bytes());
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, others) = rest.split_first_chunk()?;
    *rest = others;
    Some(*taken)
}

fn take_name<'n>(rest: &mut &'n [u8]) -> Result<Option<&'n str>, IndexError> {
    let Some(len) = take(rest) else { return Ok(None) };
    let len = u16::from_le_bytes(len) as usize;
    let wrong = || IndexError::Damaged("a name is not UTF-8, or too long".into());
    if len > LONGEST_NAME {
        return Err(wrong());
    }
    let Some((name, others)) = rest.split_at_checked(len) else { return Ok(None) };
    *rest = others;
    std::str::from_utf8(name).map(Some).map_err(|_| wrong())
}
