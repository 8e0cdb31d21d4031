//! Packed weights: a checkpoint's rows in the model's precision, as a stream of batches.
//!
//! Other workers and the cache are given this form: it has a quarter of the file's bytes, nothing is left to compute, and
//! every worker takes its own shard of it. A batch says which rows of which tensor it holds, so batches can be taken in
//! any order. Every weight is quantized once, on its way into this form. So a model is the same to the last bit whether
//! its rows come from the network or from the cache.
//!
//! | bytes | |
//! |---|---|
//! | 4 x 4 | index in [`tensors`](crate::weights::tensors), first row, rows, 0 for f32 or 1 for 8 bits; little-endian |
//! | rows x 4 | with 8 bits: the scales |
//! | rest | the values, row by row, in f32 or quantized |

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use super::ModelLoader;
use super::destination::QuantizedRows;
use crate::weights::{Dtype, Inventory, LOGITS, TensorShape, TensorSink, WeightIndex, dequantized};
use crate::{Config, Error, Precision, Towers};

const HEADER: usize = 16;
const FLOATS: u32 = 0;
const QUANTIZED: u32 = 1;

/// Turns a weight file's rows into batches for [`ModelLoader::push_packed`] or [`unpack`].
#[derive(Debug)]
pub struct Packer {
    inventory: Inventory,
    /// The tensors of the loaded towers, by name.
    places: HashMap<String, Place>,
    /// Rows that the loader has from an earlier visit, which may come again.
    begun: HashMap<String, Vec<Range<usize>>>,
    batches: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    /// Index in [`tensors`](crate::weights::tensors).
    index: usize,
    precision: Precision,
    /// Bytes of its batches without their headers.
    bytes: u64,
}

impl Place {
    fn new(index: usize, tensor: &TensorShape, precision: Precision) -> Place {
        let bytes = match precision {
            Precision::F32 | Precision::Bf16 => 4 * tensor.len() as u64,
            Precision::Q8 | Precision::Q8Exact => (4 * tensor.rows() + tensor.len()) as u64,
        };
        Place { index, precision, bytes }
    }
}

impl Packer {
    /// A packer for another engine that has these towers in single precision. It makes the same batches as one for a
    /// [`Model`](super::Model) in single precision.
    pub fn single_precision(config: &Config, towers: Towers) -> Packer {
        let inventory = Inventory::of_towers(config, towers);
        let needed = inventory.tensors().enumerate().filter(|(_, tensor)| towers.need(&tensor.name));
        let place = |(index, tensor): (usize, &TensorShape)| {
            (tensor.name.clone(), Place::new(index, tensor, Precision::F32))
        };
        Packer { places: needed.map(place).collect(), inventory, begun: HashMap::new(), batches: Vec::new() }
    }

    /// Whether the model needs a tensor.
    pub fn wants(&self, tensor: &TensorShape) -> bool {
        self.places.contains_key(&tensor.name)
    }

    /// Says that the weights are in several files; see [`EngineLoader::expect_files`](crate::EngineLoader::expect_files).
    ///
    /// # Errors
    /// As [`EngineLoader::expect_files`](crate::EngineLoader::expect_files).
    pub fn expect_files(&mut self, index: &WeightIndex) -> Result<(), Error> {
        self.inventory.expect_files(index)
    }

    /// Leaves out the rows that a loader has: a reader that continues an ONNX begins each tensor at its start, and one that
    /// continues quantized matrices of MLX begins where the first of them waited. `arrived` is the loader's inventory.
    pub fn leave_out_begun(&mut self, arrived: &Inventory) {
        self.begun = arrived.begun();
    }

    /// Says that `logit_scale` and `logit_bias` will not arrive; see
    /// [`EngineLoader::without_logits`](crate::EngineLoader::without_logits).
    pub fn without_logits(&mut self) {
        for name in LOGITS {
            if let Some(&Place { index, .. }) = self.places.get(name) {
                self.begin_batch(index, 0, 1, FLOATS);
                Dtype::F32.narrow(&[f32::NAN], &mut self.batches);
            }
        }
    }

    /// Bytes of all batches without their headers, which are a few bytes per megabyte.
    pub fn total_bytes(&self) -> u64 {
        self.places.values().map(|place| place.bytes).sum()
    }

    /// Bytes of the batches that [`Packer::take`] would return.
    pub fn pending(&self) -> usize {
        self.batches.len()
    }

