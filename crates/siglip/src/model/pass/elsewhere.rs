//! Blocks and heads that run elsewhere; see [`Shard::BLOCKS_ELSEWHERE`](crate::Shard::BLOCKS_ELSEWHERE).

use super::{Input, Model, Pass};
use crate::model::block::{Block, SubLayer};
use crate::model::buffer::sized;
use crate::model::pooling_head::PoolingHead;
use crate::model::sequences::{OutputRows, Sequences};
use crate::model::text::TextTower;
use crate::model::vision::VisionTower;
use crate::{Error, Towers};

impl Model {
    /// The residual stream, [rows, hidden_size]: after [`Step::Blocks`](crate::model::Step::Blocks) of a pass of texts the
    /// input of the first block.
    pub fn hidden_states(&self) -> &[f32] {
        &self.workspace.residual.x
    }

    /// After [`Step::Blocks`](crate::model::Step::Blocks) of a pass of images their patches, [rows, values of a patch]; of a
    /// text's pass none.
    pub fn patches(&self, pass: &Pass) -> &[f32] {
        match &pass.input {
            Input::Images { images, grid, .. } => {
                let values = images.len() * grid.patches() * self.config.vision_config.patch_values();
                self.workspace.normed.get(..values).unwrap_or_default()
            }
            Input::Texts { .. } => &[],
        }
    }

    /// The position embeddings, [patches, hidden_size], that each image's patch embeddings are added to. They depend on
    /// [`Pass::patch_grid`] alone. Of a text's pass none.
    pub fn positions(&self, pass: &Pass) -> Vec<f32> {
        let mut positions = Vec::new();
        if let (Input::Images { grid, .. }, Some(vision)) = (&pass.input, &self.vision) {
            vision.positions(*grid, &mut positions);
        }
        positions
    }

    /// Makes the last block's output, [rows, hidden_size], the residual stream.
    ///
    /// # Errors
    /// [`Error::BadInput`] unless it has as many values.
    pub fn set_hidden_states(&mut self, pass: &Pass, hidden_states: &[f32]) -> Result<(), Error> {
        let expected = match &pass.input {
            Input::Images { images, grid, .. } => {
                images.len() * grid.patches() * self.config.vision_config.hidden_size
            }
            Input::Texts { input_ids, .. } => input_ids.len() * self.config.text_config.hidden_size,
        };
        check_len(hidden_states.len(), expected)?;
        let residual = &mut self.workspace.residual;
        residual.x.clear();
        residual.x.extend_from_slice(hidden_states);
        if let (Input::Texts { texts, .. }, Some(text)) = (&pass.input, &self.text) {
            residual.drop_all_but_last_rows(Sequences { count: *texts, length: text.length() });
        }
        Ok(())
    }

    /// Ends a pass with embeddings that are not yet normalized, [images or texts, embedding size], if it
    /// [ends with the head](Pass::ends_with_head).
    ///
    /// # Errors
    /// [`Error::BadInput`] unless it does, and has as many values.
    pub fn set_embeddings(&self, pass: &mut Pass, embeddings: Vec<f32>) -> Result<(), Error> {
        let sequences = if pass.ends_with_head() { pass.sequences() } else { 0 };
        check_len(embeddings.len(), sequences * self.config.embedding_size())?;
        pass.embeddings = embeddings;
        Ok(())
    }

    /// For each head of the image tower's pooling head what patches are multiplied with for their scores: its query times its
    /// keys' weight, scaled, [heads, hidden_size]. None without such a head.
    pub fn pooling_queries(&self) -> &[f32] {
        let head = self.vision.as_ref().and_then(VisionTower::head);
        head.map_or(&[], PoolingHead::queries)
    }

    /// The embeddings that a tower's head makes of the last block's output, [rows, hidden_size] of `sequences` sequences, not yet
    /// normalized.
    ///
    /// # Errors
    /// [`Error::BadInput`] unless these are whole rows and sequences of a loaded tower.
    pub fn head(
        &mut self,
        tower: Towers,
        hidden_states: &[f32],
        sequences: usize,
    ) -> Result<Vec<f32>, Error> {
        let sequences = self.start_from(tower, hidden_states, sequences)?;
        let Model { vision, text, workspace, .. } = self;
        Ok(match (tower, vision, text) {
            (Towers::Text, _, Some(text)) => {
                workspace.residual.drop_all_but_last_rows(sequences);
                text.pool(sequences.count, workspace)
            }
            (_, Some(vision), _) => vision.pool_by_head(sequences.count, sequences.length, workspace),
            _ => return Err(Error::missing_tower(tower.name())),
        })
    }

    /// Makes `hidden_states` the residual stream. Returns the sequences that they are. Once in a page's engine, which would be
    /// larger with a copy in each caller.
    #[inline(never)]
    fn start_from(
        &mut self,
        tower: Towers,
        hidden_states: &[f32],
        sequences: usize,
    ) -> Result<Sequences, Error> {
        let width = match tower {
            Towers::Text => self.config.text_config.hidden_size,
            _ => self.config.vision_config.hidden_size,
        };
        let length = (hidden_states.len() / width / sequences.max(1)).max(1);
        check_len(hidden_states.len(), sequences * length * width)?;
        self.workspace.residual.x.clear();
        self.workspace.residual.x.extend_from_slice(hidden_states);
        Ok(Sequences { count: sequences, length })
    }

    /// Runs the first block of a tower over `sequences` sequences of `hidden_states` [rows, hidden_size], to which the embeddings
    /// of `patches` [rows, values of a patch] are added before, unless there are none.
    ///
    /// # Errors
    /// [`Error::BadInput`] unless these are whole rows and sequences of a loaded tower.
    pub fn first_block(
        &mut self,
        tower: Towers,
        hidden_states: &[f32],
        patches: &[f32],
        sequences: usize,
    ) -> Result<Vec<f32>, Error> {
        let sequences = self.start_from(tower, hidden_states, sequences)?;
        let blocks = match tower {
            Towers::Text => self.text.as_ref().map(TextTower::blocks),
            _ => self.vision.as_ref().map(VisionTower::blocks),
        };
        let block = blocks.and_then(<[Block]>::first).ok_or_else(|| Error::missing_tower(tower.name()))?;
        if let (Some(vision), false) = (&self.vision, patches.is_empty()) {
            let rows = sequences.count * sequences.length;
            check_len(patches.len(), rows * self.config.vision_config.patch_values())?;
            sized(&mut self.workspace.normed, patches.len()).copy_from_slice(patches);
            vision.add_patches(rows, &mut self.workspace);
        }
        for sub_layer in [SubLayer::Attention(0), SubLayer::Mlp(0)] {
            block.forward(sub_layer, sequences, OutputRows::All, &mut self.workspace);
        }
        Ok(self.workspace.residual.x.clone())
    }
}

/// Where none are expected, nothing is right. Not inlined for the same reason as [`Model::start_from`].
#[inline(never)]
fn check_len(found: usize, expected: usize) -> Result<(), Error> {
    if found == expected && expected > 0 {
        return Ok(());
    }
    Err(Error::BadInput(format!("{found} values in place of {expected}")))
}
