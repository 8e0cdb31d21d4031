//! The initializers of a file as they arrive: which are decoded at once, and which wait for others.

use std::collections::HashMap;

use super::super::row_parser::StoredTensor;
use super::super::{TensorSink, bad};
use super::decode::Decoder;
use super::graph::{Graph, Purpose};
use super::tensor::{DataType, Initializer};
use super::weight::{Storage, Weight};
use crate::Error;

/// Longest matrix that is held until its last byte, since it is stored column by column: more than any of the largest
/// published model.
const MAX_MATRIX: u64 = 64 << 20;
/// Most bytes that wait for others.
const MAX_HELD: usize = 512 << 20;
/// A constant of the computation has fewer numbers than this: scalars, and shapes.
const MAX_CONSTANT: u64 = 16;

/// Decodes initializers with what the graph says of them.
#[derive(Debug, Default)]
pub struct Initializers {
    current: Option<Current>,
    /// Scales and zero points that weights are still waiting for, with the number of those.
    companions: HashMap<String, (Companion, usize)>,
    /// Matrices whose companions have not arrived.
    waiting: Vec<Companion>,
    /// The names of those that have arrived.
    seen: std::collections::HashSet<String>,
    tensors: Vec<StoredTensor>,
}

type Companion = (Initializer, Vec<u8>);

/// The initializer whose data are arriving.
#[derive(Debug)]
struct Current {
    initializer: Initializer,
    bytes: Vec<u8>,
    left: u64,
    rest: Rest,
}

/// What is done with the data.
#[derive(Debug)]
enum Rest {
    Skip,
    /// Collected to the end.
    Collect,
    /// Decoded as they arrive; `row` is the next row.
    Stream {
        decoder: Box<Decoder>,
        row: usize,
    },
}

impl Initializers {
    /// The tensors that have begun.
    pub fn tensors(&self) -> &[StoredTensor] {
        &self.tensors
    }

    /// Offset in the file of the first initializer that is not decoded whole, if there is one.
    pub fn unsettled(&self) -> Option<u64> {
        let current = self.current.iter().map(|current| &current.initializer);
        let companions = self.companions.values().map(|((initializer, _), _)| initializer);
        let waiting = self.waiting.iter().map(|(initializer, _)| initializer);
        current.chain(companions).chain(waiting).map(|initializer| initializer.start).min()
    }

    /// Begins an initializer whose data are `length` bytes.
    ///
    /// # Errors
    /// [`Error::BadWeights`] if they are not what its type and dimensions say; [`Error::UnsupportedModel`] if it holds
    /// weights that are none of a SigLIP.
    pub fn begin(&mut self, graph: &Graph, mut initializer: Initializer, length: u64) -> Result<(), Error> {
        let shown = initializer.shown();
        if initializer.name.is_empty() {
            return Err(bad("ONNX: a tensor's data come before its name"));
        }
        let rest = match graph.purpose(&initializer.name) {
            Purpose::Constant(user) => {
                let is_weight = initializer.data_type != DataType::Other;
                if is_weight && initializer.len().is_none_or(|len| len > MAX_CONSTANT) {
                    let node = if user.is_empty() { "no node" } else { user };
                    let dims = &initializer.dims;
                    return Err(Error::unsupported(
                        "ONNX graph",
                        format!(
                            "{node} uses {shown:?} of {dims:?}, which is no weight of a SigLIP as transformers.js has it; \
                             load the checkpoint's model.safetensors"
                        ),
                    ));
                }
                Rest::Skip
            }
            purpose => {
                if initializer.bytes() != Some(length) || length == 0 {
                    let (dims, name) = (&initializer.dims, initializer.data_type.name());
                    return Err(bad(format!("ONNX: {shown:?}: {length} bytes are not {dims:?} of {name}")));
                }
                if !self.seen.insert(initializer.name.clone()) {
                    return Err(bad(format!("ONNX: {shown:?} occurs twice")));
                }
                match purpose {
                    Purpose::Weights(weights) => self.begin_weights(weights, &mut initializer, length)?,
                    _ if length > MAX_MATRIX => return Err(too_long(&shown, length)),
                    _ => Rest::Collect,
                }
            }
        };
        self.current = Some(Current { initializer, bytes: Vec::new(), left: length, rest });
        Ok(())
    }

    fn begin_weights(
        &mut self,
        weights: &[Weight],
        initializer: &mut Initializer,
        length: u64,
    ) -> Result<Rest, Error> {
        for weight in weights {
            let place = weight.place(&initializer.dims)?;
            let mut shape = place.tensor;
            if let [rows, ..] = &mut shape.shape[..] {
                *rows = place.rows;
            }
            let dtype = match weight.storage {
                Storage::FourBits { .. } => "Q4",
                _ => initializer.data_type.name(),
            };
            self.tensors.push(StoredTensor::new(shape, dtype, length));
        }
        let is_sequential = |weight: &Weight| {
            let place = weight.place(&initializer.dims);
            place.is_ok_and(|place| !place.transposed && !matches!(weight.storage, Storage::FourBits { .. }))
        };
        // A tensor that is equal to another, and so shares its initializer, is small.
        match weights {
            [weight] if is_sequential(weight) && self.has_companions(weights) => {
                // Another reader would need its scale again.
                let companions = weight.companions().filter_map(|name| self.companions.get(name));
                let starts = companions.map(|((companion, _), _)| companion.start);
                initializer.start = starts.fold(initializer.start, u64::min);
                let decoder = self.decoders(weights, initializer)?.pop();
                Ok(decoder.map_or(Rest::Skip, |decoder| Rest::Stream { decoder: Box::new(decoder), row: 0 }))
            }
            _ if length > MAX_MATRIX => Err(too_long(&initializer.shown(), length)),
            _ => Ok(Rest::Collect),
        }
    }

