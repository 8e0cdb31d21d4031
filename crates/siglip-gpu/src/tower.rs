//! One tower's plan: its blocks as dispatches, and the places of its weights.

mod heads;

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use crate::block::{BlockLayout, HeadLayout, LinearLayout, NormLayout, PatchLayout, Section, Shape};
use crate::place::{Group, Place};
use crate::plan::{
    Activation, Binding, Buffer, Count, Dispatch, Pipeline, Program, Rows, TowerPlan, Unsupported,
};
use crate::shader::{self, Epilogue, MOST_HEAD_DIM, Norm, Product, QUERIES, Tile};
use crate::sizes::TowerSizes;
use crate::words::{decimal, push_decimal, until};

/// WebGPU's default maxStorageBufferBindingSize. A block's buffer is bound whole for its checksum.
const MOST_BINDING: u64 = 128 << 20;

/// The activations, by index. Those of the same index are not needed at the same time. What is left of another is finite where a
/// kernel reads it as padding, and multiplied with zeros.
const X: usize = 0;
const NORMED: usize = 1;
const QKV: usize = 2;
const PARTIALS: usize = 2;
const PATCHES: usize = 3;
const CONTEXT: usize = 3;
const HIDDEN: usize = 3;
/// Of the heads, which have a row for each sequence.
const EMBEDDINGS: usize = 2;

/// Rows of the activations are allocated in multiples of this: the tallest tile.
const ROWS: usize = 64;

/// What an executor may choose from, by the number of rows and by measurement: the tiles of all products. A picture's rows alone
/// give a large GPU too few workgroups of the largest tile; small tiles suit GPUs with few registers. docs/gpu.md has the rates.
const TILES: [(Option<usize>, Tile); 4] =
    [(Some(512), Tile::SLICED), (Some(512), Tile::TALL), (Some(512), Tile::SMALL), (None, Tile::SQUARE)];

/// Most parts of the inputs of a product into the residual stream, which has few outputs and so few tiles.
const PARTS: usize = 4;

/// One tower's blocks.
pub struct Tower {
    name: &'static str,
    sizes: TowerSizes,
    shape: Shape,
    layout: BlockLayout,
    /// Of the image tower.
    patches: Option<PatchLayout>,
    /// A fine-tuned classifier has none, nor have texts without a linear layer.
    head: Option<HeadLayout>,
}

impl Tower {
    pub fn new(name: &'static str, sizes: TowerSizes, quantized: bool) -> Result<Tower, Unsupported> {
        let shape = Shape::new(sizes.hidden_size, sizes.intermediate_size, sizes.heads, quantized);
        let head = shape.context.group;
        if head.stride > MOST_HEAD_DIM {
            return Err(Unsupported::HeadDim(head.size, MOST_HEAD_DIM));
        }
        let layout = BlockLayout::new(shape);
        let patches = sizes.patch_values.map(|values| PatchLayout::new(values, shape.hidden));
        let head = sizes.embedding_size.map(|size| match patches {
            Some(_) => HeadLayout::pooling(shape, sizes.heads),
            None => HeadLayout::projection(shape, size),
        });
        let largest = head.as_ref().map_or(0, |head| head.size).max(layout.size) as u64;
        if largest > MOST_BINDING {
            return Err(Unsupported::BlockBytes(largest, MOST_BINDING));
        }
        Ok(Tower { name, sizes, shape, layout, patches, head })
    }

    /// The head's buffer.
    fn head_buffer(&self) -> usize {
        self.sizes.blocks + usize::from(self.patches.is_some())
    }

