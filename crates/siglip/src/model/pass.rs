//! A forward pass in steps of half a block, so that whoever drives it can stop between two, or exchange what the
//! workers of a sharded model have to add up.

use super::patches::Grid;
use super::text::TextTower;
use super::vision::VisionTower;
use super::workspace::Workspace;
use super::{Model, Shard};
use crate::Error;

/// A pass through one tower that [`Model::step`] drives.
#[derive(Debug)]
pub struct Pass {
    input: Input,
    /// Steps taken.
    taken: usize,
    embeddings: Vec<f32>,
}

#[derive(Debug)]
enum Input {
    Image { pixel_values: Vec<f32>, grid: Grid },
    Texts { input_ids: Vec<u32>, texts: usize },
}

/// What a step leaves to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Take the next.
    Next,
    /// Add up [`Model::partial`] over all shards with [`Model::add_partial`], then take the next.
    Exchange,
    /// The embeddings are there.
    Done,
}

impl Pass {
    /// The embeddings, one after another, each of L2 norm 1; empty with any but the first shard.
    pub fn into_embeddings(self) -> Vec<f32> {
        self.embeddings
    }
}

impl Model {
    /// Begins an image's pass.
    ///
    /// # Errors
    /// As [`Model::begin_image_of_height`].
    pub fn begin_image(&self, pixel_values: Vec<f32>) -> Result<Pass, Error> {
        self.begin_image_of_height(pixel_values, self.config.vision_config.image_size)
    }

    /// Begins the pass of an image of `height` lines, for a model that keeps the aspect of pictures (NaFlex).
    ///
    /// # Errors
    /// [`Error::BadInput`] unless `pixel_values` is [3, height, width] with sides that this model takes: whole
    /// patches, or image_size where that is fixed; and without the image tower.
    pub fn begin_image_of_height(&self, pixel_values: Vec<f32>, height: usize) -> Result<Pass, Error> {
        let Some(grid) = self.vision()?.grid(pixel_values.len(), height) else {
            let vision = &self.config.vision_config;
            let (found, patch_size, image_size) = (pixel_values.len(), vision.patch_size, vision.image_size);
            let belong = match vision.keeps_aspect() {
                true => format!("whole patches of {patch_size} x {patch_size}"),
                false => format!("{}", vision.num_channels * image_size.pow(2)),
            };
            return Err(Error::BadInput(format!(
                "{found} pixel values in lines of {height} where {belong} belong"
            )));
        };
        Ok(Pass::new(Input::Image { pixel_values, grid }))
    }

    /// Begins a pass of one or more texts: `input_ids` is [texts, context length].
    ///
    /// # Errors
    /// [`Error::BadInput`] for a rest that is no whole text, an id outside the vocabulary, and without the text tower.
    pub fn begin_texts(&self, input_ids: Vec<u32>) -> Result<Pass, Error> {
        let text = self.text()?;
        let (length, vocab_size) = (text.length(), text.vocab_size());
        let texts = input_ids.len() / length;
        if texts == 0 || input_ids.len() != texts * length {
            return Err(Error::BadInput(format!("{} ids are not texts of {length}", input_ids.len())));
        }
        if let Some(id) = input_ids.iter().find(|&&id| id as usize >= vocab_size) {
            return Err(Error::BadInput(format!("id {id} is outside the vocabulary of {vocab_size}")));
        }
        Ok(Pass::new(Input::Texts { input_ids, texts }))
    }

