//! The vision tower: patch embedding, blocks, attention pooling head.

use std::ops::Range;

use siglip_kernels::{AttentionShape, Precision};

use super::Shard;
use super::block::{Block, Mlp, Rows, Wanted};
use super::layers::{Destination, LayerNorm, Linear, whole_values};
use super::patches::{Grid, stretch};
use super::workspace::{Workspace, sized};
use crate::config::{BlockConfig, VisionConfig};

#[derive(Debug)]
pub(crate) struct VisionTower {
    config: VisionConfig,
    patch_embedding: Linear,
    /// The columns of its output that this worker adds.
    patch_outputs: Range<usize>,
    position_embedding: Vec<f32>,
    blocks: Vec<Block>,
    /// Only with the first worker.
    head: Option<Head>,
}

impl VisionTower {
    pub fn new(config: &VisionConfig, precision: Precision, shard: Shard) -> Self {
        let blocks = config.blocks();
        let patch_outputs = shard.part(config.hidden_size);
        // Quantising the very first product would cost every later one its exactness, and it is 1 % of the work.
        let patch_embedding = Linear::new(Precision::F32, config.patch_values(), patch_outputs.len());
        VisionTower {
            patch_embedding,
            patch_outputs,
            position_embedding: vec![0.0; config.num_patches() * config.hidden_size],
            blocks: (0..blocks.num_hidden_layers).map(|_| Block::new(&blocks, precision, shard)).collect(),
            head: shard.is_first().then(|| Head::new(&blocks, precision)),
            config: config.clone(),
        }
    }

    /// The place of one of its tensors, by the name that follows `vision_model.`.
    pub fn destination(&mut self, name: &str) -> Option<Destination<'_>> {
        if let Some((layer, name)) =
            name.strip_prefix("encoder.layers.").and_then(|rest| rest.split_once('.'))
        {
            return self.blocks.get_mut(layer.parse::<usize>().ok()?)?.destination(name);
        }
        if let Some(kind) = name.strip_prefix("embeddings.patch_embedding.") {
            let columns = 0..self.config.patch_values();
            return self.patch_embedding.destination(kind, 0, self.patch_outputs.clone(), columns);
        }
        if name == "embeddings.position_embedding.weight" {
            return Some(whole_values(&mut self.position_embedding));
        }
        match &mut self.head {
            Some(head) => head.destination(name),
            None => Some(Destination::Nowhere),
        }
    }

    /// Called when every tensor has arrived.
    pub fn finish(&mut self) {
        if let Some(head) = &mut self.head {
            head.finish();
        }
    }

    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// How a picture of so many values in so many lines is cut; `None` where it is not one for this tower.
    pub fn grid(&self, values: usize, height: usize) -> Option<Grid> {
        Grid::new(&self.config, values, height)
    }

    /// x = patch embedding of `pixel_values` [3, height, width] + position embedding.
    pub fn embed(&self, pixel_values: &[f32], grid: Grid, workspace: &mut Workspace) {
        let Workspace { residual, normed, wide, scratch, .. } = workspace;
        let (values, own) = (self.config.patch_values(), self.patch_outputs.len());
        let patches = sized(normed, grid.patches() * values);
        grid.gather(&self.config, pixel_values, patches);
        let embedded = sized(wide, grid.patches() * own);
        self.patch_embedding.forward(patches, grid.patches(), embedded, scratch);
        residual.x.clear();
        stretch(&self.position_embedding, self.config.patches_per_side(), grid, &mut residual.x);
        let rows = residual.contribution().chunks_exact_mut(self.config.hidden_size);
        for (row, embedded) in rows.zip(embedded.chunks_exact(own.max(1))) {
            siglip_kernels::add_assign(&mut row[self.patch_outputs.clone()], embedded);
        }
    }

    pub fn attend(&self, layer: usize, patches: usize, workspace: &mut Workspace) {
        self.blocks[layer].attend(Rows { sequences: 1, length: patches }, Wanted::All, workspace);
    }

    pub fn transform(&self, layer: usize, patches: usize, workspace: &mut Workspace) {
        self.blocks[layer].transform(patches, workspace);
    }

    /// The picture's embedding, not yet normalised; empty with any but the first worker.
    pub fn pool(&self, patches: usize, workspace: &mut Workspace) -> Vec<f32> {
        match &self.head {
            Some(head) => head.forward(patches, workspace),
            None => Vec::new(),
        }
    }

    pub fn bytes(&self) -> usize {
        self.patch_embedding.bytes()
            + size_of_val(&self.position_embedding[..])
            + self.blocks.iter().map(Block::bytes).sum::<usize>()
            + self.head.as_ref().map_or(0, Head::bytes)
    }
}