    /// The place of tensor `index`, if it is one of this tower's blocks'.
    pub fn place(&self, index: usize, name: &str) -> Option<Place> {
        let rest = name.strip_prefix(if self.patches.is_some() { "vision_model." } else { "text_model." })?;
        let end = rest.bytes().rposition(|byte| byte == b'.')?;
        let (rest, kind) = (rest.get(..end)?, rest.get(end + 1..)?);
        let place = Placing { tensor: index, tower: self.name, block: self.sizes.blocks, kind };
        if let (true, Some(PatchLayout { embedding, .. })) =
            (is(rest, "embeddings.patch_embedding"), &self.patches)
        {
            return Some(place.linear(embedding, 0));
        }
        let Some(mut layer) = rest.strip_prefix("encoder.layers.") else {
            return self.place_of_head(place, rest);
        };
        let place = Placing { block: decimal(until(&mut layer, b'.')?)? as usize, ..place };
        let BlockLayout { norm1, qkv, out, norm2, fc1, fc2, .. } = &self.layout;
        let (context, is) = (self.shape.context.stored, |name| is(layer, name));
        let (layout, first) = if is("layer_norm1") {
            return Some(place.norm(norm1));
        } else if is("layer_norm2") {
            return Some(place.norm(norm2));
        } else if is("self_attn.q_proj") {
            (qkv, 0)
        } else if is("self_attn.k_proj") {
            (qkv, context)
        } else if is("self_attn.v_proj") {
            (qkv, 2 * context)
        } else if is("self_attn.out_proj") {
            (out, 0)
        } else if is("mlp.fc1") {
            (fc1, 0)
        } else if is("mlp.fc2") {
            (fc2, 0)
        } else {
            return None;
        };
        Some(place.linear(layout, first))
    }

    /// Bytes of the weights.
    pub fn bytes(&self) -> u64 {
        let patches = self.patches.as_ref().map_or(0, |patches| patches.size);
        let head = self.head.as_ref().map_or(0, |head| head.size);
        self.sizes.blocks as u64 * self.layout.size as u64 + patches as u64 + head as u64
    }

    fn gelu(&self) -> Epilogue {
        if self.sizes.erf { Epilogue::GeluErf } else { Epilogue::GeluTanh }
    }

    /// What the executor runs, in so many bytes for activations.
    pub fn plan(&self, room: u64) -> TowerPlan {
        let Shape { hidden, context, middle, .. } = self.shape;
        let [hidden, context, middle] = [hidden, context, middle].map(|width| width.stored);
        let TowerSizes { hidden_size, blocks, length, .. } = self.sizes;
        let (mut pipelines, mut programs) = (Vec::new(), Vec::new());
        for (most_rows, tile) in TILES {
            programs.push(self.program(most_rows, tile, &mut pipelines));
        }
        let activation = |label, floats_per_row| Activation { label, floats_per_row };
        let patch_inputs = self.patches.as_ref().map_or(0, |patches| patches.embedding.inputs.stored);
        let stride = self.head.as_ref().map_or(0, |head| head.stride());
        let activations = vec![
            activation("x", hidden),
            activation("normed", hidden),
            activation("qkv or partials", (3 * context).max(PARTS * hidden).max(stride)),
            activation("patches, context or hidden", patch_inputs.max(context).max(middle)),
        ];
        let mut weights = Vec::new();
        weights.resize(blocks, self.layout.size as u64);
        weights.extend(self.patches.as_ref().map(|patches| patches.size as u64));
        weights.extend(self.head.as_ref().map(|head| head.size as u64));
        let input = match &self.patches {
            Some(PatchLayout { embedding: LinearLayout { inputs, .. }, .. }) => {
                Rows { size: inputs.size, stride: inputs.stored, activation: PATCHES }
            }
            None => Rows { size: hidden_size, stride: hidden, activation: X },
        };
        let positions = self.patches.as_ref().map_or(0, |_| (length * hidden * size_of::<f32>()) as u64);
        let embeddings = |size| Rows { size, stride, activation: EMBEDDINGS };
        TowerPlan {
            hidden_size,
            hidden_stride: hidden,
            length,
            most_rows: most_rows(&activations, input.stride + hidden, room.saturating_sub(positions)),
            input,
            has_positions: self.patches.is_some(),
            embeddings: self.sizes.embedding_size.map(embeddings),
            blocks,
            weights,
            activations,
            pipelines,
            programs,
        }
    }

    fn program(&self, most_rows: Option<usize>, tile: Tile, pipelines: &mut Vec<Pipeline>) -> Program {
        let mut steps = Steps { tower: self, tile, pipelines, dispatches: Vec::new() };
        if let Some(PatchLayout { embedding, .. }) = &self.patches {
            steps.product(self.sizes.blocks, embedding, PATCHES, X, Epilogue::Residual);
        }
        steps.residual_norm(None, Some(0));
        let before = steps.dispatches.len();
        steps.block(0);
        let first_block = steps.dispatches.len();
        for block in 1..self.sizes.blocks {
            // All but the last differ from the first in their weights alone, and WGSL takes its time to make.
            if block + 1 < self.sizes.blocks {
                steps.repeat(before..first_block, block)
            } else {
                steps.block(block)
            }
        }
        let last_block = steps.dispatches.len();
        if let Some(head) = &self.head {
            steps.head(head);
        }
        Program { most_rows, dispatches: steps.dispatches, first_block, last_block }
    }
}

