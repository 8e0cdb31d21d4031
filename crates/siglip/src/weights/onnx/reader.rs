//! An ONNX file as a push parser: `ModelProto`, its `GraphProto`, and each `TensorProto` of that.

use super::super::{MAX_HEADER, StoredTensor, TensorSink, bad};
use super::external::ExternalReader;
use super::graph::Graph;
use super::initializers::Initializers;
use super::nodes::Node;
use super::tensor::{DataType, Initializer};
use super::wire::{Kind, Tag, Varint, numbers};
use crate::Error;

/// Most bytes of all nodes. A graph of 40 blocks has 3 million.
const MAX_NODES: u64 = 8 << 20;
/// Longest name, or description of external data.
const MAX_TEXT: u64 = 1 << 12;
/// Most bytes of a tensor in a field other than `raw_data`: such tensors are scales.
const MAX_FIELD: u64 = 1 << 20;

/// Fields of `ModelProto`, `GraphProto` and `TensorProto`.
mod field {
    pub const GRAPH: u32 = 7;
    pub const NODE: u32 = 1;
    pub const INITIALIZER: u32 = 5;
    pub const SPARSE_INITIALIZER: u32 = 15;
    pub const DIMS: u32 = 1;
    pub const DATA_TYPE: u32 = 2;
    pub const FLOAT_DATA: u32 = 4;
    pub const INT32_DATA: u32 = 5;
    pub const NAME: u32 = 8;
    pub const RAW_DATA: u32 = 9;
    pub const EXTERNAL_DATA: u32 = 13;
}

/// Reads an ONNX file from chunks of any size. The nodes come first and say what the initializers are.
#[derive(Debug, Default)]
pub struct Reader {
    /// Offset of the next byte.
    position: u64,
    /// Offset of the tag of the current field.
    tag: u64,
    step: Step,
    number: Varint,
    /// Bytes of the current field.
    collected: Vec<u8>,
    /// Offset of the graph's end, once it has begun.
    graph_end: Option<u64>,
    /// Whether the next field is one of the graph, and not of the model.
    in_graph: bool,
    nodes: Vec<Node>,
    node_bytes: u64,
    /// Set when the first initializer begins.
    graph: Option<Graph>,
    /// Length of what comes before the first initializer, with its tag.
    header_len: Option<u64>,
    /// The initializer that is being read.
    tensor: Option<Tensor>,
    initializers: Initializers,
    external: Vec<Initializer>,
}

/// What the next bytes are.
#[derive(Debug, Clone, Copy, Default)]
enum Step {
    /// The tag of a field.
    #[default]
    Tag,
    /// The number of this field.
    Number(u32),
    /// The length of this field.
    Length(u32),
    /// So many bytes of this field.
    Collect(u32, u64),
    Skip(u64),
    /// A tensor's data.
    Data,
}

/// A `TensorProto` as far as it has arrived.
#[derive(Debug, Default)]
struct Tensor {
    initializer: Initializer,
    /// Offset of its end.
    end: u64,
    /// The field `float_data`.
    floats: Vec<u8>,
    /// The field `int32_data`.
    integers: Vec<u64>,
    has_data: bool,
}

impl Reader {
    /// Length of what comes before the first initializer, and its tag; known once it has arrived.
    pub fn header_len(&self) -> Option<u64> {
        self.header_len
    }

    /// The least length that the file can have: the offset of the graph's end.
    pub fn least_bytes(&self) -> Option<u64> {
        self.graph_end
    }

    /// The tensors that have begun.
    pub fn tensors(&self) -> &[StoredTensor] {
        self.initializers.tensors()
    }

    /// Offset up to which everything has been passed to the sink.
    pub fn settled(&self) -> u64 {
        let is_between = matches!(self.step, Step::Tag) && self.number.is_empty();
        let start = match &self.tensor {
            Some(tensor) => tensor.initializer.start,
            None if is_between => self.position,
            None => self.tag,
        };
        self.initializers.unsettled().map_or(start, |unsettled| unsettled.min(start))
    }

