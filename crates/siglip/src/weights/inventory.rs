//! Which tensors a model needs, and which have arrived.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::ops::Range;

use super::{TensorShape, WeightIndex, bad, tensors};
use crate::{Config, Error, Towers};

/// The tensors that a model needs, and the rows of them that have arrived. Every [`TensorSink`](super::TensorSink) checks
/// a weight file with it.
#[derive(Debug)]
pub struct Inventory {
    wanted: Vec<Wanted>,
    places: HashMap<String, usize>,
    /// Whether tensors of a pooling head may arrive, which nothing needs.
    has_unused_head: bool,
    /// The towers that must arrive. A file may lack the other one, if it lacks all of it.
    towers: Towers,
    /// With several files: the names of those that have not begun, and the tensors that each must hold.
    files: Option<VecDeque<(String, BTreeSet<String>)>>,
}

#[derive(Debug)]
struct Wanted {
    tensor: TensorShape,
    rows_left: usize,
    /// Those that have arrived: one range, but for tensors that an ONNX stores in parts.
    arrived: Vec<Range<usize>>,
}

impl Wanted {
    fn new(tensor: TensorShape) -> Wanted {
        Wanted { rows_left: tensor.rows(), arrived: Vec::new(), tensor }
    }

    /// Counts rows. Returns false if there are no such rows, or one of them has arrived before.
    fn count(&mut self, rows: Range<usize>) -> bool {
        let overlaps = |arrived: &Range<usize>| rows.start < arrived.end && arrived.start < rows.end;
        if rows.end > self.tensor.rows() || self.arrived.iter().any(overlaps) {
            return false;
        }
        self.rows_left -= rows.len();
        match self.arrived.last_mut() {
            Some(last) if last.end == rows.start => last.end = rows.end,
            _ => self.arrived.push(rows),
        }
        true
    }
}

/// The place of the first value that is not finite.
fn first_not_finite(values: &[f32]) -> Option<usize> {
    // Without a branch for each value the compiler compares vectors.
    let is_finite = |chunk: &&[f32]| chunk.iter().fold(true, |all, value| all & value.is_finite());
    let finite: usize = values.chunks(256).take_while(is_finite).map(<[f32]>::len).sum();
    values[finite..].iter().position(|value| !value.is_finite()).map(|at| finite + at)
}

impl Inventory {
    /// The tensors of a model of this configuration.
    pub fn new(config: &Config) -> Inventory {
        Inventory::of_towers(config, Towers::Both)
    }

    /// The same, of which only these towers are needed. A file that has the other one has to have all of it.
    pub fn of_towers(config: &Config, towers: Towers) -> Inventory {
        let wanted: Vec<Wanted> = tensors(config).into_iter().map(Wanted::new).collect();
        let places = wanted.iter().enumerate().map(|(at, wanted)| (wanted.tensor.name.clone(), at)).collect();
        let has_unused_head = config.classifier.is_some();
        Inventory { wanted, places, has_unused_head, towers, files: None }
    }

    /// Whether the model has no use for a tensor that belongs to it: a classifier's file has the pooling head of the model
    /// that it was made of.
    fn is_unused(&self, name: &str) -> bool {
        self.has_unused_head && name.starts_with("vision_model.head.")
    }

    fn is_foreign(&self, name: &str) -> bool {
        !self.places.contains_key(name) && !self.is_unused(name)
    }