/// The most rows whose activations, and the `transferred` floats of each, fit into so many bytes, and each into a binding.
fn most_rows(activations: &[Activation], transferred: usize, room: u64) -> usize {
    let floats = activations.iter().map(|activation| activation.floats_per_row);
    let bytes = |floats: usize| (floats * size_of::<f32>()) as u64;
    let widest = bytes(floats.clone().max().unwrap_or(1));
    let rows = (room / bytes(floats.sum::<usize>() + transferred)).min(MOST_BINDING / widest);
    rows as usize / ROWS * ROWS
}

/// Whether this is the name. Patterns would be a comparison of their own in each place.
#[inline(never)]
fn is(name: &str, wanted: &str) -> bool {
    name == wanted
}

/// The tensor that is being placed.
struct Placing<'n> {
    tensor: usize,
    tower: &'static str,
    block: usize,
    /// `weight` or `bias`.
    kind: &'n str,
}

impl Placing<'_> {
    #[inline(never)]
    fn norm(&self, layout: &NormLayout) -> Place {
        let section = if self.kind == "weight" { layout.weight } else { layout.bias };
        self.values(section.offset, Group::ONE)
    }

    /// Rows that are outputs `first..` of a layer.
    #[inline(never)]
    fn linear(&self, layout: &LinearLayout, first: usize) -> Place {
        let (floats, rows) = (first * size_of::<f32>(), layout.outputs.group);
        if self.kind == "bias" {
            return self.values(layout.bias.offset + floats, rows);
        }
        Place {
            offset: (layout.weight.offset + first * layout.stride) as u64,
            stride: layout.stride as u64,
            columns: layout.inputs.size,
            column_group: layout.inputs.group,
            scales: layout.scales.map(|scales| (scales.offset + floats) as u64),
            ..self.values(0, rows)
        }
    }

    /// A vector: rows of one f32.
    fn values(&self, offset: usize, row_group: Group) -> Place {
        let Placing { tensor, tower, block, .. } = *self;
        let stride = size_of::<f32>() as u64;
        let (columns, column_group) = (1, Group::ONE);
        let first_row = 0;
        Place {
            tensor,
            tower,
            block,
            first_row,
            offset: offset as u64,
            stride,
            columns,
            row_group,
            column_group,
            scales: None,
        }
    }
}

/// How many parts the inputs are divided into: as many as the tile's inputs divide.
fn parts(tile: Tile, inputs: usize) -> usize {
    (1..=PARTS).rev().find(|parts| inputs.is_multiple_of(parts * tile.inputs())).unwrap_or(1)
}

/// The dispatches made so far.
struct Steps<'t> {
    tower: &'t Tower,
    /// Of the products.
    tile: Tile,
    pipelines: &'t mut Vec<Pipeline>,
    dispatches: Vec<Dispatch>,
}

