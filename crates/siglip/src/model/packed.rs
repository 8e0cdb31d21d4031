//! Packed weights: a checkpoint's rows as a model keeps them, some 8 bits with a scale a row, as a stream of batches.
//!
//! It is what a worker is given and what a cache keeps: a quarter of the file's bytes, nothing left to compute, and
//! every worker takes its own part of it. A batch says which rows of which tensor it holds, so any sequence of whole
//! batches can be taken, in any order. A weight is quantised once, on its way into this form: a model is the same
//! to the last bit whether its rows come from the network or from a cache.
//!
//! | bytes | |
//! |---|---|
//! | 4 x 4 | place in [`tensors`](crate::weights::tensors), first row, rows, 0 for f32 or 1 for 8 bits; little-endian |
//! | rows x 4 | with 8 bits: the scales |
//! | rest | the values, or the levels, row by row |

use std::collections::HashMap;

use super::ModelLoader;
use super::Precision;
use super::layers::QuantisedRows;
use crate::Error;
use crate::weights::{Dtype, Inventory, TensorShape, TensorSink, WeightIndex};

const HEADER: usize = 16;
const FLOATS: u32 = 0;
const LEVELS: u32 = 1;

/// Takes a weight file's rows and gives batches for [`ModelLoader::push_packed`].
#[derive(Debug)]
pub struct Packer {
    inventory: Inventory,
    /// Those of the chosen towers, by name.
    places: HashMap<String, Place>,
    batches: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    /// In [`tensors`](crate::weights::tensors).
    index: usize,
    precision: Precision,
    /// Of its batches, but for their headers.
    bytes: u64,
}

impl Packer {
    /// Whether the rows of a tensor are asked for.
    pub fn wants(&self, tensor: &TensorShape) -> bool {
        self.places.contains_key(&tensor.name)
    }

    /// Says that the weights are in several files; see [`ModelLoader::expect_files`].
    ///
    /// # Errors
    /// As [`ModelLoader::expect_files`].
    pub fn expect_files(&mut self, index: &WeightIndex) -> Result<(), Error> {
        self.inventory.expect_files(index)
    }

    /// Bytes of all batches, but for their headers, which are a few a megabyte.
    pub fn total_bytes(&self) -> u64 {
        self.places.values().map(|place| place.bytes).sum()
    }

    /// Bytes of the batches that [`Packer::take`] would give.
    pub fn pending(&self) -> usize {
        self.batches.len()
    }

    /// The batches since it was last asked.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.batches)
    }
}

impl TensorSink for Packer {
    fn begin(&mut self, found: &[TensorShape]) -> Result<(), Error> {
        self.inventory.begin(found)
    }

    fn rows(&mut self, tensor: &TensorShape, first_row: usize, values: &[f32]) -> Result<(), Error> {
        self.inventory.rows(tensor, first_row, values)?;
        let Some(&Place { index, precision, .. }) = self.places.get(&tensor.name) else { return Ok(()) };
        let row_len = tensor.row_len();
        let kind = match precision {
            Precision::F32 => FLOATS,
            Precision::Q8 => LEVELS,
        };
        // Configurations bound every dimension far below 32 bits.
        let header = [index as u32, first_row as u32, (values.len() / row_len) as u32, kind];
        self.batches.extend(header.into_iter().flat_map(u32::to_le_bytes));
        match precision {
            Precision::F32 => Dtype::F32.narrow(values, &mut self.batches),
            Precision::Q8 => {
                let QuantisedRows { scales, levels } = QuantisedRows::new(values, row_len);
                Dtype::F32.narrow(&scales, &mut self.batches);
                self.batches.extend_from_slice(bytemuck::cast_slice(&levels));
            }
        }
        Ok(())
    }
}

impl ModelLoader {
    /// What makes batches for this loader, and for those of the same model's other shards, of a checkpoint's rows.
    pub fn packer(&mut self) -> Packer {
        let mut places = HashMap::new();
        for (index, tensor) in self.inventory.tensors().enumerate() {
            if let Some(destination) = self.model.destination(&tensor.name) {
                let precision = destination.precision();
                let bytes = match precision {
                    Precision::F32 => 4 * tensor.len() as u64,
                    Precision::Q8 => (4 * tensor.rows() + tensor.len()) as u64,
                };
                places.insert(tensor.name.clone(), Place { index, precision, bytes });
            }
        }
        Packer { inventory: Inventory::new(self.model.config()), places, batches: Vec::new() }
    }

    /// Takes whole batches that a [`Packer`] has made.
    ///
    /// # Errors
    /// [`Error::BadWeights`] where they are not those of this model.
    pub fn push_packed(&mut self, mut batches: &[u8]) -> Result<(), Error> {
        while let Some((header, rest)) = batches.split_first_chunk::<HEADER>() {
            batches = self.take_batch(header, rest).ok_or_else(|| {
                Error::BadWeights("the kept weights are not those of this model; load it anew".into())
            })?;
        }
        Ok(())
    }

    /// Takes one batch, whose header comes before `bytes`; what follows it, `None` where it does not fit.
    fn take_batch<'b>(&mut self, header: &[u8; HEADER], bytes: &'b [u8]) -> Option<&'b [u8]> {
        let [index, first_row, rows, kind] = [0, 1, 2, 3].map(|at| u32_at(header, at));
        let (first_row, rows) = (first_row as usize, rows as usize);
        let tensor = self.inventory.tensors().nth(index as usize)?.clone();
        let row_len = tensor.row_len();
        if first_row.checked_add(rows)? > tensor.rows() {
            return None;
        }
        self.inventory.arrived(&tensor.name, rows).ok()?;
        let destination = self.model.destination(&tensor.name)?;
        match kind {
            FLOATS => {
                let (values, rest) = bytes.split_at_checked(4 * rows * row_len)?;
                destination.write(first_row, row_len, &floats(values));
                Some(rest)
            }
            LEVELS if destination.takes_levels() => {
                let (scales, rest) = bytes.split_at_checked(4 * rows)?;
                let (levels, rest) = rest.split_at_checked(rows * row_len)?;
                destination.write_levels(first_row, row_len, &floats(scales), bytemuck::cast_slice(levels));
                Some(rest)
            }
            _ => None,
        }
    }
}

fn u32_at(header: &[u8; HEADER], at: usize) -> u32 {
    u32::from_le_bytes(header.as_chunks().0[at])
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    let mut values = Vec::with_capacity(bytes.len() / 4);
    Dtype::F32.widen(bytes, &mut values);
    values
}