    /// Continues at an offset where [`settled`](Reader::settled) was.
    ///
    /// # Errors
    /// [`Error::BadWeights`] if it lies before the first initializer or beyond the graph.
    pub fn seek(&mut self, position: u64) -> Result<(), Error> {
        match (self.header_len, self.graph_end) {
            // The header ends behind the tag of the first initializer.
            (Some(header), Some(end)) if position + 1 >= header => {
                self.in_graph = position < end;
            }
            _ => return Err(bad(format!("no tensor begins at byte {position}"))),
        }
        (self.position, self.step, self.number) = (position, Step::Tag, Varint::default());
        (self.tensor, self.initializers) = (None, Initializers::default());
        self.collected.clear();
        Ok(())
    }

    /// Takes the file's next bytes.
    ///
    /// # Errors
    /// [`Error::BadWeights`], [`Error::UnsupportedModel`] for another model's graph, and any error of `sink`.
    pub fn push(&mut self, mut bytes: &[u8], sink: &mut dyn TensorSink) -> Result<(), Error> {
        loop {
            self.leave(sink)?;
            let Some(&first) = bytes.first() else { return Ok(()) };
            let taken = match self.step {
                Step::Tag | Step::Number(_) | Step::Length(_) => {
                    if matches!(self.step, Step::Tag) && self.number.is_empty() {
                        self.tag = self.position;
                    }
                    self.position += 1;
                    if let Some(number) = self.number.push(first)? {
                        self.take_number(number, sink)?;
                    }
                    1
                }
                Step::Skip(left) => {
                    let taken = left.min(bytes.len() as u64);
                    self.position += taken;
                    self.step = if taken == left { Step::Tag } else { Step::Skip(left - taken) };
                    taken as usize
                }
                Step::Collect(field, left) => {
                    let taken = left.min(bytes.len() as u64);
                    self.position += taken;
                    self.collected.extend_from_slice(&bytes[..taken as usize]);
                    self.step = Step::Collect(field, left - taken);
                    if taken == left {
                        self.step = Step::Tag;
                        let collected = std::mem::take(&mut self.collected);
                        self.take_field(field, &collected)?;
                    }
                    taken as usize
                }
                Step::Data => {
                    let taken = self.initializers.left().min(bytes.len() as u64) as usize;
                    self.position += taken as u64;
                    self.push_data(&bytes[..taken], sink)?;
                    taken
                }
            };
            bytes = &bytes[taken..];
        }
    }

    /// Says that the file has ended.
    ///
    /// # Errors
    /// [`Error::BadWeights`] if bytes are missing.
    pub fn finish(&self) -> Result<(), Error> {
        let is_between = matches!(self.step, Step::Tag) && self.number.is_empty();
        if self.graph.is_none() || self.in_graph || self.tensor.is_some() || !is_between {
            let (position, cut) = (self.position, super::super::row_parser::CUT_SHORT);
            return Err(bad(format!("the ONNX file ends after {position} bytes, inside its graph: {cut}")));
        }
        self.initializers.finish()
    }

    /// Whether some tensors that have arrived have their data in another file.
    pub fn has_external(&self) -> bool {
        !self.external.is_empty()
    }

    /// A reader of the file that holds the tensors' data, with its name, if they are not in this one.
    ///
    /// # Errors
    /// [`Error::BadWeights`] for tensors that overlap or are in several files.
    pub fn into_external(self) -> Result<Option<(String, ExternalReader)>, Error> {
        let Some(graph) = self.graph.filter(|_| !self.external.is_empty()) else { return Ok(None) };
        ExternalReader::new(graph, self.initializers, self.external).map(Some)
    }

    /// Ends messages that have no byte left.
    fn leave(&mut self, sink: &mut dyn TensorSink) -> Result<(), Error> {
        if !matches!(self.step, Step::Tag) || !self.number.is_empty() {
            return Ok(());
        }
        if self.tensor.as_ref().is_some_and(|tensor| tensor.end == self.position) {
            self.end_tensor(sink)?;
        }
        if self.in_graph && self.graph_end == Some(self.position) {
            self.in_graph = false;
            if self.graph.is_none() {
                return Err(bad("the ONNX file has no initializers, and so no weights"));
            }
        }
        Ok(())
    }

