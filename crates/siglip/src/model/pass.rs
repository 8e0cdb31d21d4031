//! A forward pass, one step at a time: whoever drives it can stop between two steps, or exchange what the workers of a
//! sharded model have to add up.

mod elsewhere;

use super::Model;
use super::all_reduce::PartialOutput;
use super::block::{Block, SubLayer};
use super::patches::Grid;
use super::residual::Residual;
use super::text::TextTower;
use super::vision::VisionTower;
use super::workspace::Workspace;
use crate::{Config, Error, PixelValues};

/// A pass through one tower, which [`Model::step`] advances.
#[derive(Debug)]
pub struct Pass {
    input: Input,
    next: Stage,
    /// Whether the output of `next` is complete but for an all-reduce. Never with one worker.
    awaits_all_reduce: bool,
    embeddings: Vec<f32>,
    /// Whether the embeddings are given an L2 norm of 1.
    normalize: bool,
}

/// What an image's pass returns of its patches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Pooling {
    /// The output of the attention pooling head, which is compared with texts. transformers calls it `pooler_output`.
    Head,
    /// The mean over the patches: what a fine-tuned classifier's last layer takes.
    Mean,
    /// No pooling: every patch by itself, [patches, hidden size], from the top left in rows. transformers calls it
    /// `last_hidden_state`.
    Patches,
    /// A vector per patch, as if the image had only the patches around it: the window is a square that ends where the image
    /// does. The pooling head pools each window, or in a fine-tuned classifier the mean does. With a side of 1 it is MaskCLIP
    /// (arXiv 2112.01071), with more TextRegion's masked pooling (arXiv 2505.23769).
    Windows {
        /// Patches along a side of the window; an even number takes one more. First come all windows of the first side, then
        /// those of the next.
        sides: &'static [usize],
    },
}

impl Pooling {
    /// That of the vector which a model scores. A fine-tuned classifier's last layer takes the mean, as it is; all others have
    /// an L2 norm of 1.
    pub fn scored(config: &Config) -> Pooling {
        if config.classifier.is_some() { Pooling::Mean } else { Pooling::Head }
    }
}

#[derive(Debug)]
enum Input {
    /// One image, or several of the same grid.
    Images {
        images: Vec<Vec<f32>>,
        grid: Grid,
        pooling: Pooling,
    },
    Texts {
        input_ids: Vec<u32>,
        texts: usize,
    },
}

/// What a step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// x = the input's embeddings + position embeddings.
    Embed,
    /// One of the two residual updates of a block.
    SubLayer(SubLayer),
    /// The tower's head makes embeddings of x.
    Pool,
}

/// What the caller of [`Model::step`] has to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Call it again.
    Next,
    /// Only if several workers share the model. Pass every worker's [`Model::contribution`] to all workers, each of
    /// which adds all of them with [`Model::add_contribution`]; then call it again.
    AllReduce,
    /// Only if something else runs the blocks. Give it [`Model::patches`] and [`Model::positions`], or of texts
    /// [`Model::hidden_states`], and pass its results to [`Model::set_hidden_states`] or [`Model::set_embeddings`]; then call it
    /// again.
    Blocks,
    /// The embeddings are complete.
    Done,
}

impl Pass {
    fn new(input: Input, normalize: bool) -> Pass {
        Pass { input, next: Stage::Embed, awaits_all_reduce: false, embeddings: Vec::new(), normalize }
    }

    /// What the next step does.
    pub(crate) fn next(&self) -> Stage {
        self.next
    }

    /// The images or texts that it embeds.
    pub fn sequences(&self) -> usize {
        match &self.input {
            Input::Images { images, .. } => images.len(),
            Input::Texts { texts, .. } => *texts,
        }
    }

    /// Rows and columns of the patches of an image's pass.
    pub fn patch_grid(&self) -> Option<(usize, usize)> {
        match self.input {
            Input::Images { grid: Grid { rows, columns, .. }, .. } => Some((rows, columns)),
            Input::Texts { .. } => None,
        }
    }

    /// Whether it ends with the tower's head, and not with patches or windows of them.
    pub fn ends_with_head(&self) -> bool {
        matches!(self.input, Input::Images { pooling: Pooling::Head, .. } | Input::Texts { .. })
    }

    /// Goes back to where the pass began: what ran its blocks failed, and another model of the same configuration is to take it.
    pub fn restart(&mut self) {
        (self.next, self.awaits_all_reduce) = (Stage::Embed, false);
        self.embeddings.clear();
    }

    /// The embeddings, [images or texts, embedding size], each of L2 norm 1 unless the pass was begun without; empty on every
    /// worker but the first.
    pub fn into_embeddings(self) -> Vec<f32> {
        self.embeddings
    }
}

