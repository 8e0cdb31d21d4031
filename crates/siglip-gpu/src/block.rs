//! The shape of a block on the GPU, and the layouts of weights in buffers: one a block, one for the patch embedding and one for the
//! head.

use crate::place::Group;
use crate::plan::{Binding, Buffer};

/// Every width is padded to a multiple of this.
const WIDTH: usize = 64;
/// Sections of a buffer start at multiples of this: WebGPU's default minStorageBufferOffsetAlignment.
const SECTION: usize = 256;

/// A number of rows or columns.
#[derive(Debug, Clone, Copy)]
pub struct Width {
    /// In tensors.
    pub size: usize,
    /// In buffers, padded with zeros.
    pub stored: usize,
    /// How they are spread.
    pub group: Group,
}

impl Width {
    pub fn new(size: usize) -> Width {
        Width { size, stored: size.next_multiple_of(WIDTH), group: Group::ONE }
    }
}

/// The widths of a block.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Of the residual stream.
    pub hidden: Width,
    /// Of all heads' outputs together; a group is a head.
    pub context: Width,
    /// Of the MLP's hidden layer.
    pub middle: Width,
    /// Whether weights are in 8 bits.
    pub quantized: bool,
}

impl Shape {
    pub fn new(hidden: usize, middle: usize, heads: usize, quantized: bool) -> Shape {
        let head_dim = hidden / heads;
        // The attention kernel reads four values at once.
        let group = Group { size: head_dim, stride: head_dim.next_multiple_of(4) };
        Shape {
            hidden: Width::new(hidden),
            context: Width { size: hidden, group, ..Width::new(heads * group.stride) },
            middle: Width::new(middle),
            quantized,
        }
    }
}

/// A section of a block's buffer, in bytes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Section {
    pub offset: usize,
    pub size: usize,
}

impl Section {
    /// Binds it, of this block's buffer.
    pub fn bind(self, binding: u32, block: usize) -> Binding {
        let Section { offset, size } = self;
        Binding { binding, buffer: Buffer::Weights(block), offset: offset as u64, size: Some(size as u64) }
    }
}

/// A linear layer's weights: a row of inputs for each output.
#[derive(Debug, Clone, Copy)]
pub struct LinearLayout {
    pub inputs: Width,
    pub outputs: Width,
    pub weight: Section,
    /// With 8 bits.
    pub scales: Option<Section>,
    pub bias: Section,
    /// Bytes of a row of `weight`.
    pub stride: usize,
}

/// A layer norm's weight and bias.
#[derive(Debug, Clone, Copy)]
pub struct NormLayout {
    pub weight: Section,
    pub bias: Section,
}

/// The layout of a block's buffer.
#[derive(Debug, Clone, Copy)]
pub struct BlockLayout {
    pub norm1: NormLayout,
    /// Outputs: queries, keys and values, each as wide as the context.
    pub qkv: LinearLayout,
    pub out: LinearLayout,
    pub norm2: NormLayout,
    pub fc1: LinearLayout,
    pub fc2: LinearLayout,
    /// Bytes of the buffer.
    pub size: usize,
}

impl BlockLayout {
    pub fn new(shape: Shape) -> BlockLayout {
        let mut end = Allocator { end: 0, quantized: shape.quantized };
        let Shape { hidden, context, middle, .. } = shape;
        BlockLayout {
            norm1: end.norm(hidden),
            qkv: end.linear(hidden, Width { stored: 3 * context.stored, ..context }),
            out: end.linear(context, hidden),
            norm2: end.norm(hidden),
            fc1: end.linear(hidden, middle),
            fc2: end.linear(middle, hidden),
            size: end.end,
        }
    }
}

/// The layout of the patch embedding's buffer, which is in f32.
#[derive(Debug, Clone, Copy)]
pub struct PatchLayout {
    pub embedding: LinearLayout,
    /// Bytes of the buffer.
    pub size: usize,
}

impl PatchLayout {
    pub fn new(values: usize, hidden: Width) -> PatchLayout {
        let mut end = Allocator { end: 0, quantized: false };
        let embedding = end.linear(Width::new(values), hidden);
        PatchLayout { embedding, size: end.end }
    }
}

/// The layout of the head's buffer.
#[derive(Debug, Clone, Copy)]
pub struct HeadLayout {
    /// After the last block.
    pub norm: NormLayout,
    pub kind: HeadKind,
    /// Bytes of the buffer.
    pub size: usize,
}

#[derive(Debug, Clone, Copy)]
#[allow(
    clippy::large_enum_variant,
    reason = "a plan has two of them; it is large where addresses have 64 bits"
)]
pub enum HeadKind {
    /// The image tower's attention pooling head.
    Pooling {
        /// One a head: its key weights' transpose times its query.
        queries: Section,
        /// In f32, as the tensor comes that it is a part of.
        values: LinearLayout,
        out: LinearLayout,
        norm: NormLayout,
        fc1: LinearLayout,
        fc2: LinearLayout,
    },
    /// The text tower's linear layer.
    Projection(LinearLayout),
}

impl HeadLayout {
    pub fn pooling(shape: Shape, heads: usize) -> HeadLayout {
        let mut end = Allocator { end: 0, quantized: false };
        let Shape { hidden, middle, quantized, .. } = shape;
        let norm = end.norm(hidden);
        let queries = end.floats(heads * hidden.stored);
        let values = end.linear(hidden, hidden);
        end.quantized = quantized;
        let kind = HeadKind::Pooling {
            queries,
            values,
            out: end.linear(hidden, hidden),
            norm: end.norm(hidden),
            fc1: end.linear(hidden, middle),
            fc2: end.linear(middle, hidden),
        };
        HeadLayout { norm, kind, size: end.end }
    }

    pub fn projection(Shape { hidden, quantized, .. }: Shape, outputs: usize) -> HeadLayout {
        let mut end = Allocator { end: 0, quantized };
        let norm = end.norm(hidden);
        let kind = HeadKind::Projection(end.linear(hidden, Width::new(outputs)));
        HeadLayout { norm, kind, size: end.end }
    }

    /// Floats from one embedding to the next.
    pub fn stride(&self) -> usize {
        match self.kind {
            HeadKind::Pooling { fc2: last, .. } | HeadKind::Projection(last) => last.outputs.stored,
        }
    }
}

/// Gives away a buffer, section by section.
struct Allocator {
    end: usize,
    quantized: bool,
}

impl Allocator {
    fn section(&mut self, size: usize) -> Section {
        let section = Section { offset: self.end, size };
        self.end = (self.end + section.size).next_multiple_of(SECTION);
        section
    }

    fn floats(&mut self, count: usize) -> Section {
        self.section(count * size_of::<f32>())
    }

    fn norm(&mut self, width: Width) -> NormLayout {
        NormLayout { weight: self.floats(width.stored), bias: self.floats(width.stored) }
    }

    fn linear(&mut self, inputs: Width, outputs: Width) -> LinearLayout {
        let stride = if self.quantized { inputs.stored } else { inputs.stored * size_of::<f32>() };
        LinearLayout {
            inputs,
            outputs,
            weight: self.section(outputs.stored * stride),
            scales: self.quantized.then(|| self.floats(outputs.stored)),
            bias: self.floats(outputs.stored),
            stride,
        }
    }
}
