//! The image tower: patch and position embeddings, blocks, attention pooling head.

use std::ops::Range;

use super::block::{self, Block, SubLayer};
use super::buffer::sized;
use super::destination::{Destination, whole_values};
use super::layers::{LayerNorm, Linear};
use super::pass::Pooling;
use super::patches::{Grid, interpolate_positions, resample_positions};
use super::pooling_head::PoolingHead;
use super::sequences::{OutputRows, Sequences};
use super::workspace::Workspace;
use crate::config::VisionConfig;
use crate::{Precision, Shard};

#[derive(Debug)]
pub(crate) struct VisionTower {
    config: VisionConfig,
    patch_embedding: Linear,
    /// Whether something else embeds the patches, before it runs the blocks.
    embeds_elsewhere: bool,
    /// The columns of the patch embedding that this worker holds.
    patch_outputs: Range<usize>,
    position_embedding: Vec<f32>,
    /// All, or the first one alone if something else runs them.
    blocks: Vec<Block>,
    /// Of the matrices.
    precision: Precision,
    /// Only the first worker has it and the pooling head.
    post_layernorm: Option<LayerNorm>,
    /// A fine-tuned classifier has none.
    head: Option<PoolingHead>,
}

impl VisionTower {
    pub fn new(config: &VisionConfig, has_head: bool, precision: Precision, shard: Shard) -> Self {
        let blocks = config.blocks();
        let patch_outputs = shard.range(config.hidden_size);
        // In f32 always: an error here would reach every later layer, and this product is 1 % of the work.
        let patch_embedding = Linear::new(Precision::F32, config.patch_values(), patch_outputs.len());
        VisionTower {
            patch_embedding,
            patch_outputs,
            embeds_elsewhere: shard.has_blocks_elsewhere(),
            position_embedding: vec![0.0; config.num_positions() * config.hidden_size],
            blocks: (0..shard.blocks(blocks.num_hidden_layers))
                .map(|_| Block::new(&blocks, precision.into(), shard))
                .collect(),
            post_layernorm: shard
                .is_first()
                .then(|| LayerNorm::new(blocks.hidden_size, blocks.layer_norm_eps)),
            head: (has_head && shard.is_first()).then(|| PoolingHead::new(&blocks, precision)),
            precision,
            config: config.clone(),
        }
    }