    /// Offset of the end of the message that is being read; `None` for the model, which ends with the file.
    fn end(&self) -> Option<u64> {
        match &self.tensor {
            Some(tensor) => Some(tensor.end),
            None => self.graph_end.filter(|_| self.in_graph),
        }
    }

    /// Checks that so many bytes more belong to the current message.
    fn check_inside(&self, bytes: u64) -> Result<(), Error> {
        let next = self.position.checked_add(bytes);
        match (next, self.end()) {
            (Some(next), Some(end)) if next > end => Err(bad("ONNX: a field is longer than its message")),
            (None, _) => Err(bad("ONNX: a field is longer than a file can be")),
            _ => Ok(()),
        }
    }

    fn take_number(&mut self, number: u64, sink: &mut dyn TensorSink) -> Result<(), Error> {
        self.check_inside(0)?;
        self.step = match self.step {
            Step::Tag => {
                let Tag { field, kind } = Tag::parse(number)?;
                match kind {
                    Kind::Varint => Step::Number(field),
                    Kind::Bytes => {
                        if self.in_graph && self.tensor.is_none() && field == field::INITIALIZER {
                            self.begin_initializers(sink)?;
                        }
                        Step::Length(field)
                    }
                    Kind::Fixed32 if self.tensor.is_some() && field == field::FLOAT_DATA => {
                        self.collect(field, 4)?
                    }
                    Kind::Fixed32 => self.skip(4)?,
                    Kind::Fixed64 => self.skip(8)?,
                }
            }
            Step::Length(field) => {
                self.check_inside(number)?;
                self.begin_field(field, number)?
            }
            Step::Number(field) => {
                self.take_scalar(field, number)?;
                Step::Tag
            }
            step => step,
        };
        Ok(())
    }

    /// A number of a tensor.
    fn take_scalar(&mut self, field: u32, number: u64) -> Result<(), Error> {
        let Some(tensor) = &mut self.tensor else { return Ok(()) };
        match field {
            field::DIMS => tensor.initializer.add_dimension(number)?,
            field::DATA_TYPE => tensor.initializer.data_type = DataType::from_number(number),
            field::INT32_DATA if tensor.integers.len() as u64 >= MAX_FIELD => {
                return Err(too_long("int32_data", tensor.integers.len() as u64));
            }
            field::INT32_DATA => tensor.integers.push(number),
            _ => {}
        }
        Ok(())
    }

    /// The step at the start of a field of `length` bytes.
    fn begin_field(&mut self, field: u32, length: u64) -> Result<Step, Error> {
        if let Some(tensor) = &mut self.tensor {
            let (name, limit) = match field {
                field::DIMS => ("dims", MAX_TEXT),
                field::NAME => ("name", MAX_TEXT),
                field::EXTERNAL_DATA => ("external_data", MAX_TEXT),
                field::FLOAT_DATA => ("float_data", MAX_FIELD.saturating_sub(tensor.floats.len() as u64)),
                field::INT32_DATA => ("int32_data", MAX_FIELD.saturating_sub(tensor.integers.len() as u64)),
                field::RAW_DATA => {
                    let initializer = std::mem::take(&mut tensor.initializer);
                    return self.begin_data(initializer, length);
                }
                _ => return self.skip(length),
            };
            if length > limit {
                return Err(too_long(name, length));
            }
            return self.collect(field, length);
        }
        match (self.in_graph, field) {
            (false, field::GRAPH) => {
                if self.graph_end.is_some() {
                    return Err(bad("the ONNX file has two graphs"));
                }
                (self.in_graph, self.graph_end) = (true, self.position.checked_add(length));
                Ok(Step::Tag)
            }
            (true, field::NODE) => {
                if self.graph.is_some() {
                    return Err(bad("ONNX: a node comes after the initializers"));
                }
                self.node_bytes = self.node_bytes.saturating_add(length);
                if self.node_bytes > MAX_NODES {
                    return Err(too_long("node", self.node_bytes));
                }
                self.collect(field, length)
            }
            (true, field::INITIALIZER) => {
                let initializer = Initializer { start: self.tag, ..Initializer::default() };
                let end = self.position.saturating_add(length);
                self.tensor = Some(Tensor { initializer, end, ..Tensor::default() });
                Ok(Step::Tag)
            }
            (true, field::SPARSE_INITIALIZER) => {
                Err(bad("ONNX: sparse tensors, which no export of SigLIP has"))
            }
            // What comes before the first initializer is kept in memory by those who resume a download.
            _ if self.graph.is_none() && length > MAX_HEADER => Err(too_long("field", length)),
            _ => self.skip(length),
        }
    }

