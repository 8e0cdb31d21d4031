//! Embeddings as NumPy's file format: float32 of shape [pictures, values], with the names in a list beside.

use std::iter;

use super::{Entry, Index, IndexError, IndexModel};

const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// Bytes of the longest header that is read.
const LONGEST_HEADER: usize = 1 << 16;

/// An array's header of version 1.0. `dtype` is NumPy's, such as `<f4`.
pub fn header(dtype: &str, shape: &[usize]) -> Vec<u8> {
    // With a comma behind each number a single one is a tuple as well.
    let shape: String = shape.iter().map(|side| format!("{side}, ")).collect();
    let header = format!("{{'descr': '{dtype}', 'fortran_order': False, 'shape': ({shape}), }}");
    // Magic, version, length, header and a line feed take a multiple of 64 bytes.
    let length = (10 + header.len() + 1).next_multiple_of(64) - 10;
    let mut bytes = [&MAGIC[..], &[1, 0], &(length as u16).to_le_bytes()].concat();
    bytes.extend_from_slice(format!("{header:width$}\n", width = length - 1).as_bytes());
    bytes
}

/// Where the rows of an array of float32 begin, how many there are and how many values each has; nothing if bytes of the header
/// are missing.
fn shape(bytes: &[u8]) -> Result<Option<(usize, [usize; 2])>, IndexError> {
    let known = bytes.len().min(MAGIC.len());
    if bytes[..known] != MAGIC[..known] {
        return Err(wrong("it is no NumPy file"));
    }
    let Some((version, rest)) = bytes.get(MAGIC.len()..).and_then(<[u8]>::split_first_chunk::<2>) else {
        return Ok(None);
    };
    let len = match version[0] {
        1 => rest.first_chunk().map(|len| (2, u16::from_le_bytes(*len) as usize)),
        2 | 3 => rest.first_chunk().map(|len| (4, u32::from_le_bytes(*len) as usize)),
        _ => return Err(wrong("its version is unknown")),
    };
    let Some((digits, len)) = len else { return Ok(None) };
    if len > LONGEST_HEADER {
        return Err(wrong("its header is too long"));
    }
    let start = MAGIC.len() + 2 + digits;
    let Some(header) = bytes.get(start..start + len) else { return Ok(None) };
    let header: String = String::from_utf8_lossy(header).split_whitespace().collect();
    if !(header.contains("'descr':'<f4'") && header.contains("'fortran_order':False")) {
        return Err(wrong("its values are not float32 in rows"));
    }
    let sides =
        header.split_once("'shape':(").and_then(|(_, rest)| rest.split_once(')')).map(|(sides, _)| sides);
    let sides: Vec<Option<usize>> =
        sides.unwrap_or_default().trim_end_matches(',').split(',').map(|side| side.parse().ok()).collect();
    let [Some(rows), Some(width @ 1..)] = sides[..] else { return Err(wrong("its shape has not two sides")) };
    Ok(Some((start + len, [rows, width])))
}

fn wrong(reason: &str) -> IndexError {
    IndexError::BadNpy(reason.into())
}

/// Reads an array of float32 piece by piece: its rows become pictures of these names. What is known of the files is not in it.
#[derive(Debug)]
pub struct NpyReader {
    index: Index,
    names: Vec<String>,
    /// Bytes of the array.
    length: u64,
    /// Values of a row; none before the header is read.
    width: Option<usize>,
    /// Bytes that are not used yet: less than the header or a row.
    rest: Vec<u8>,
}

impl NpyReader {
    /// Begins with an array of so many bytes.
    pub fn new(model: IndexModel, names: Vec<String>, length: u64) -> NpyReader {
        NpyReader { index: Index::new(model), names, length, width: None, rest: Vec::new() }
    }

    /// Takes the next bytes, as many as there are.
    ///
    /// # Errors
    /// [`IndexError::BadNpy`] for other types, shapes, versions and orders, for a file of the wrong length and another number of
    /// names, [`IndexError::BadName`] and [`IndexError::BadEmbedding`].
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), IndexError> {
        self.rest.extend_from_slice(bytes);
        let rest = std::mem::take(&mut self.rest);
        let mut unread = &rest[..];
        if self.width.is_none()
            && let Some((start, [rows, width])) = shape(unread)?
        {
            let values = (rows as u64).checked_mul(width as u64);
            let length = values.and_then(|count| count.checked_mul(4)?.checked_add(start as u64));
            if length != Some(self.length) {
                return Err(wrong("its length and its shape differ"));
            }
            if self.names.len() != rows {
                return Err(wrong(&format!("it has {rows} rows, and there are {} names", self.names.len())));
            }
            unread = &unread[start..];
            self.width = Some(width);
        }
        let Some(width) = self.width else {
            self.rest = rest;
            return Ok(());
        };
        let rows = unread.chunks_exact(4 * width);
        self.rest = rows.remainder().to_vec();
        for row in rows {
            let row: Vec<f32> = row.as_chunks().0.iter().map(|value| f32::from_le_bytes(*value)).collect();
            let name =
                self.names.get(self.index.len()).ok_or_else(|| wrong("it has more rows than names"))?;
            if self.index.get(name).is_some() {
                return Err(IndexError::BadName(name.clone()));
            }
            self.index.insert(Entry { name, hash: [0; 32], bytes: 0, modified: 0 }, &row)?;
        }
        Ok(())
    }

    /// The pictures, as an index.
    ///
    /// # Errors
    /// [`IndexError::BadNpy`] if it ends early.
    pub fn finish(self) -> Result<Index, IndexError> {
        if self.width.is_none() || self.index.len() != self.names.len() || !self.rest.is_empty() {
            return Err(wrong("it ends early"));
        }
        Ok(self.index)
    }
}

impl Index {
    /// The embeddings as an array of float32, piece by piece; its rows are in the order of [`Index::entries`].
    pub fn npy_chunks(&self) -> impl Iterator<Item = Vec<u8>> {
        let rows = self.segments.iter().map(|segment| {
            let rows = (0..segment.len()).map(|at| (segment.scales[at], segment.vector(at)));
            rows.flat_map(|(scale, row)| {
                row.iter().flat_map(move |value| (f32::from(*value) * scale).to_le_bytes())
            })
            .collect()
        });
        iter::once(header("<f4", &[self.len(), self.model.embedding_size])).chain(rows)
    }
}
