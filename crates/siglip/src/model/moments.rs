//! How much each input of the image tower's matrices counts: the mean square of what it is multiplied with.

use std::collections::HashMap;

use super::Model;
use super::block::SubLayer;
use super::pass::{Pooling, Stage, Step};
use super::workspace::Workspace;
use crate::{Error, PixelValues};

/// The mean squares of the inputs of the image tower's matrices, over the patches of images. An importance matrix of llama.cpp
/// holds the same of a text model.
#[derive(Debug, Clone, Default)]
pub struct InputMoments {
    /// By the names of the matrices: sums of squares for each input, and the rows that were summed.
    sums: HashMap<String, (Vec<f64>, u64)>,
}

impl InputMoments {
    /// The mean square of each input, by the name of the matrix, such as `vision_model.encoder.layers.0.mlp.fc1.weight`.
    pub fn means(&self) -> HashMap<String, Vec<f32>> {
        let mean = |(sums, rows): &(Vec<f64>, u64)| -> Vec<f32> {
            sums.iter().map(|sum| (sum / *rows as f64) as f32).collect()
        };
        self.sums.iter().map(|(name, sums)| (name.clone(), mean(sums))).collect()
    }

    /// Adds rows of `width` inputs of the matrix `name`.
    fn add(&mut self, name: String, rows: &[f32], width: usize) {
        let (sums, count) = self.sums.entry(name).or_insert_with(|| (vec![0.0; width], 0));
        for row in rows.chunks_exact(width) {
            sums.iter_mut().zip(row).for_each(|(sum, &value)| *sum += f64::from(value).powi(2));
            *count += 1;
        }
    }

    /// Adds what a sub-layer has left in its buffers: `normed` is what its first matrices took, `context` or `wide` its last.
    fn add_sub_layer(
        &mut self,
        sub_layer: SubLayer,
        workspace: &Workspace,
        hidden: usize,
        intermediate: usize,
    ) {
        let block = format!("vision_model.encoder.layers.{}", sub_layer.block());
        let normed = &workspace.normed[..workspace.residual.x.len()];
        match sub_layer {
            SubLayer::Attention(_) => {
                for projection in ["q_proj", "k_proj", "v_proj"] {
                    self.add(format!("{block}.self_attn.{projection}.weight"), normed, hidden);
                }
                self.add(format!("{block}.self_attn.out_proj.weight"), &workspace.context, hidden);
            }
            SubLayer::Mlp(_) => {
                self.add(format!("{block}.mlp.fc1.weight"), normed, hidden);
                let input = &workspace.wide[..normed.len() / hidden * intermediate];
                self.add(format!("{block}.mlp.fc2.weight"), input, intermediate);
            }
        }
    }
}

impl Model {
    /// Runs an image through the image tower and adds what its matrices are multiplied with.
    ///
    /// # Errors
    /// As [`Model::begin_image`]; [`Error::BadInput`] for one worker's share of a model.
    pub fn add_input_moments(&mut self, image: PixelValues, moments: &mut InputMoments) -> Result<(), Error> {
        if !self.shard.is_whole() {
            return Err(Error::BadInput("only a whole model sees all inputs".into()));
        }
        let blocks = self.config.vision_config.blocks();
        let (hidden, intermediate) = (blocks.hidden_size, blocks.intermediate_size);
        let (grid, has_head) = (self.grid(&image)?, self.config.classifier.is_none());
        let mut pass = self.begin_image(image)?;
        loop {
            let stage = pass.next();
            if let (Stage::Pool, true, Some(vision)) = (stage, has_head, &self.vision) {
                let patches = vision.pool(Pooling::Patches, 1, grid, &mut self.workspace);
                moments.add("vision_model.head.attention.in_proj_weight".into(), &patches, hidden);
            }
            let step = self.step(&mut pass);
            match stage {
                Stage::Embed => {}
                Stage::SubLayer(sub_layer) => {
                    moments.add_sub_layer(sub_layer, &self.workspace, hidden, intermediate);
                }
                Stage::Pool if has_head => {
                    let Workspace { normed, wide, context, .. } = &self.workspace;
                    for (layer, inputs, width) in [
                        ("attention.out_proj", wide, hidden),
                        ("mlp.fc1", normed, hidden),
                        ("mlp.fc2", context, intermediate),
                    ] {
                        moments.add(format!("vision_model.head.{layer}.weight"), &inputs[..width], width);
                    }
                }
                Stage::Pool => {}
            }
            if step == Step::Done {
                return Ok(());
            }
        }
    }
}