    /// Takes a pass one step on. One pass at a time: the model's buffers hold its state.
    pub fn step(&mut self, pass: &mut Pass) -> Step {
        let (taken, workspace) = (pass.taken, &mut self.workspace);
        pass.taken += 1;
        let embeddings = match (&pass.input, &self.vision, &self.text) {
            (Input::Image { pixel_values, grid }, Some(vision), _) => {
                vision.step(taken, pixel_values, *grid, workspace)
            }
            (Input::Texts { input_ids, texts }, _, Some(text)) => {
                text.step(taken, input_ids, *texts, workspace)
            }
            // No pass begins without its tower: this one was begun with another model.
            _ => Some(Vec::new()),
        };
        if let Some(embeddings) = embeddings {
            pass.embeddings = embeddings;
            pass.embeddings
                .chunks_exact_mut(self.config.embedding_size())
                .for_each(siglip_kernels::l2_normalise);
            return Step::Done;
        }
        if self.shard().is_whole() { Step::Next } else { Step::Exchange }
    }

    /// This shard's part of a sum, after [`Step::Exchange`].
    pub fn partial(&self) -> &[f32] {
        &self.workspace.residual.partial
    }

    /// Adds one shard's part. Every shard adds all parts, its own among them, in the order of their indices:
    /// so the sums are equal to the last bit everywhere.
    pub fn add_partial(&mut self, partial: &[f32]) {
        siglip_kernels::add_assign(&mut self.workspace.residual.x[..partial.len()], partial);
    }

    /// Adds this shard's own part, in its place among the others'.
    pub fn add_own_partial(&mut self) {
        let residual = &mut self.workspace.residual;
        siglip_kernels::add_assign(&mut residual.x[..residual.partial.len()], &residual.partial);
    }

    /// Which part of the model this is.
    pub fn shard(&self) -> Shard {
        self.workspace.residual.shard
    }

    /// The embedding of one image, of L2 norm 1, from pixel values [3, image_size, image_size].
    ///
    /// # Errors
    /// As [`Model::begin_image`].
    pub fn image_embeds(&mut self, pixel_values: Vec<f32>) -> Result<Vec<f32>, Error> {
        let pass = self.begin_image(pixel_values)?;
        Ok(self.run(pass))
    }

    /// The embeddings of texts, one after another, each of L2 norm 1, from `input_ids` [texts, context length].
    ///
    /// # Errors
    /// As [`Model::begin_texts`].
    pub fn text_embeds(&mut self, input_ids: Vec<u32>) -> Result<Vec<f32>, Error> {
        let pass = self.begin_texts(input_ids)?;
        Ok(self.run(pass))
    }

    pub(crate) fn run(&mut self, mut pass: Pass) -> Vec<f32> {
        loop {
            match self.step(&mut pass) {
                Step::Next => {}
                Step::Exchange => self.add_own_partial(),
                Step::Done => return pass.into_embeddings(),
            }
        }
    }
}

impl VisionTower {
    /// Takes the step that follows `taken` others; the embedding with the last.
    fn step(
        &self,
        taken: usize,
        pixel_values: &[f32],
        grid: Grid,
        workspace: &mut Workspace,
    ) -> Option<Vec<f32>> {
        let patches = grid.patches();
        match taken {
            0 => self.embed(pixel_values, grid, workspace),
            last if last == 2 * self.layers() + 1 => return Some(self.pool(patches, workspace)),
            odd if odd % 2 == 1 => self.attend(odd / 2, patches, workspace),
            even => self.transform(even / 2 - 1, patches, workspace),
        }
        None
    }
}

impl TextTower {
    /// Takes the step that follows `taken` others; the embeddings with the last.
    fn step(
        &self,
        taken: usize,
        input_ids: &[u32],
        texts: usize,
        workspace: &mut Workspace,
    ) -> Option<Vec<f32>> {
        match taken {
            0 => self.embed(input_ids, workspace),
            last if last == 2 * self.layers() + 1 => return Some(self.pool(texts, workspace)),
            odd if odd % 2 == 1 => self.attend(odd / 2, texts, workspace),
            even => self.transform(even / 2 - 1, texts, workspace),
        }
        None
    }
}

impl Pass {
    fn new(input: Input) -> Pass {
        Pass { input, taken: 0, embeddings: Vec::new() }
    }
}
