//! Which tensor of the model an initializer holds, and how.

use super::super::{TensorShape, bad};
use super::nodes::{Node, Nodes};
use crate::Error;

/// Ops between an initializer and the node that uses it. An exporter shares equal tensors through `Identity`.
pub const SAME: &[&str] = &["Identity"];

/// A tensor of the model, or some of its rows, in an initializer.
#[derive(Debug, Clone, PartialEq)]
pub struct Weight {
    /// The tensor's name, as transformers has it.
    pub tensor: String,
    pub part: Part,
    pub storage: Storage,
}

/// Which rows of the tensor, and how they lie in the initializer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// All, as they are.
    Whole,
    /// All, as columns: ONNX multiplies by [inputs, outputs].
    Transposed,
    /// Of the three equal parts of an attention's input projection, for queries, keys and values: `count` from `first`
    /// on. A matrix holds them as columns.
    Thirds { first: usize, count: usize },
    /// All, perhaps behind a dimension of 1.
    Positions,
    /// A single number.
    Number,
    /// A single number, whose logarithm the model stores.
    Exponential,
}

/// How the numbers are stored. Scales and zero points are initializers of their own; here are their names.
#[derive(Debug, Clone, PartialEq)]
pub enum Storage {
    /// One by one.
    Numbers,
    /// As (level - zero point) x scale, with one scale for all or for each output.
    Levels { scale: String, zero_point: Option<String> },
    /// In 4 bits, row by row: see [`super::four_bits`].
    FourBits { codes: Codes, scales: String, inputs: usize, outputs: usize, block: usize },
}

/// What a number of 4 bits stands for.
#[derive(Debug, Clone, PartialEq)]
pub enum Codes {
    /// A level minus a zero point, which is 8 unless it is stored.
    Levels { zero_points: Option<String> },
    /// A value of bitsandbytes' table FP4.
    Float,
    /// A value of bitsandbytes' table NF4.
    NormalFloat,
}

impl Weight {
    pub fn new(tensor: impl Into<String>, part: Part) -> Weight {
        Weight { tensor: tensor.into(), part, storage: Storage::Numbers }
    }

    /// The initializers that the values depend on, beside their own.
    pub fn companions(&self) -> impl Iterator<Item = &str> {
        let (first, second) = match &self.storage {
            Storage::Numbers => (None, None),
            Storage::Levels { scale, zero_point } => (Some(scale), zero_point.as_ref()),
            Storage::FourBits { codes, scales, .. } => match codes {
                Codes::Levels { zero_points } => (Some(scales), zero_points.as_ref()),
                Codes::Float | Codes::NormalFloat => (Some(scales), None),
            },
        };
        first.into_iter().chain(second).map(String::as_str)
    }

    /// The place in the model of an initializer of these dimensions.
    ///
    /// # Errors
    /// [`Error::BadWeights`] if the tensor cannot have them.
    pub fn place(&self, dims: &[usize]) -> Result<Place, Error> {
        let wrong = || bad(format!("ONNX: tensor {:?} is stored as {dims:?}", self.tensor));
        let whole = |shape: &[usize]| Place {
            tensor: TensorShape { name: self.tensor.clone(), shape: shape.to_vec() },
            first_row: 0,
            rows: shape.first().copied().unwrap_or(1),
            transposed: false,
        };
        if let Storage::FourBits { inputs, outputs, .. } = self.storage {
            let Part::Thirds { .. } = self.part else { return Ok(whole(&[outputs, inputs])) };
            return self.third(outputs, inputs, false).ok_or_else(wrong);
        }
        match (self.part, dims) {
            (Part::Whole, &[_, ..]) => Ok(whole(dims)),
            (Part::Transposed, &[inputs, outputs]) => {
                Ok(Place { transposed: true, ..whole(&[outputs, inputs]) })
            }
            (Part::Thirds { .. }, &[inputs, outputs]) => self.third(outputs, inputs, true).ok_or_else(wrong),
            (Part::Thirds { first, count }, &[len]) if len.is_multiple_of(count) => {
                let third = len / count;
                let all = third.checked_mul(3).ok_or_else(wrong)?;
                Ok(Place { first_row: first * third, rows: len, ..whole(&[all]) })
            }
            (Part::Positions, &[positions, width] | &[1, positions, width]) => Ok(whole(&[positions, width])),
            (Part::Number | Part::Exponential, [] | [1]) => Ok(whole(&[1])),
            _ => Err(wrong()),
        }
    }

    fn third(&self, outputs: usize, inputs: usize, transposed: bool) -> Option<Place> {
        let Part::Thirds { first, count } = self.part else { return None };
        if Some(outputs) != inputs.checked_mul(count) {
            return None;
        }
        let shape = vec![inputs.checked_mul(3)?, inputs];
        let tensor = TensorShape { name: self.tensor.clone(), shape };
        Some(Place { tensor, first_row: first * inputs, rows: outputs, transposed })
    }
}

