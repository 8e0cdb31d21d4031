//! A forward pass in steps of half a block, so that whoever drives it can stop between two, or exchange what the
//! workers of a sharded model have to add up.

use super::block;
use super::layers::Linear;
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
    /// Steps taken: the input, then two halves a block, then the pooling.
    taken: usize,
    /// Whether the last step waits for the others' parts.
    exchanging: bool,
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
    /// Give every shard all shards' [`Model::part`] with [`Model::add_part`], then take the next.
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
        if pass.exchanging && self.proceed(pass) {
            return Step::Exchange;
        }
        if let Some(embeddings) = self.half(pass) {
            pass.embeddings = embeddings;
            pass.embeddings
                .chunks_exact_mut(self.config.embedding_size())
                .for_each(siglip_kernels::l2_normalize);
            return Step::Done;
        }
        let Workspace { residual, inner, scratch, .. } = &mut self.workspace;
        let layer = last_layer(&self.vision, &self.text, pass);
        pass.exchanging = residual.offer(layer, inner, scratch);
        if pass.exchanging {
            return Step::Exchange;
        }
        pass.taken += 1;
        Step::Next
    }

    /// The step's own work: a tower's input, or half a block but for its last layer. The embeddings with the last.
    fn half(&mut self, pass: &Pass) -> Option<Vec<f32>> {
        let (taken, workspace) = (pass.taken, &mut self.workspace);
        match (&pass.input, &self.vision, &self.text) {
            (Input::Image { pixel_values, grid }, Some(vision), _) => {
                vision.step(taken, pixel_values, *grid, workspace)
            }
            (Input::Texts { input_ids, texts }, _, Some(text)) => {
                text.step(taken, input_ids, *texts, workspace)
            }
            // No pass begins without its tower: this one was begun with another model.
            _ => Some(Vec::new()),
        }
    }

    /// Ends a step after an exchange; whether another exchange is needed first.
    fn proceed(&mut self, pass: &mut Pass) -> bool {
        let Workspace { residual, inner, scratch, .. } = &mut self.workspace;
        pass.exchanging = residual.proceed(last_layer(&self.vision, &self.text, pass), inner, scratch);
        pass.taken += usize::from(!pass.exchanging);
        pass.exchanging
    }

    /// This shard's part of what is exchanged, after [`Step::Exchange`]: bits of numbers that only
    /// [`Model::add_part`] understands.
    pub fn part(&self) -> &[u32] {
        self.workspace.residual.part()
    }

    /// Adds one shard's part. Every shard adds all parts, its own among them, in the order of their indices:
    /// so the sums are equal to the last bit everywhere.
    pub fn add_part(&mut self, part: &[u32]) {
        self.workspace.residual.add_part(part);
    }

    /// Adds this shard's own part, in its place among the others'.
    pub fn add_own_part(&mut self) {
        self.workspace.residual.add_own_part();
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
                Step::Exchange => self.add_own_part(),
                Step::Done => return pass.into_embeddings(),
            }
        }
    }
}

/// The layer that ends the step a pass has come to; none ends a tower's input.
fn last_layer<'m>(
    vision: &'m Option<VisionTower>,
    text: &'m Option<TextTower>,
    pass: &Pass,
) -> Option<&'m Linear> {
    let half = pass.taken.checked_sub(1)?;
    let blocks = match pass.input {
        Input::Image { .. } => vision.as_ref()?.blocks(),
        Input::Texts { .. } => text.as_ref()?.blocks(),
    };
    Some(block::last_layer(blocks, half))
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
            last if last == 2 * self.blocks().len() + 1 => return Some(self.pool(patches, workspace)),
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
            last if last == 2 * self.blocks().len() + 1 => return Some(self.pool(texts, workspace)),
            odd if odd % 2 == 1 => self.attend(odd / 2, texts, workspace),
            even => self.transform(even / 2 - 1, texts, workspace),
        }
        None
    }
}

impl Pass {
    fn new(input: Input) -> Pass {
        Pass { input, taken: 0, exchanging: false, embeddings: Vec::new() }
    }
}
