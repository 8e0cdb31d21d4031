//! The vision tower's part of `config.json`.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::blocks::{BlockConfig, GELU_TANH, blocks_of, check_blocks, in_range};
use crate::Error;

/// Longer sides of an image are taken for a mistake.
pub(super) const MAX_IMAGE_SIZE: usize = 2048;
/// The same of a square image's patches along one side: they bound the memory of a pass.
pub(super) const MAX_PATCHES_PER_SIDE: usize = 64;

/// The vision tower's configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct VisionConfig {
    /// Width of the residual stream and of the embedding.
    pub hidden_size: usize,
    /// Width of the MLP's hidden layer.
    pub intermediate_size: usize,
    /// Transformer blocks.
    pub num_hidden_layers: usize,
    /// Attention heads per block.
    pub num_attention_heads: usize,
    /// Colour channels; 3.
    pub num_channels: usize,
    /// Side of the square image in pixels; with NaFlex, of the square with one position embedding per patch. It may be given
    /// as `[height, width]`, and so may that of a patch.
    #[serde(deserialize_with = "side_of_square")]
    pub image_size: usize,
    /// NaFlex: number of position embeddings, a square number. `None` for models with a fixed resolution.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_patches: Option<usize>,
    /// Side of a patch, in pixels.
    #[serde(deserialize_with = "side_of_square")]
    pub patch_size: usize,
    /// Added to the variance in every layer norm.
    pub layer_norm_eps: f32,
    /// The MLP's activation.
    pub hidden_act: String,
    /// Whether the tower has an attention pooling head.
    pub vision_use_head: bool,
    /// Side of the images that the position embeddings were trained for, where [`Config::at`](super::Config::at) has set
    /// another `image_size`.
    #[serde(skip)]
    pub trained_image_size: Option<usize>,
}

impl Default for VisionConfig {
    fn default() -> Self {
        VisionConfig {
            hidden_size: 768,
            intermediate_size: 3072,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            num_channels: 3,
            image_size: 224,
            num_patches: None,
            patch_size: 16,
            layer_norm_eps: 1e-6,
            hidden_act: GELU_TANH.into(),
            vision_use_head: true,
            trained_image_size: None,
        }
    }
}

impl VisionConfig {
    /// Whether images keep their aspect ratio (NaFlex) or are resized to a square.
    pub fn keeps_aspect(&self) -> bool {
        self.num_patches.is_some()
    }

    /// Patches along one side. Pixels that do not fill a patch are left out, as by the reference's convolution.
    pub fn patches_per_side(&self) -> usize {
        self.image_size / self.patch_size
    }

    /// Patches of a square image.
    pub fn num_patches(&self) -> usize {
        self.patches_per_side().pow(2)
    }

    /// Position embeddings along one side of the square that the checkpoint has them for.
    pub fn positions_per_side(&self) -> usize {
        self.trained_image_size.unwrap_or(self.image_size) / self.patch_size
    }

    /// Position embeddings in the checkpoint.
    pub fn num_positions(&self) -> usize {
        self.positions_per_side().pow(2)
    }

    /// Values per patch: channels x side x side.
    pub fn patch_values(&self) -> usize {
        self.num_channels * self.patch_size.pow(2)
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        check_blocks("vision_config", &self.blocks(), &self.hidden_act)?;
        in_range("vision_config.num_channels", self.num_channels, 3..=3)?;
        in_range("vision_config.patch_size", self.patch_size, 1..=64)?;
        in_range("vision_config.image_size", self.image_size, self.patch_size..=MAX_IMAGE_SIZE)?;
        let patches = "number of patches (image_size / patch_size, squared)";
        in_range(patches, self.num_patches(), 1..=MAX_PATCHES_PER_SIDE.pow(2))?;
        match self.num_patches {
            Some(num_patches) if num_patches != self.num_patches() => {
                let reason = format!("{num_patches} positions are not a square number");
                Err(Error::unsupported("vision_config.num_patches", reason))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn blocks(&self) -> BlockConfig {
        blocks_of!(self)
    }
}

/// A side, or the height and width of a square: transformers 5 writes either.
fn side_of_square<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "the side of a square, or its height and width")]
    enum Side {
        Both(usize),
        Each([usize; 2]),
    }
    match Side::deserialize(deserializer)? {
        Side::Both(side) => Ok(side),
        Side::Each([height, width]) if height == width => Ok(height),
        Side::Each([height, width]) => {
            Err(D::Error::custom(format!("[{height}, {width}] is no square, which runs here")))
        }
    }
}
