//! Embeddings as NumPy's file format: float32 of shape [pictures, values], with the names in a list beside.

use super::{Entry, Index, IndexError};

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

/// The rows of an array of float32, and their length.
///
/// # Errors
/// [`IndexError::BadNpy`] for other types, shapes, versions and orders, and for a file of the wrong length.
pub fn parse(bytes: &[u8]) -> Result<(Vec<f32>, usize), IndexError> {
    let wrong = |reason: &str| IndexError::BadNpy(reason.into());
    let rest = bytes.strip_prefix(MAGIC).ok_or_else(|| wrong("it is no NumPy file"))?;
    let (version, rest) = rest.split_first_chunk::<2>().ok_or_else(|| wrong("it ends early"))?;
    let (len, rest) = match version[0] {
        1 => rest.split_first_chunk().map(|(len, rest)| (u16::from_le_bytes(*len) as usize, rest)),
        2 | 3 => rest.split_first_chunk().map(|(len, rest)| (u32::from_le_bytes(*len) as usize, rest)),
        _ => return Err(wrong("its version is unknown")),
    }
    .ok_or_else(|| wrong("it ends early"))?;
    let (header, values) = rest.split_at_checked(len).ok_or_else(|| wrong("it ends early"))?;
    if len > LONGEST_HEADER {
        return Err(wrong("its header is too long"));
    }
    let header: String = String::from_utf8_lossy(header).split_whitespace().collect();
    if !(header.contains("'descr':'<f4'") && header.contains("'fortran_order':False")) {
        return Err(wrong("its values are not float32 in rows"));
    }
    let shape =
        header.split_once("'shape':(").and_then(|(_, rest)| rest.split_once(')')).map(|(shape, _)| shape);
    let sides: Vec<Option<usize>> =
        shape.unwrap_or_default().trim_end_matches(',').split(',').map(|side| side.parse().ok()).collect();
    let [Some(rows), Some(width @ 1..)] = sides[..] else { return Err(wrong("its shape has not two sides")) };
    if rows.checked_mul(width).and_then(|count| count.checked_mul(4)) != Some(values.len()) {
        return Err(wrong("its length and its shape differ"));
    }
    Ok((values.as_chunks().0.iter().map(|value| f32::from_le_bytes(*value)).collect(), width))
}

impl Index {
    /// Adds the rows of an array of float32 as pictures of these names. What is known of the files is not in it.
    ///
    /// # Errors
    /// [`IndexError::BadNpy`] for another array or another number of names, [`IndexError::BadName`] and
    /// [`IndexError::BadEmbedding`]. Nothing is added then.
    pub fn insert_npy(&mut self, npy: &[u8], names: &[String]) -> Result<(), IndexError> {
        let (values, width) = parse(npy)?;
        let rows = values.len() / width;
        if names.len() != rows {
            return Err(IndexError::BadNpy(format!(
                "it has {rows} rows, and there are {} names",
                names.len()
            )));
        }
        let mut added = Index::new(self.model.clone());
        for (name, row) in names.iter().zip(values.chunks_exact(width)) {
            if added.get(name).is_some() {
                return Err(IndexError::BadName(name.clone()));
            }
            added.insert(Entry { name: name.clone(), hash: [0; 32], bytes: 0, modified: 0 }, row)?;
        }
        self.merge(&added)
    }

    /// The embeddings as an array of float32; its rows are in the order of [`Index::entries`].
    pub fn to_npy(&self) -> Vec<u8> {
        let size = self.model.embedding_size;
        let mut bytes = header("<f4", &[self.entries.len(), size]);
        for (scale, vector) in self.scales.iter().zip(self.vectors.chunks_exact(size)) {
            bytes.extend(vector.iter().flat_map(|value| (f32::from(*value) * scale).to_le_bytes()));
        }
        bytes
    }
}