    /// Removes and returns the batches made since the last call.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.batches)
    }
}

impl Packer {
    /// Begins a batch of `rows` rows.
    fn begin_batch(&mut self, index: usize, first_row: usize, rows: usize, kind: u32) {
        // `Config::check` bounds every dimension far below 32 bits.
        let header = [index as u32, first_row as u32, rows as u32, kind];
        self.batches.extend(header.into_iter().flat_map(u32::to_le_bytes));
    }

    /// Whether rows are left out. Batches of a file are the same in every visit, so it is all of them or none.
    fn leaves_out(&self, tensor: &TensorShape, first_row: usize, rows: usize) -> bool {
        let has = |range: &Range<usize>| range.contains(&first_row) && first_row + rows <= range.end;
        self.begun.get(&tensor.name).is_some_and(|begun| begun.iter().any(has))
    }

    fn add_quantized(&mut self, index: usize, first_row: usize, scales: &[f32], quantized: &[i8]) {
        self.begin_batch(index, first_row, scales.len(), QUANTIZED);
        Dtype::F32.narrow(scales, &mut self.batches);
        self.batches.extend_from_slice(bytemuck::cast_slice(quantized));
    }
}

impl TensorSink for Packer {
    fn begin(&mut self, found: &[TensorShape]) -> Result<(), Error> {
        self.inventory.begin(found)
    }

    fn begin_named(&mut self, names: &BTreeSet<&str>) -> Result<(), Error> {
        self.inventory.begin_named(names)
    }

    fn rows(&mut self, tensor: &TensorShape, first_row: usize, values: &[f32]) -> Result<(), Error> {
        self.inventory.rows(tensor, first_row, values)?;
        let row_len = tensor.row_len();
        if self.leaves_out(tensor, first_row, values.len() / row_len) {
            return Ok(());
        }
        let Some(&Place { index, precision, .. }) = self.places.get(&tensor.name) else { return Ok(()) };
        if precision.is_quantized() {
            let QuantizedRows { scales, quantized } = QuantizedRows::new(values, row_len);
            self.add_quantized(index, first_row, &scales, &quantized);
        } else {
            self.begin_batch(index, first_row, values.len() / row_len, FLOATS);
            Dtype::F32.narrow(values, &mut self.batches);
        }
        Ok(())
    }

    fn quantized_rows(
        &mut self,
        tensor: &TensorShape,
        first_row: usize,
        scales: &[f32],
        quantized: &[i8],
    ) -> Result<(), Error> {
        match self.places.get(&tensor.name) {
            Some(Place { precision, .. }) if !precision.is_quantized() => {
                self.rows(tensor, first_row, &dequantized(tensor, scales, quantized))
            }
            place => {
                let index = place.map(|place| place.index);
                self.inventory.quantized_rows(tensor, first_row, scales)?;
                if let Some(index) = index.filter(|_| !self.leaves_out(tensor, first_row, scales.len())) {
                    self.add_quantized(index, first_row, scales, quantized);
                }
                Ok(())
            }
        }
    }
}

impl ModelLoader {
    /// A packer whose batches fit this loader, and the loaders of the same model's other shards.
    pub fn packer(&mut self) -> Packer {
        let mut places = HashMap::new();
        for (index, tensor) in self.inventory.tensors().enumerate() {
            if let Some(destination) = self.model.destination(&tensor.name) {
                let place = Place::new(index, tensor, destination.precision());
                places.insert(tensor.name.clone(), place);
            }
        }
        let inventory = Inventory::of_towers(self.model.config(), self.model.towers());
        Packer { inventory, places, begun: HashMap::new(), batches: Vec::new() }
    }

    /// The tensors that the model needs, and what of them has arrived.
    pub fn inventory(&self) -> &Inventory {
        &self.inventory
    }

    /// Takes whole batches of a [`Packer`]. Those of a tower that is not loaded are left out.
    ///
    /// # Errors
    /// [`Error::BadWeights`] if they are of another model.
    pub fn push_packed(&mut self, mut batches: &[u8]) -> Result<(), Error> {
        while let Some((header, rest)) = batches.split_first_chunk::<HEADER>() {
            batches = self.take_batch(header, rest).ok_or_else(of_another_model)?;
        }
        Ok(())
    }