/// Rows of a tensor.
#[derive(Debug, Clone)]
pub struct Place {
    /// The whole tensor.
    pub tensor: TensorShape,
    pub first_row: usize,
    pub rows: usize,
    /// Whether the initializer holds the rows as columns.
    pub transposed: bool,
}

/// The initializer by which a node multiplies, and how it stores the numbers. `None` for a node that multiplies two
/// computed values, or does not multiply.
///
/// # Errors
/// [`Error::UnsupportedModel`] for a quantization that cannot be read.
pub fn matrix<'n>(nodes: &'n Nodes, node: &'n Node) -> Result<Option<(&'n str, Part, Storage)>, Error> {
    let is_matrix = matches!(
        node.op.as_str(),
        "MatMul" | "Gemm" | "MatMulInteger" | "MatMulNBits" | "MatMulBnb4" | "Conv" | "ConvInteger"
    );
    let Some(initializer) = nodes.initializer(node.input(1), SAME).filter(|_| is_matrix) else {
        return Ok(None);
    };
    let (part, storage) = match node.op.as_str() {
        "MatMul" => (Part::Transposed, Storage::Numbers),
        "Gemm" if node.integer("transB") == Some(1) => (Part::Whole, Storage::Numbers),
        "Gemm" => (Part::Transposed, Storage::Numbers),
        "Conv" => (Part::Whole, Storage::Numbers),
        "MatMulInteger" | "ConvInteger" => {
            let part = if node.op == "ConvInteger" { Part::Whole } else { Part::Transposed };
            let scale = product_scale(nodes, node)
                .ok_or_else(|| unsupported(node, "its weights have no scale that can be found"))?;
            let zero_point = nodes.initializer(node.input(3), SAME).map(String::from);
            (part, Storage::Levels { scale, zero_point })
        }
        _ => (Part::Whole, four_bits(nodes, node)?),
    };
    Ok(Some((initializer, part, storage)))
}

/// The initializer from which a `Gather` takes rows, and how it stores the numbers.
pub fn table<'n>(nodes: &'n Nodes, node: &'n Node) -> Option<(&'n str, Storage)> {
    let initializer = nodes.initializer(node.input(0), SAME)?;
    let dequantized = nodes.consumers(node.output()).find(|consumer| consumer.op == "DequantizeLinear");
    let storage = match dequantized {
        None => Storage::Numbers,
        Some(dequantized) => Storage::Levels {
            scale: nodes.initializer(dequantized.input(1), SAME)?.into(),
            zero_point: nodes.initializer(dequantized.input(2), SAME).map(String::from),
        },
    };
    Some((initializer, storage))
}

/// The scale of the weights of a product of integers: the sum is cast to float, then multiplied by the product of two
/// scales, of which one is an initializer.
fn product_scale(nodes: &Nodes, node: &Node) -> Option<String> {
    let scaled = |cast: &Node| {
        let products = nodes.consumers(cast.output()).filter(|consumer| consumer.op == "Mul");
        let scales = products.flat_map(|product| &product.inputs).filter_map(|input| nodes.producer(input));
        let scale = |scales: &Node| {
            let of = |input: &String| nodes.initializer(input, SAME).map(String::from);
            (scales.op == "Mul").then(|| scales.inputs.iter().find_map(of))?
        };
        scales.into_iter().find_map(scale)
    };
    nodes.consumers(node.output()).filter(|consumer| consumer.op == "Cast").find_map(scaled)
}

/// The storage of `MatMulNBits` and `MatMulBnb4`, operators of onnxruntime:
/// <https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md>.
fn four_bits(nodes: &Nodes, node: &Node) -> Result<Storage, Error> {
    let size = |name: &str| {
        let size = node.integer(name).and_then(|size| usize::try_from(size).ok());
        size.filter(|&size| size > 0)
            .ok_or_else(|| unsupported(node, &format!("it has no {name}, which is a whole number from 1")))
    };
    let (inputs, outputs, block) = (size("K")?, size("N")?, size("block_size")?);
    let codes = match (node.op.as_str(), node.integer("quant_type")) {
        ("MatMulBnb4", Some(0)) => Codes::Float,
        ("MatMulBnb4", Some(1)) => Codes::NormalFloat,
        ("MatMulNBits", _) if node.integer("bits").is_none_or(|bits| bits == 4) => {
            Codes::Levels { zero_points: nodes.initializer(node.input(3), SAME).map(String::from) }
        }
        _ => return Err(unsupported(node, "its number of bits, or its table, is none that can be read")),
    };
    // Whole bytes in a row, and in a block.
    if !block.is_multiple_of(2) || block > 1 << 16 || !inputs.is_multiple_of(2) {
        return Err(unsupported(node, &format!("blocks of {block} numbers in rows of {inputs}")));
    }
    let scales =
        nodes.initializer(node.input(2), SAME).ok_or_else(|| unsupported(node, "its scales are computed"))?;
    Ok(Storage::FourBits { codes, scales: scales.into(), inputs, outputs, block })
}

/// For a node that this reader does not know.
pub fn unsupported(node: &Node, reason: &str) -> Error {
    Error::unsupported(format!("ONNX node {}", node.shown()), reason)
}