    /// The place of one of its tensors, by the name after `vision_model.`.
    pub fn destination(&mut self, name: &str) -> Option<Destination<'_>> {
        if let Some((layer, name)) =
            name.strip_prefix("encoder.layers.").and_then(|rest| rest.split_once('.'))
        {
            let layer: usize = layer.parse().ok()?;
            return match self.blocks.get_mut(layer) {
                Some(block) => block.destination(name),
                None => (layer < self.config.num_hidden_layers)
                    .then(|| Destination::Elsewhere(block::stored_precision(name, self.precision))),
            };
        }
        if let Some(kind) = name.strip_prefix("embeddings.patch_embedding.") {
            let columns = 0..self.config.patch_values();
            return self.patch_embedding.destination(kind, 0, self.patch_outputs.clone(), columns);
        }
        if name == "embeddings.position_embedding.weight" {
            return Some(whole_values(&mut self.position_embedding));
        }
        if let Some(kind) = name.strip_prefix("post_layernorm.") {
            return match &mut self.post_layernorm {
                Some(norm) => norm.destination(kind),
                None => Some(Destination::Elsewhere(Precision::F32)),
            };
        }
        match &mut self.head {
            Some(head) => head.destination(name),
            None => Some(Destination::Elsewhere(Precision::F32)),
        }
    }

    /// Call once every tensor has arrived.
    pub fn finish(&mut self) {
        if self.config.trained_image_size.is_some() {
            let (side, target) = (self.config.positions_per_side(), self.config.patches_per_side());
            self.position_embedding = interpolate_positions(&self.position_embedding, side, target);
        }
        if let Some(head) = &mut self.head {
            head.finish();
        }
    }

    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// How an image of this number of values and this height is cut into patches; `None` if this tower does not take it.
    pub fn grid(&self, values: usize, height: usize) -> Option<Grid> {
        Grid::new(&self.config, values, height)
    }

    /// The position embeddings of an image's patches, [patches, hidden_size].
    pub fn positions(&self, grid: Grid, positions: &mut Vec<f32>) {
        resample_positions(&self.position_embedding, self.config.patches_per_side(), grid, positions);
    }

    /// x = patch embedding of `images`, each [3, height, width], + position embedding. If something else embeds the patches, they
    /// lie in `workspace.normed` afterwards, and x is empty.
    pub fn embed(&self, images: &[Vec<f32>], grid: Grid, workspace: &mut Workspace) {
        let Workspace { residual, normed, .. } = workspace;
        let (rows, values) = (images.len() * grid.patches(), self.config.patch_values());
        let patches = sized(normed, rows * values);
        for (image, patches) in images.iter().zip(patches.chunks_exact_mut(grid.patches() * values)) {
            grid.gather(&self.config, image, patches);
        }
        residual.x.clear();
        if self.embeds_elsewhere {
            return;
        }
        self.positions(grid, &mut residual.x);
        let of_one = residual.x.len();
        for _ in 1..images.len() {
            residual.x.extend_from_within(..of_one);
        }
        self.add_patches(rows, workspace);
    }

    /// Adds the embeddings of the patches in `workspace.normed`, as [`Grid::gather`] makes them, to x.
    pub fn add_patches(&self, rows: usize, workspace: &mut Workspace) {
        let Workspace { residual, normed, wide, scratch, .. } = workspace;
        let patches = &normed[..rows * self.config.patch_values()];
        let own = self.patch_outputs.len();
        let embedded = sized(wide, rows * own);
        self.patch_embedding.forward(patches, rows, embedded, scratch);
        let rows = residual.embedding_target().chunks_exact_mut(self.config.hidden_size);
        for (row, embedded) in rows.zip(embedded.chunks_exact(own.max(1))) {
            siglip_kernels::add_assign(&mut row[self.patch_outputs.clone()], embedded);
        }
    }

    /// Runs one sub-layer over all patches.
    pub fn forward(&self, sub_layer: SubLayer, images: usize, grid: Grid, workspace: &mut Workspace) {
        let sequences = Sequences { count: images, length: grid.patches() };
        self.blocks[sub_layer.block()].forward(sub_layer, sequences, OutputRows::All, workspace);
    }

    /// What the pass returns of the patches, not yet normalized; empty on every worker but the first. Windows are those of a single
    /// image.
    pub fn pool(&self, pooling: Pooling, images: usize, grid: Grid, workspace: &mut Workspace) -> Vec<f32> {
        let Some(norm) = &self.post_layernorm else { return Vec::new() };
        let hidden = self.config.hidden_size;
        let patches = norm.forward(&workspace.residual.x, &mut workspace.normed);
        match (pooling, &self.head) {
            (Pooling::Head, Some(head)) => head.forward(images, grid.patches(), workspace),
            // `Model::begin_image_for` refuses to begin such a pass.
            (Pooling::Head, None) => Vec::new(),
            (Pooling::Mean, _) => patches
                .chunks_exact(grid.patches() * hidden)
                .flat_map(|patches| mean(patches.chunks_exact(hidden)))
                .collect(),
            (Pooling::Patches, _) => patches.to_vec(),
            (Pooling::Windows { sides }, Some(head)) => {
                let windows: Vec<_> = sides.iter().flat_map(|&side| grid.windows(side)).collect();
                head.forward_windows(&windows, workspace)
            }
            (Pooling::Windows { sides }, None) => sides
                .iter()
                .flat_map(|&side| grid.windows(side))
                .flat_map(|window| mean(window.iter().map(|patch| &patches[patch * hidden..][..hidden])))
                .collect(),
        }
    }

    /// The pooling head; a fine-tuned classifier has none.
    pub fn head(&self) -> Option<&PoolingHead> {
        self.head.as_ref()
    }

    /// The pooling head's embeddings, not yet normalized, of images whose residual stream is x.
    pub fn pool_by_head(&self, images: usize, patches: usize, workspace: &mut Workspace) -> Vec<f32> {
        let (Some(norm), Some(head)) = (&self.post_layernorm, &self.head) else { return Vec::new() };
        norm.forward(&workspace.residual.x, &mut workspace.normed);
        head.forward(images, patches, workspace)
    }

    pub fn bytes(&self) -> usize {
        self.patch_embedding.bytes()
            + size_of_val(&self.position_embedding[..])
            + self.blocks.iter().map(Block::bytes).sum::<usize>()
            + self.post_layernorm.as_ref().map_or(0, LayerNorm::bytes)
            + self.head.as_ref().map_or(0, PoolingHead::bytes)
    }
}

/// The mean of one or more vectors.
fn mean<'p>(mut vectors: impl ExactSizeIterator<Item = &'p [f32]>) -> Vec<f32> {
    let count = vectors.len() as f32;
    let mut mean = vectors.next().unwrap_or_default().to_vec();
    vectors.for_each(|vector| siglip_kernels::add_assign(&mut mean, vector));
    mean.iter_mut().for_each(|value| *value /= count);
    mean
}