    /// Bytes that are missing of the current initializer.
    pub fn left(&self) -> u64 {
        self.current.as_ref().map_or(0, |current| current.left)
    }

    /// Takes bytes of the current initializer, no more than are [`left`](Initializers::left).
    ///
    /// # Errors
    /// [`Error::BadWeights`], and those of the sink.
    pub fn push(&mut self, graph: &Graph, bytes: &[u8], sink: &mut dyn TensorSink) -> Result<(), Error> {
        let Some(current) = &mut self.current else { return Ok(()) };
        current.left -= bytes.len() as u64;
        match &mut current.rest {
            Rest::Skip => {}
            Rest::Collect => current.bytes.extend_from_slice(bytes),
            Rest::Stream { decoder, row } => stream(decoder, row, &mut current.bytes, bytes, sink)?,
        }
        match self.current.take() {
            Some(current) if current.left == 0 => self.end(graph, current, sink),
            current => {
                self.current = current;
                Ok(())
            }
        }
    }

    fn end(&mut self, graph: &Graph, current: Current, sink: &mut dyn TensorSink) -> Result<(), Error> {
        let Current { initializer, bytes, rest: Rest::Collect, .. } = current else { return Ok(()) };
        match graph.purpose(&initializer.name) {
            Purpose::Companion(weights) => {
                self.companions.insert(initializer.name.clone(), ((initializer, bytes), weights));
            }
            _ => self.waiting.push((initializer, bytes)),
        }
        let mut at = 0;
        while let Some((initializer, _)) = self.waiting.get(at) {
            let Purpose::Weights(weights) = graph.purpose(&initializer.name) else { break };
            if !self.has_companions(weights) {
                at += 1;
                continue;
            }
            let (initializer, bytes) = self.waiting.swap_remove(at);
            for decoder in self.decoders(weights, &initializer)? {
                decoder.decode(&bytes, sink)?;
            }
        }
        let waiting = self.waiting.iter().map(|(_, bytes)| bytes.len());
        let companions = self.companions.values().map(|((_, bytes), _)| bytes.len());
        if waiting.chain(companions).sum::<usize>() > MAX_HELD {
            return Err(bad("ONNX: tensors come too long before their scales"));
        }
        Ok(())
    }

    fn has_companions(&self, weights: &[Weight]) -> bool {
        weights.iter().flat_map(Weight::companions).all(|name| self.companions.contains_key(name))
    }

    /// Decoders of the tensors in an initializer. What they depend on is dropped when nothing else does.
    fn decoders(&mut self, weights: &[Weight], initializer: &Initializer) -> Result<Vec<Decoder>, Error> {
        let decoder = |weight: &Weight| {
            Decoder::new(weight, initializer, |name| self.companions.get(name).map(|(found, _)| found))
        };
        let decoders = weights.iter().map(decoder).collect();
        for name in weights.iter().flat_map(Weight::companions) {
            if let Some((_, left)) = self.companions.get_mut(name) {
                *left -= 1;
                if *left == 0 {
                    self.companions.remove(name);
                }
            }
        }
        decoders
    }

    /// Says that the last initializer has ended.
    ///
    /// # Errors
    /// [`Error::BadWeights`] names a matrix whose scale has not arrived.
    pub fn finish(&self) -> Result<(), Error> {
        match self.waiting.first() {
            None => Ok(()),
            Some((initializer, _)) => {
                Err(bad(format!("ONNX: {:?}: its scale is missing", initializer.shown())))
            }
        }
    }
}

/// Decodes whole rows, and keeps the rest in `pending`.
fn stream(
    decoder: &Decoder,
    row: &mut usize,
    pending: &mut Vec<u8>,
    mut bytes: &[u8],
    sink: &mut dyn TensorSink,
) -> Result<(), Error> {
    let row_bytes = decoder.row_bytes();
    while !bytes.is_empty() {
        let rows = decoder.batch().min(decoder.place.rows - *row);
        let missing = rows * row_bytes - pending.len();
        let (now, later) = bytes.split_at(missing.min(bytes.len()));
        bytes = later;
        if now.len() < missing {
            pending.extend_from_slice(now);
            return Ok(());
        }
        if !pending.is_empty() {
            pending.extend_from_slice(now);
        }
        let whole = if pending.is_empty() { now } else { pending.as_slice() };
        decoder.decode_batch(whole, *row, rows, sink)?;
        pending.clear();
        *row += rows;
    }
    Ok(())
}

fn too_long(name: &str, length: u64) -> Error {
    bad(format!("ONNX: {name:?} has {length} bytes that must be held at once; {MAX_MATRIX} at most"))
}