impl Steps<'_> {
    fn block(&mut self, block: usize) {
        let BlockLayout { qkv, out, fc1, fc2, .. } = &self.tower.layout;
        let [out_parts, fc2_parts] = [out, fc2].map(|layer| parts(self.tile, layer.inputs.stored));
        self.product(block, qkv, NORMED, QKV, Epilogue::Bias);
        self.attention();
        self.product(block, out, CONTEXT, PARTIALS, Epilogue::Partials(out_parts));
        self.residual_norm(Some((block, out, out_parts)), None);
        self.product(block, fc1, NORMED, HIDDEN, self.tower.gelu());
        self.product(block, fc2, HIDDEN, PARTIALS, Epilogue::Partials(fc2_parts));
        self.residual_norm(Some((block, fc2, fc2_parts)), Some(block + 1));
    }

    /// The first block's dispatches with the weights of a later one.
    fn repeat(&mut self, first_block: Range<usize>, block: usize) {
        for index in first_block {
            let mut dispatch = self.dispatches[index].clone();
            for binding in &mut dispatch.bindings {
                if let Buffer::Weights(of) = &mut binding.buffer {
                    *of += block;
                }
            }
            self.dispatches.push(dispatch);
        }
    }

    fn product(&mut self, block: usize, layer: &LinearLayout, x: usize, y: usize, epilogue: Epilogue) {
        let (tile, inputs, outputs) = (self.tile, layer.inputs.stored, layer.outputs.stored);
        let product = Product { inputs, outputs, quantized: layer.scales.is_some(), tile, epilogue };
        let mut bindings = Bindings::of(x);
        bindings.layer(layer, block);
        if epilogue.adds_bias() {
            bindings.weights(4, layer.bias, block);
        }
        bindings.whole(5, Buffer::Activation(y));
        if epilogue == Epilogue::Residual {
            bindings.whole(6, Buffer::Positions);
        }
        let workgroups = [
            Count::Fixed(outputs / tile.outputs()),
            Count::Rows(tile.rows()),
            Count::Fixed(epilogue.parts()),
        ];
        self.add("product", shader::product(&product), bindings, workgroups);
    }

    fn attention(&mut self) {
        let Tower { sizes, shape, .. } = self.tower;
        let wgsl = shader::attention(shape.context.group, shape.context.stored);
        let workgroups = [Count::Length(QUERIES), Count::Fixed(sizes.heads), Count::Sequences];
        let mut bindings = Bindings::of(QKV);
        bindings.whole(2, Buffer::Activation(CONTEXT));
        self.add("attention", wgsl, bindings, workgroups);
    }

    /// Adds partial sums of a block's layer to the residual stream, and normalizes it for what follows: the second norm of the
    /// same block, or the first one of block `next`, or if there is no such block the one before the pooling head.
    fn residual_norm(&mut self, sum: Option<(usize, &LinearLayout, usize)>, next: Option<usize>) {
        let Tower { sizes, shape, layout, patches, head, .. } = self.tower;
        let TowerSizes { hidden_size, blocks, eps, .. } = *sizes;
        let (block, layer, parts) = sum.unwrap_or((0, &layout.out, 0));
        let norm = match next {
            None => Some((block, &layout.norm2)),
            Some(next) if next < blocks => Some((next, &layout.norm1)),
            // The pooling head takes all rows.
            Some(_) if patches.is_none() => None,
            Some(_) => head.as_ref().map(|head| (self.tower.head_buffer(), &head.norm)),
        };
        let wgsl = shader::residual_norm(hidden_size, shape.hidden.stored, parts, norm.map(|_| Norm { eps }));
        let mut bindings = Bindings::of(X);
        if parts > 0 {
            bindings.whole(2, Buffer::Activation(PARTIALS));
            bindings.weights(3, layer.bias, block);
        }
        if let Some((block, norm)) = norm {
            bindings.weights(4, norm.weight, block);
            bindings.weights(5, norm.bias, block);
            bindings.whole(6, Buffer::Activation(NORMED));
        }
        self.add("residual_norm", wgsl, bindings, [Count::Rows(1), Count::Fixed(1), Count::Fixed(1)]);
    }

    fn add(&mut self, label: &str, wgsl: String, Bindings(bindings): Bindings, workgroups: [Count; 3]) {
        let found = self.pipelines.iter().position(|pipeline| pipeline.wgsl == wgsl);
        let pipeline = found.unwrap_or_else(|| {
            let index = self.pipelines.len();
            let mut label = String::new() + self.tower.name + " " + label + " ";
            push_decimal(&mut label, index as u64);
            self.pipelines.push(Pipeline { label, wgsl });
            index
        });
        self.dispatches.push(Dispatch { pipeline, bindings, workgroups });
    }
}

/// What a dispatch binds. Functions that are called take less of a page's module than arrays.
struct Bindings(Vec<Binding>);

impl Bindings {
    /// Begins with the activation that is read, binding 1.
    fn of(input: usize) -> Bindings {
        let mut bindings = Bindings(Vec::new());
        bindings.whole(1, Buffer::Activation(input));
        bindings
    }

    #[inline(never)]
    fn whole(&mut self, binding: u32, buffer: Buffer) {
        self.0.push(Binding { binding, buffer, offset: 0, size: None });
    }

    #[inline(never)]
    fn weights(&mut self, binding: u32, section: Section, block: usize) {
        self.0.push(section.bind(binding, block));
    }

    /// A layer's weights, bindings 2 and 3.
    #[inline(never)]
    fn layer(&mut self, layer: &LinearLayout, block: usize) {
        self.weights(2, layer.weight, block);
        if let Some(scales) = layer.scales {
            self.weights(3, scales, block);
        }
    }
}