    fn skip(&self, length: u64) -> Result<Step, Error> {
        self.check_inside(length)?;
        Ok(if length == 0 { Step::Tag } else { Step::Skip(length) })
    }

    fn collect(&mut self, field: u32, length: u64) -> Result<Step, Error> {
        self.check_inside(length)?;
        if length > 0 {
            return Ok(Step::Collect(field, length));
        }
        self.take_field(field, &[])?;
        Ok(Step::Tag)
    }

    /// Takes a field that has arrived whole.
    fn take_field(&mut self, field: u32, bytes: &[u8]) -> Result<(), Error> {
        let Some(tensor) = &mut self.tensor else {
            self.nodes.push(Node::parse(bytes)?);
            return Ok(());
        };
        match field {
            field::DIMS => {
                let mut sides = Vec::new();
                numbers(bytes, &mut sides)?;
                sides.into_iter().try_for_each(|side| tensor.initializer.add_dimension(side))
            }
            field::NAME => {
                let name = std::str::from_utf8(bytes).map_err(|_| bad("ONNX: a name is not UTF-8"))?;
                tensor.initializer.name = name.into();
                Ok(())
            }
            field::FLOAT_DATA => {
                tensor.floats.extend_from_slice(bytes);
                Ok(())
            }
            field::INT32_DATA => numbers(bytes, &mut tensor.integers),
            _ => tensor.initializer.add_external(bytes),
        }
    }

    /// Finds out what the initializers are, now that all nodes have arrived.
    fn begin_initializers(&mut self, sink: &mut dyn TensorSink) -> Result<(), Error> {
        if self.graph.is_none() {
            let graph = Graph::new(std::mem::take(&mut self.nodes))?;
            sink.begin_named(&graph.tensors())?;
            (self.graph, self.header_len) = (Some(graph), Some(self.position));
        }
        Ok(())
    }

    /// Begins a tensor's `raw_data`.
    fn begin_data(&mut self, initializer: Initializer, length: u64) -> Result<Step, Error> {
        if let (Some(graph), Some(tensor)) = (&self.graph, &mut self.tensor) {
            if tensor.has_data {
                return Err(bad(format!("ONNX: {:?} has its data twice", initializer.shown())));
            }
            tensor.has_data = true;
            tensor.initializer.start = initializer.start;
            self.initializers.begin(graph, initializer, length)?;
        }
        Ok(if length == 0 { Step::Tag } else { Step::Data })
    }

    fn push_data(&mut self, bytes: &[u8], sink: &mut dyn TensorSink) -> Result<(), Error> {
        let Some(graph) = &self.graph else { return Ok(()) };
        self.initializers.push(graph, bytes, sink)?;
        if self.initializers.left() == 0 {
            self.step = Step::Tag;
        }
        Ok(())
    }

    /// Ends a tensor, whose data may be in another field, or in another file.
    fn end_tensor(&mut self, sink: &mut dyn TensorSink) -> Result<(), Error> {
        let Some(Tensor { initializer, floats, integers, has_data, .. }) = self.tensor.take() else {
            return Ok(());
        };
        let Some(graph) = self.graph.as_ref().filter(|_| !has_data) else { return Ok(()) };
        if initializer.external.is_some() {
            self.external.push(initializer);
            return Ok(());
        }
        let data = initializer.raw_of_fields(&floats, &integers);
        if data.is_empty() && initializer.data_type == DataType::Other {
            return Ok(());
        }
        self.initializers.begin(graph, initializer, data.len() as u64)?;
        self.initializers.push(graph, &data, sink)
    }
}

fn too_long(field: &str, length: u64) -> Error {
    bad(format!("ONNX: a field {field} of {length} bytes"))
}