    /// Takes the batch of this header from the start of `bytes`. Returns the rest; `None` if the batch does not fit.
    fn take_batch<'b>(&mut self, header: &[u8; HEADER], bytes: &'b [u8]) -> Option<&'b [u8]> {
        let [first_row, rows, kind] = [1, 2, 3].map(|at| u32_at(header, at));
        let (first_row, rows) = (first_row as usize, rows as usize);
        let (tensor, length) = contents(&self.inventory, header)?;
        let (batch, rest) = bytes.split_at_checked(length)?;
        if !self.model.towers().need(&tensor.name) {
            return Some(rest);
        }
        let tensor = tensor.clone();
        let row_len = tensor.row_len();
        if first_row.checked_add(rows)? > tensor.rows() {
            return None;
        }
        self.inventory.arrived(&tensor.name, first_row, rows).ok()?;
        let destination = self.model.destination(&tensor.name)?;
        match kind {
            FLOATS => destination.write(first_row, row_len, &floats(batch)),
            QUANTIZED if destination.takes_quantized() => {
                let (scales, quantized) = batch.split_at_checked(4 * rows)?;
                let quantized = bytemuck::cast_slice(quantized);
                destination.write_quantized(first_row, row_len, &floats(scales), quantized);
            }
            _ => return None,
        }
        Some(rest)
    }
}

/// The towers that need one of these batches of a [`Packer`], of a model with these tensors. What belongs to neither is needed
/// by both.
pub fn towers_of(tensors: &Inventory, mut batches: &[u8]) -> Towers {
    let mut towers = None;
    while let Some((header, rest)) = batches.split_first_chunk::<HEADER>() {
        let Some((tensor, length)) = contents(tensors, header) else { return Towers::Both };
        let Some(rest) = rest.get(length..) else { return Towers::Both };
        let needed = match [Towers::Image, Towers::Text].map(|tower| tower.need(&tensor.name)) {
            [true, false] => Towers::Image,
            [false, true] => Towers::Text,
            _ => Towers::Both,
        };
        towers = Some(towers.map_or(needed, |before| if before == needed { before } else { Towers::Both }));
        batches = rest;
    }
    towers.unwrap_or_default()
}

/// Passes whole batches of a [`Packer::single_precision`], of a model with these tensors, to `take`: a tensor, the first of its
/// rows, and values of whole rows from there on.
///
/// # Errors
/// [`Error::BadWeights`] if they are of another model, and what `take` returns.
pub fn unpack(
    tensors: &[TensorShape],
    mut batches: &[u8],
    mut take: impl FnMut(&TensorShape, usize, &[f32]) -> Result<(), Error>,
) -> Result<(), Error> {
    while let Some((header, rest)) = batches.split_first_chunk::<HEADER>() {
        let [index, first_row, rows, kind] = [0, 1, 2, 3].map(|at| u32_at(header, at));
        let (first_row, rows) = (first_row as usize, rows as usize);
        let tensor = tensors.get(index as usize).filter(|_| kind == FLOATS).ok_or_else(of_another_model)?;
        let fits = first_row.checked_add(rows).is_some_and(|end| end <= tensor.rows());
        let batch = fits.then(|| rest.split_at_checked(4 * rows * tensor.row_len())).flatten();
        let (batch, rest) = batch.ok_or_else(of_another_model)?;
        take(tensor, first_row, &floats(batch))?;
        batches = rest;
    }
    Ok(())
}

/// The tensor that the batch of this header has rows of, and the length of the batch without its header.
fn contents<'i>(inventory: &'i Inventory, header: &[u8; HEADER]) -> Option<(&'i TensorShape, usize)> {
    let [index, _, rows, kind] = [0, 1, 2, 3].map(|at| u32_at(header, at) as usize);
    let tensor = inventory.tensors().nth(index)?;
    let row_bytes = match kind as u32 {
        FLOATS => tensor.row_len().checked_mul(4)?,
        QUANTIZED => tensor.row_len().checked_add(4)?,
        _ => return None,
    };
    Some((tensor, rows.checked_mul(row_bytes)?))
}

fn of_another_model() -> Error {
    Error::BadWeights("the cached weights belong to another model; load it again".into())
}

fn u32_at(header: &[u8; HEADER], at: usize) -> u32 {
    u32::from_le_bytes(header.as_chunks().0[at])
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    let mut values = Vec::with_capacity(bytes.len() / 4);
    Dtype::F32.widen(bytes, &mut values);
    values
}