    /// Whether files with these tensors may lack the tensor `name`: if they have nothing of its tower, which is not needed.
    fn may_lack<'n>(&self, name: &str, mut found: impl Iterator<Item = &'n str>) -> bool {
        let tower = name.split_once('.').map(|(tower, _)| tower);
        !self.towers.need(name) && !found.any(|other| other.split_once('.').map(|(tower, _)| tower) == tower)
    }

    /// Says that the weights are in several files, which will arrive in the order of [`WeightIndex::files`].
    ///
    /// # Errors
    /// [`Error::BadWeights`] names a tensor that the index lacks, or that belongs to another model.
    pub fn expect_files(&mut self, index: &WeightIndex) -> Result<(), Error> {
        let mut indexed = BTreeSet::new();
        for (file, names) in index.assignments() {
            if let Some(extra) = names.iter().find(|name| self.is_foreign(name)) {
                return Err(bad(format!("tensor {extra:?} in {file} belongs to another model")));
            }
            indexed.extend(names);
        }
        let lacks = |name: &String| {
            !indexed.contains(name) && !self.may_lack(name, indexed.iter().map(|name| name.as_str()))
        };
        if let Some(Wanted { tensor, .. }) = self.wanted.iter().find(|wanted| lacks(&wanted.tensor.name)) {
            return Err(bad(format!("tensor {:?} is missing in the index", tensor.name)));
        }
        self.files = Some(index.assignments().map(|(file, names)| (file.clone(), names.clone())).collect());
        Ok(())
    }

    /// Checks that a file has exactly the tensors that it must hold, in the right shapes. It may lack a tower that is not needed.
    ///
    /// # Errors
    /// [`Error::BadWeights`] names the first tensor that is missing, unexpected or of another shape.
    pub fn begin(&mut self, found: &[TensorShape]) -> Result<(), Error> {
        let (file, assigned) = match &mut self.files {
            None => ("the file".to_string(), None),
            Some(files) => match files.pop_front() {
                Some((file, names)) => (file, Some(names)),
                None => return Err(bad("a file follows the last that the index names")),
            },
        };
        let shapes: HashMap<&str, &[usize]> =
            found.iter().map(|tensor| (tensor.name.as_str(), &tensor.shape[..])).collect();
        for Wanted { tensor: TensorShape { name, shape }, .. } in &self.wanted {
            let belongs = assigned.as_ref().is_none_or(|assigned| assigned.contains(name));
            match shapes.get(name.as_str()) {
                None if belongs && !self.may_lack(name, shapes.keys().copied()) => {
                    return Err(bad(format!("tensor {name:?} is missing in {file}")));
                }
                Some(_) if !belongs => {
                    return Err(bad(format!(
                        "tensor {name:?} is in {file}, where the index does not have it"
                    )));
                }
                Some(found) if *found != shape => {
                    let reason =
                        format!("tensor {name:?} has shape {found:?}; config.json asks for {shape:?}");
                    return Err(bad(reason));
                }
                _ => {}
            }
        }
        // A tensor without a number, which some tools leave behind, is of no model.
        let is_extra = |tensor: &&TensorShape| !tensor.is_empty() && self.is_foreign(&tensor.name);
        match found.iter().find(is_extra) {
            None => Ok(()),
            Some(extra) => Err(bad(format!("tensor {:?} belongs to another model", extra.name))),
        }
    }

    /// Checks the names of a file's tensors, whose shapes come with their rows. The file may hold one tower alone.
    ///
    /// # Errors
    /// [`Error::BadWeights`] names a tensor of another model, or one that is missing in a tower of which the file has others.
    pub fn begin_named(&mut self, found: &BTreeSet<&str>) -> Result<(), Error> {
        if let Some(extra) = found.iter().find(|name| self.is_foreign(name)) {
            return Err(bad(format!("tensor {extra:?} belongs to another model")));
        }
        for tower in ["vision_model.", "text_model."] {
            if !found.iter().any(|name| name.starts_with(tower)) {
                continue;
            }
            let is_missing = |name: &&String| name.starts_with(tower) && !found.contains(name.as_str());
            if let Some(name) = self.tensors().map(|tensor| &tensor.name).find(is_missing) {
                return Err(bad(format!("tensor {name:?} is missing in the file")));
            }
        }
        Ok(())
    }

    /// Checks and counts rows of a tensor that have arrived.
    ///
    /// # Errors
    /// [`Error::BadWeights`] names a tensor that holds a value that is not finite, that arrives twice, or that has another
    /// shape than the model's.
    pub fn rows(&mut self, tensor: &TensorShape, first_row: usize, values: &[f32]) -> Result<(), Error> {
        if self.is_unused(&tensor.name) {
            return Ok(());
        }
        self.check_shape(tensor)?;
        let name = &tensor.name;
        if let Some(at) = first_not_finite(values) {
            let at = first_row * tensor.row_len() + at;
            return Err(bad(format!("tensor {name:?} holds a value that is not finite, at {at}")));
        }
        self.arrived(name, first_row, values.len() / tensor.row_len())
    }

    /// As [`Inventory::rows`], for quantized rows with these scales.
    ///
    /// # Errors
    /// As [`Inventory::rows`].
    pub(crate) fn quantized_rows(
        &mut self,
        tensor: &TensorShape,
        first_row: usize,
        scales: &[f32],
    ) -> Result<(), Error> {
        if self.is_unused(&tensor.name) {
            return Ok(());
        }
        self.check_shape(tensor)?;
        let name = &tensor.name;
        if let Some(at) = scales.iter().position(|scale| !scale.is_finite()) {
            let at = first_row + at;
            return Err(bad(format!("tensor {name:?} has a scale that is not finite, for row {at}")));
        }
        self.arrived(name, first_row, scales.len())
    }

    /// Checks the shape of a tensor, which the file's header may not have had.
    fn check_shape(&self, tensor: &TensorShape) -> Result<(), Error> {
        let TensorShape { name, shape: found } = tensor;
        match self.places.get(name).map(|&place| &self.wanted[place].tensor.shape) {
            Some(asked) if asked != found => {
                Err(bad(format!("tensor {name:?} has shape {found:?}; config.json asks for {asked:?}")))
            }
            _ => Ok(()),
        }
    }

    /// Counts rows that were checked before.
    ///
    /// # Errors
    /// [`Error::BadWeights`] names a tensor that arrives twice.
    pub fn arrived(&mut self, name: &str, first_row: usize, rows: usize) -> Result<(), Error> {
        let wanted = self.places.get(name).map(|&place| &mut self.wanted[place]);
        let wanted = wanted.ok_or_else(|| bad(format!("tensor {name:?} belongs to another model")))?;
        if wanted.count(first_row..first_row.saturating_add(rows)) {
            return Ok(());
        }
        Err(bad(format!("tensor {name:?} comes twice")))
    }

    /// The rows that have arrived, by the tensors' names.
    pub(crate) fn begun(&self) -> HashMap<String, Vec<Range<usize>>> {
        let begun = self.wanted.iter().filter(|wanted| !wanted.arrived.is_empty());
        begun.map(|wanted| (wanted.tensor.name.clone(), wanted.arrived.clone())).collect()
    }

    /// The tensors that the model needs, in the order of [`tensors`].
    pub fn tensors(&self) -> impl ExactSizeIterator<Item = &TensorShape> {
        self.wanted.iter().map(|wanted| &wanted.tensor)
    }

    /// Whether rows of a tensor are missing.
    pub fn lacks(&self, name: &str) -> bool {
        self.places.get(name).is_some_and(|&place| self.wanted[place].rows_left > 0)
    }

    /// Checks that every tensor has arrived for which `needed` is true.
    ///
    /// # Errors
    /// [`Error::BadWeights`] names a tensor that has not.
    pub fn finish(&self, needed: impl Fn(&TensorShape) -> bool) -> Result<(), Error> {
        match self.wanted.iter().find(|wanted| wanted.rows_left > 0 && needed(&wanted.tensor)) {
            None => Ok(()),
            Some(Wanted { tensor, .. }) => {
                Err(bad(format!("tensor {:?} is missing: the weights have not arrived whole", tensor.name)))
            }
        }
    }
}