impl Model {
    /// Begins an image's pass to what the model scores: an embedding of L2 norm 1, or in a fine-tuned classifier the mean
    /// over the patches as it is.
    ///
    /// # Errors
    /// [`Error::BadInput`] for an image of a size that this model does not take: it takes image_size squared, or with
    /// NaFlex any whole number of patches. Also without the image tower.
    pub fn begin_image(&self, image: PixelValues) -> Result<Pass, Error> {
        self.begin_image_for(image, Pooling::scored(&self.config), self.config.classifier.is_none())
    }

    /// The rows and columns of the patches that an image is cut into.
    ///
    /// # Errors
    /// As [`Model::begin_image`].
    pub fn patch_grid(&self, image: &PixelValues) -> Result<(usize, usize), Error> {
        let Grid { rows, columns, .. } = self.grid(image)?;
        Ok((rows, columns))
    }

    pub(crate) fn grid(&self, PixelValues { values, height }: &PixelValues) -> Result<Grid, Error> {
        self.vision()?.grid(values.len(), *height).ok_or_else(|| {
            let vision = &self.config.vision_config;
            let (found, patch_size, image_size) = (values.len(), vision.patch_size, vision.image_size);
            let expected = match vision.keeps_aspect() {
                true => format!("whole patches of {patch_size} x {patch_size}"),
                false => format!("{}", vision.num_channels * image_size.pow(2)),
            };
            Error::BadInput(format!(
                "{found} pixel values of height {height}, where this model takes {expected}"
            ))
        })
    }

    /// Begins an image's pass to other vectors. `normalize` gives each an L2 norm of 1.
    ///
    /// # Errors
    /// As [`Model::begin_image`]; [`Error::BadInput`] for the pooling head of a classifier, which has none.
    pub fn begin_image_for(
        &self,
        image: PixelValues,
        pooling: Pooling,
        normalize: bool,
    ) -> Result<Pass, Error> {
        if pooling == Pooling::Head && self.config.classifier.is_some() {
            let reason =
                "a fine-tuned classifier does not use its pooling head; take the mean over the patches";
            return Err(Error::BadInput(reason.into()));
        }
        let grid = self.grid(&image)?;
        Ok(Pass::new(Input::Images { images: vec![image.values], grid, pooling }, normalize))
    }

    /// Begins one pass of several images to what [`Model::begin_image`] makes of each: [images, embedding size].
    ///
    /// # Errors
    /// As [`Model::begin_image`]; [`Error::BadInput`] without an image, and for images that are not of the same size.
    pub fn begin_images(&self, images: Vec<PixelValues>) -> Result<Pass, Error> {
        let mut images = images.into_iter();
        let first = images.next().ok_or_else(|| Error::BadInput("a pass takes at least one image".into()))?;
        let mut pass = self.begin_image(first)?;
        for image in images {
            self.add_image(&mut pass, image)?;
        }
        Ok(pass)
    }

    /// Adds an image to a pass that has begun with one, and has not been advanced.
    ///
    /// # Errors
    /// As [`Model::begin_image`]; [`Error::BadInput`] for an image that is not of the same size as the first.
    pub fn add_image(&self, pass: &mut Pass, image: PixelValues) -> Result<(), Error> {
        let found = self.grid(&image)?;
        match &mut pass.input {
            Input::Images { images, grid, .. } if *grid == found => {
                images.push(image.values);
                Ok(())
            }
            _ => Err(Error::BadInput("the images of a pass are not of the same size".into())),
        }
    }

    /// Begins a pass over one or more texts: `input_ids` is [texts, context length]. `normalize` gives each embedding an L2
    /// norm of 1.
    ///
    /// # Errors
    /// [`Error::BadInput`] for ids that are not whole texts or lie outside the vocabulary, and without the text tower.
    pub fn begin_texts(&self, input_ids: Vec<u32>, normalize: bool) -> Result<Pass, Error> {
        let text = self.text()?;
        let (length, vocab_size) = (text.length(), text.vocab_size());
        let texts = input_ids.len() / length;
        if texts == 0 || input_ids.len() != texts * length {
            return Err(Error::BadInput(format!("{} ids are not texts of {length}", input_ids.len())));
        }
        if let Some(id) = input_ids.iter().find(|&&id| id as usize >= vocab_size) {
            return Err(Error::BadInput(format!("id {id} is outside the vocabulary of {vocab_size}")));
        }
        Ok(Pass::new(Input::Texts { input_ids, texts }, normalize))
    }

    /// Advances a pass by one step. Drive one pass at a time: the model's buffers hold its state.
    pub fn step(&mut self, pass: &mut Pass) -> Step {
        if pass.awaits_all_reduce && self.finish_output(pass) {
            return Step::AllReduce;
        }
        // Something else may have run the head, too.
        let is_pooled = pass.next == Stage::Pool && !pass.embeddings.is_empty();
        let pooled = is_pooled.then(|| std::mem::take(&mut pass.embeddings));
        match pooled.or_else(|| self.forward(pass)) {
            Some(embeddings) => {
                pass.embeddings = embeddings;
                if pass.normalize {
                    let embeddings = pass.embeddings.chunks_exact_mut(self.config.embedding_size());
                    embeddings.for_each(siglip_kernels::l2_normalize);
                }
                Step::Done
            }
            None if self.workspace.residual.partial.is_some() => {
                pass.awaits_all_reduce = true;
                Step::AllReduce
            }
            None => {
                self.advance(pass);
                if self.shard.has_blocks_elsewhere() { Step::Blocks } else { Step::Next }
            }
        }
    }

