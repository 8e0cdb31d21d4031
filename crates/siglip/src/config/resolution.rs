//! Another resolution than the checkpoint's own.

use super::vision::{MAX_IMAGE_SIZE, MAX_PATCHES_PER_SIDE, VisionConfig};
use crate::{Error, Resolution};

/// Most patches of an image that NaFlex was trained for.
const MAX_NAFLEX_PATCHES: usize = 1024;

impl VisionConfig {
    /// Changes to this resolution.
    pub(super) fn set_resolution(&mut self, resolution: Resolution) -> Result<(), Error> {
        let Resolution { image_size, max_patches } = resolution;
        match (image_size, max_patches) {
            (Some(_), _) if self.keeps_aspect() => Err(Error::BadInput(
                "this model (NaFlex) keeps the aspect of its images, so it has no image size; give a greatest number of \
                 patches"
                    .into(),
            )),
            (_, Some(_)) if !self.keeps_aspect() => Err(Error::BadInput(
                "this model's images are squares of a fixed number of patches; give an image size in pixels".into(),
            )),
            (_, Some(patches)) if !(1..=MAX_NAFLEX_PATCHES).contains(&patches) => Err(Error::BadInput(format!(
                "{patches} patches of an image; take a number from 1 to {MAX_NAFLEX_PATCHES}"
            ))),
            (Some(side), _) => self.set_image_size(side),
            _ => Ok(()),
        }
    }

    fn set_image_size(&mut self, side: usize) -> Result<(), Error> {
        let trained = self.trained_image_size.unwrap_or(self.image_size);
        // It need not be a multiple: 384 pixels are 27 patches of 14, and a rest.
        if side == trained {
            (self.image_size, self.trained_image_size) = (trained, None);
            return Ok(());
        }
        let patch = self.patch_size;
        let most = MAX_IMAGE_SIZE.min(MAX_PATCHES_PER_SIDE * patch);
        if side > most {
            return Err(Error::BadInput(format!("an image size of {side} pixels; at most {most} run here")));
        }
        if side == 0 || !side.is_multiple_of(patch) {
            let below = side / patch * patch;
            let near = if below == 0 { patch.to_string() } else { format!("{below} or {}", below + patch) };
            return Err(Error::BadInput(format!(
                "an image size of {side} pixels is no multiple of this model's patches of {patch}; take {near}"
            )));
        }
        (self.image_size, self.trained_image_size) = (side, Some(trained));
        Ok(())
    }
}
