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

use super::{Entry, Index, IndexError, IndexModel, LONGEST_NAME, MOST_VALUES};

const MAGIC: &[u8; 8] = b"SIGLIPIX";
const VERSION: u32 = 1;
/// Bytes of an entry beside its name.
const ENTRY: usize = 2 + 32 + 8 + 8;

impl Index {
    /// The index as a file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let names: usize = self.entries.iter().map(|entry| ENTRY + entry.name.len()).sum();
        let mut bytes = Vec::with_capacity(
            64 + self.model.name.len() + names + 4 * self.scales.len() + self.vectors.len(),
        );
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&(self.model.embedding_size as u32).to_le_bytes());
        bytes.extend_from_slice(&(self.entries.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&self.model.logit_scale.to_le_bytes());
        bytes.extend_from_slice(&self.model.logit_bias.to_le_bytes());
        push_name(&mut bytes, &self.model.name);
        for entry in &self.entries {
            push_name(&mut bytes, &entry.name);
            bytes.extend_from_slice(&entry.hash);
            bytes.extend_from_slice(&entry.bytes.to_le_bytes());
            bytes.extend_from_slice(&entry.modified.to_le_bytes());
        }
        bytes.extend(self.scales.iter().flat_map(|scale| scale.to_le_bytes()));
        bytes.extend(self.vectors.iter().map(|value| *value as u8));
        bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
        bytes
    }

    /// Reads the file of an index. Nothing is allocated that the file has no bytes for.
    ///
    /// # Errors
    /// [`IndexError::NotAnIndex`], [`IndexError::Version`], [`IndexError::Damaged`] and [`IndexError::BadName`].
    pub fn parse(bytes: &[u8]) -> Result<Index, IndexError> {
        let mut rest = bytes.strip_prefix(MAGIC).ok_or(IndexError::NotAnIndex)?;
        let version = u32::from_le_bytes(take(&mut rest)?);
        if version != VERSION {
            return Err(IndexError::Version(version));
        }
        let (content, sum) = bytes.split_last_chunk().ok_or_else(ended)?;
        if crc32fast::hash(content) != u32::from_le_bytes(*sum) {
            return Err(IndexError::Damaged(
                "its checksum differs: bytes are missing or have changed".into(),
            ));
        }
        let mut rest = rest.get(..rest.len().saturating_sub(sum.len())).ok_or_else(ended)?;
        let embedding_size = u32::from_le_bytes(take(&mut rest)?) as usize;
        let count = u32::from_le_bytes(take(&mut rest)?) as usize;
        if !(1..=MOST_VALUES).contains(&embedding_size) {
            return Err(IndexError::Damaged(format!("embeddings of {embedding_size} values")));
        }
        let logit_scale = f32::from_le_bytes(take(&mut rest)?);
        let logit_bias = f32::from_le_bytes(take(&mut rest)?);
        let name = take_name(&mut rest)?;
        let needed = (ENTRY as u64 + 4 + embedding_size as u64).checked_mul(count as u64);
        if needed.is_none_or(|needed| needed > rest.len() as u64) {
            return Err(ended());
        }
        let mut index = Index::new(IndexModel { name, embedding_size, logit_scale, logit_bias });
        for place in 0..count {
            let name = take_name(&mut rest)?;
            let (hash, bytes, modified) = (take(&mut rest)?, take(&mut rest)?, take(&mut rest)?);
            if name.is_empty() || index.places.insert(name.clone(), place).is_some() {
                return Err(IndexError::BadName(name));
            }
            let (bytes, modified) = (u64::from_le_bytes(bytes), u64::from_le_bytes(modified));
            index.entries.push(Entry { name, hash, bytes, modified });
        }
        if rest.len() != count * (4 + embedding_size) {
            return Err(IndexError::Damaged("its length and its number of pictures differ".into()));
        }
        let (scales, vectors) = rest.split_at(4 * count);
        index.scales = scales.as_chunks().0.iter().map(|scale| f32::from_le_bytes(*scale)).collect();
        index.vectors = vectors.iter().map(|value| *value as i8).collect();
        // The kernels' sums have room for the values that quantization gives, which -128 is none of.
        if let Some(at) = index.vectors.iter().position(|value| *value == i8::MIN) {
            let name = &index.entries[at / embedding_size].name;
            return Err(IndexError::Damaged(format!("a value of -128 in the embedding of {name:?}")));
        }
        // The scale of an embedding of L2 norm 1 is at most 1/127.
        match index.scales.iter().position(|scale| !(0.0..=1.0).contains(scale)) {
            Some(place) => Err(IndexError::Damaged(format!("the scale of {:?}", index.entries[place].name))),
            None => Ok(index),
        }
    }
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

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], IndexError> {
    let (taken, others) = rest.split_first_chunk().ok_or_else(ended)?;
    *rest = others;
    Ok(*taken)
}

fn take_name(rest: &mut &[u8]) -> Result<String, IndexError> {
    let len = u16::from_le_bytes(take(rest)?) as usize;
    let (name, others) = rest.split_at_checked(len).ok_or_else(ended)?;
    *rest = others;
    match std::str::from_utf8(name) {
        Ok(name) if len <= LONGEST_NAME => Ok(name.into()),
        _ => Err(IndexError::Damaged("a name is not UTF-8, or too long".into())),
    }
}