    /// The work of one step. Returns the embeddings, not yet normalized, with the last.
    fn forward(&mut self, pass: &Pass) -> Option<Vec<f32>> {
        let workspace = &mut self.workspace;
        match (&pass.input, &self.vision, &self.text) {
            (Input::Images { images, grid, pooling }, Some(vision), _) => match pass.next {
                Stage::Embed => vision.embed(images, *grid, workspace),
                Stage::SubLayer(sub_layer) => vision.forward(sub_layer, images.len(), *grid, workspace),
                Stage::Pool => return Some(vision.pool(*pooling, images.len(), *grid, workspace)),
            },
            (Input::Texts { input_ids, texts }, _, Some(text)) => match pass.next {
                Stage::Embed => text.embed(input_ids, workspace),
                Stage::SubLayer(sub_layer) => text.forward(sub_layer, *texts, workspace),
                Stage::Pool => return Some(text.pool(*texts, workspace)),
            },
            // A pass begins only with its tower, so another model began this one.
            _ => return Some(Vec::new()),
        }
        None
    }

    fn advance(&self, pass: &mut Pass) {
        let next = match pass.next {
            Stage::Embed if self.shard.has_blocks_elsewhere() => None,
            Stage::Embed => Some(SubLayer::Attention(0)),
            Stage::SubLayer(sub_layer) => sub_layer.next(blocks(&self.vision, &self.text, &pass.input).len()),
            Stage::Pool => None,
        };
        pass.next = next.map_or(Stage::Pool, Stage::SubLayer);
    }

    /// Runs a pass to its end.
    ///
    /// # Errors
    /// [`Error::BadInput`] if something else runs the blocks.
    pub(crate) fn run(&mut self, mut pass: Pass) -> Result<Vec<f32>, Error> {
        loop {
            match self.step(&mut pass) {
                Step::Next => {}
                Step::AllReduce => self.add_own_contribution(),
                Step::Blocks => {
                    let reason = "the model was loaded without its blocks; drive its passes with Model::step";
                    return Err(Error::BadInput(reason.into()));
                }
                Step::Done => return Ok(pass.into_embeddings()),
            }
        }
    }
}

/// The blocks of the tower that an input goes through; none if that tower is not loaded.
fn blocks<'m>(vision: &'m Option<VisionTower>, text: &'m Option<TextTower>, input: &Input) -> &'m [Block] {
    match input {
        Input::Images { .. } => vision.as_ref().map_or(&[], VisionTower::blocks),
        Input::Texts { .. } => text.as_ref().map_or(&[], TextTower::blocks),
    }
}

/// Several workers that share the model.
impl Model {
    /// Continues a step after an all-reduce. Returns true if another must follow.
    fn finish_output(&mut self, pass: &mut Pass) -> bool {
        let blocks = blocks(&self.vision, &self.text, &pass.input);
        let Workspace { residual: Residual { x, partial }, wide, context, scratch, .. } = &mut self.workspace;
        let projection = match pass.next {
            Stage::SubLayer(sub_layer) => {
                let input = match sub_layer {
                    SubLayer::Attention(_) => context,
                    SubLayer::Mlp(_) => wide,
                };
                blocks.get(sub_layer.block()).map(|block| (block.output_projection(sub_layer), input))
            }
            // The embeddings are summands in f32, which are complete.
            Stage::Embed | Stage::Pool => None,
        };
        if let (Some((projection, input)), Some(partial)) = (projection, partial)
            && partial.finish_output(projection, input, x, scratch)
        {
            return true;
        }
        pass.awaits_all_reduce = false;
        self.advance(pass);
        false
    }

    /// This worker's contribution to the all-reduce, after [`Step::AllReduce`]: bits of numbers that only
    /// [`Model::add_contribution`] understands. Empty if this worker holds the whole model.
    pub fn contribution(&self) -> &[u32] {
        self.workspace.residual.partial.as_ref().map_or(&[], PartialOutput::contribution)
    }

    /// Adds another worker's contribution. Every worker adds all contributions in the order of the workers, with
    /// [`Model::add_own_contribution`] in its own turn: then the sums are equal to the last bit everywhere.
    pub fn add_contribution(&mut self, contribution: &[u32]) {
        let Residual { x, partial } = &mut self.workspace.residual;
        if let Some(partial) = partial {
            partial.reduce(contribution, x);
        }
    }

    /// Adds this worker's own contribution.
    pub fn add_own_contribution(&mut self) {
        let Residual { x, partial } = &mut self.workspace.residual;
        if let Some(partial) = partial {
            partial.reduce_own(x);
        }
    }
}