/// The attention pooling head: one learned query, the probe, attends to all patches.
///
/// The query is the same for every picture, so two of its four products need not be made row by row:
/// q · (Wk x + bk) = (Wkᵀ q) · x + constant, where softmax drops the constant and Wkᵀ q is computed once at load;
/// and Σ p (Wv x + bv) = Wv (Σ p x) + bv, since the p of a head sum to one.
#[derive(Debug)]
struct Head {
    config: BlockConfig,
    /// As they arrive; emptied by `finish`.
    probe: Vec<f32>,
    in_proj_weight: Vec<f32>,
    in_proj_bias: Vec<f32>,
    post_layernorm: LayerNorm,
    /// Wkᵀ q / sqrt(head_dim) of every head: [heads, hidden_size].
    queries: Vec<f32>,
    /// Wv, a head's outputs each.
    values: Vec<Linear>,
    out_proj: Linear,
    layernorm: LayerNorm,
    mlp: Mlp,
}

impl Head {
    fn new(config: &BlockConfig, precision: Precision) -> Self {
        let (hidden, eps) = (config.hidden_size, config.layer_norm_eps);
        Head {
            probe: vec![0.0; hidden],
            in_proj_weight: vec![0.0; 3 * hidden * hidden],
            in_proj_bias: vec![0.0; 3 * hidden],
            post_layernorm: LayerNorm::new(hidden, eps),
            queries: Vec::new(),
            values: (0..config.num_attention_heads)
                .map(|_| Linear::new(precision, hidden, config.head_dim()))
                .collect(),
            out_proj: Linear::new(precision, hidden, hidden),
            layernorm: LayerNorm::new(hidden, eps),
            mlp: Mlp::new(config, precision, Shard::WHOLE),
            config: *config,
        }
    }

    fn destination(&mut self, name: &str) -> Option<Destination<'_>> {
        match name {
            "head.probe" => return Some(whole_values(&mut self.probe)),
            "head.attention.in_proj_weight" => return Some(whole_values(&mut self.in_proj_weight)),
            "head.attention.in_proj_bias" => return Some(whole_values(&mut self.in_proj_bias)),
            _ => {}
        }
        let (layer, kind) = name.rsplit_once('.')?;
        match layer {
            "post_layernorm" => self.post_layernorm.destination(kind),
            "head.attention.out_proj" => self.out_proj.whole(kind),
            "head.layernorm" => self.layernorm.destination(kind),
            _ => self.mlp.destination(layer.strip_prefix("head.mlp.")?, kind),
        }
    }

    fn finish(&mut self) {
        let (hidden, head_dim) = (self.config.hidden_size, self.config.head_dim());
        let (weight, bias) = (&self.in_proj_weight, &self.in_proj_bias);
        let scale = 1.0 / (head_dim as f32).sqrt();
        self.queries = vec![0.0; self.config.num_attention_heads * hidden];
        let heads = self.queries.chunks_exact_mut(hidden).zip(&mut self.values);
        for (head, (folded, value)) in heads.enumerate() {
            let units = head * head_dim..(head + 1) * head_dim;
            for unit in units.clone() {
                let query = bias[unit] + siglip_kernels::dot(&weight[unit * hidden..][..hidden], &self.probe);
                let key = &weight[(hidden + unit) * hidden..][..hidden];
                folded.iter_mut().zip(key).for_each(|(folded, key)| *folded += query * scale * key);
            }
            value.weight.pack(0, &weight[(2 * hidden + units.start) * hidden..][..head_dim * hidden]);
            value.bias.copy_from_slice(&bias[2 * hidden..][units]);
        }
        (self.probe, self.in_proj_weight, self.in_proj_bias) = (Vec::new(), Vec::new(), Vec::new());
    }

    fn forward(&self, rows: usize, workspace: &mut Workspace) -> Vec<f32> {
        let Workspace { residual, normed, wide, inner, scratch } = workspace;
        let BlockConfig { hidden_size, num_attention_heads: heads, .. } = self.config;
        let x = sized(normed, rows * hidden_size);
        self.post_layernorm.forward(&residual.x[..x.len()], x);

        let shape = AttentionShape {
            q_rows: heads,
            kv_rows: rows,
            heads: 1,
            head_dim: hidden_size,
            q_stride: hidden_size,
            kv_stride: hidden_size,
            scale: 1.0,
        };
        let pooled = inner.resize(heads, hidden_size);
        siglip_kernels::attention(&shape, &self.queries, x, x, pooled);
        let attended = sized(wide, hidden_size);
        let outputs = attended.chunks_exact_mut(self.config.head_dim());
        for ((value, pooled), out) in self.values.iter().zip(pooled.chunks_exact(hidden_size)).zip(outputs) {
            value.forward(pooled, 1, out, scratch);
        }

        let mut embedding = vec![0.0; hidden_size];
        self.out_proj.forward(attended, 1, &mut embedding, scratch);
        let normed = &mut x[..hidden_size];
        self.layernorm.forward(&embedding, normed);
        self.mlp.add_row(normed, wide, &mut embedding, scratch);
        embedding
    }

    fn bytes(&self) -> usize {
        size_of_val(&self.queries[..])
            + self.values.iter().map(Linear::bytes).sum::<usize>()
            + self.out_proj.bytes()
            + self.post_layernorm.bytes()
            + self.layernorm.bytes()
            + self.mlp.bytes()
    }
}
