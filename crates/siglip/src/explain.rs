//! What in an image speaks for a label: a number for each patch.

use std::ops::Range;

use serde::Serialize;

use crate::image::RgbImage;
use crate::model::Pooling;
use crate::text::Template;
use crate::{Engine, Error, PixelValues, ScoreFilter, Siglip};

/// How a map is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// The label's logit for a window around each patch, as [`Pooling::Windows`] has it: what the patches there say by
    /// themselves. One pass. Of several sides the mean is taken.
    Windows {
        /// Patches along a side of the window.
        sides: &'static [usize],
    },
    /// How much the label's logit falls when a square around the patch is hidden: what the model needs to see. Some fifty
    /// passes.
    Occlusion,
}

impl Method {
    /// The fast one.
    pub const FAST: Method = Method::Windows { sides: WINDOW_SIDES };
}

/// The sides of windows that do best in `docs/explain.md`: as well as occlusion where patches are hidden in the map's order, and
/// in the best agreement with it.
pub const WINDOW_SIDES: &[usize] = &[1, 3];

/// A map over the patches of an image, from the top left in rows. It spans the whole image, whatever its shape.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// Patches in a row.
    pub width: usize,
    /// Rows of patches.
    pub height: usize,
    /// What each patch says for the label, in units of the logit: [height, width].
    pub values: Vec<f32>,
}

impl<E: Engine> Siglip<E> {
    /// A map of what in an image speaks for a label: one of the model's own, if it has labels of its own.
    ///
    /// # Errors
    /// As [`Siglip::classify`]; [`Error::BadInput`] for a label that the model cannot read.
    pub fn explain(
        &mut self,
        image: &RgbImage,
        label: &str,
        template: &Template,
        method: Method,
    ) -> Result<Explanation, Error> {
        let pixel_values = self.pixel_values(image)?;
        let (height, width) = self.patch_grid(&pixel_values);
        let values = match method {
            Method::Windows { sides } => {
                let normalize = self.classifier().is_none();
                let windows =
                    self.engine.image_vectors(pixel_values, Pooling::Windows { sides }, normalize)?;
                let windows = windows.chunks_exact(self.engine.config().embedding_size());
                let logits = windows
                    .map(|window| self.logit(window, label, template))
                    .collect::<Result<Vec<f32>, Error>>()?;
                mean_map(&logits, width * height)
            }
            Method::Occlusion => {
                let occlusion = Occlusion::new(height, width);
                let mut logit_of = |image| {
                    let image_embeds = self.engine.image_embeds(vec![image])?;
                    self.logit(&image_embeds, label, template)
                };
                let hidden = (0..occlusion.squares().len())
                    .map(|square| logit_of(occlusion.hide(&pixel_values, square)))
                    .collect::<Result<Vec<f32>, Error>>()?;
                occlusion.values(logit_of(pixel_values)?, &hidden)
            }
        };
        Ok(Explanation { width, height, values })
    }

    /// The logit of a label for an image's embedding.
    fn logit(&mut self, image_embeds: &[f32], label: &str, template: &Template) -> Result<f32, Error> {
        let labels = [label.to_string()];
        let filter = ScoreFilter::default();
        let scores = match (self.classifier(), self.uses_label_sets(Some(&labels), None)) {
            (Some(_), _) => self.own_scores(image_embeds, None, None, filter)?,
            (None, true) => self.own_scores(image_embeds, Some(&labels), None, filter)?,
            (None, false) => self.scores(image_embeds, &labels, template, filter)?,
        };
        let unknown = || Error::BadInput(format!("{label:?} is none of the classifier's classes"));
        let score = scores.iter().find(|score| score.label == label).ok_or_else(unknown)?;
        match &score.unknown[..] {
            [] => Ok(score.logit),
            words => Err(Error::BadInput(format!("the model cannot read {words:?} of {label:?}"))),
        }
    }

    /// Rows and columns of the patches of an image.
    fn patch_grid(&self, PixelValues { values, height }: &PixelValues) -> (usize, usize) {
        let vision = &self.engine.config().vision_config;
        let width = values.len() / vision.num_channels / height;
        (height / vision.patch_size, width / vision.patch_size)
    }
}

/// Squares of an image that are hidden one after the other. They overlap by half, and some fifty cover an image.
#[derive(Debug, Clone, Copy)]
pub struct Occlusion {
    rows: usize,
    columns: usize,
    /// Patches along a side of a square.
    side: usize,
}

/// The rows and columns of the patches in a square.
type Square = (Range<usize>, Range<usize>);

impl Occlusion {
    /// For an image of so many rows and columns of patches.
    pub fn new(rows: usize, columns: usize) -> Occlusion {
        let side = mean_side(rows, columns).div_ceil(4).min(rows).min(columns).max(1);
        Occlusion { rows, columns, side }
    }

    /// The squares, from the top left in rows.
    pub fn squares(&self) -> Vec<Square> {
        let along = |patches: usize| {
            let last = patches - self.side;
            let stride = (self.side / 2).max(1);
            let starts: Vec<usize> = (0..last).step_by(stride).chain([last]).collect();
            starts.into_iter().map(|start| start..start + self.side)
        };
        along(self.rows)
            .flat_map(|rows| along(self.columns).map(move |columns| (rows.clone(), columns)))
            .collect()
    }

    /// The image without the square of this number: pixel values of 0, the middle of their range, take its place.
    pub fn hide(&self, image: &PixelValues, square: usize) -> PixelValues {
        let mut hidden = image.clone();
        let Some((rows, columns)) = self.squares().into_iter().nth(square) else { return hidden };
        let patch_size = image.height / self.rows;
        let width = self.columns * patch_size;
        for (line, row) in hidden.values.chunks_exact_mut(width).enumerate() {
            if rows.contains(&(line % image.height / patch_size)) {
                row[columns.start * patch_size..columns.end * patch_size].fill(0.0);
            }
        }
        hidden
    }

    /// By how much the logit falls on average when a square hides the patch: `whole` is the logit of the image, `hidden` those
    /// without each of the squares.
    pub fn values(&self, whole: f32, hidden: &[f32]) -> Vec<f32> {
        let (mut sums, mut counts) =
            (vec![0.0; self.rows * self.columns], vec![0.0; self.rows * self.columns]);
        for ((rows, columns), hidden) in self.squares().into_iter().zip(hidden) {
            for patch in rows.flat_map(|row| columns.clone().map(move |column| row * self.columns + column)) {
                sums[patch] += whole - hidden;
                counts[patch] += 1.0;
            }
        }
        sums.iter().zip(counts).map(|(sum, count)| sum / count).collect()
    }
}

/// The mean of the maps of `patches` numbers that follow each other.
pub fn mean_map(maps: &[f32], patches: usize) -> Vec<f32> {
    let count = maps.len() / patches;
    let of_patch = |patch| maps.iter().skip(patch).step_by(patches).sum::<f32>() / count as f32;
    (0..patches).map(of_patch).collect()
}

/// The side of a square of as many patches.
fn mean_side(rows: usize, columns: usize) -> usize {
    ((rows * columns) as f32).sqrt().round() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn squares_cover_every_patch_of_any_grid() {
        for (rows, columns) in
            [(1, 1), (2, 3), (8, 8), (14, 14), (16, 16), (27, 27), (4, 60), (61, 3), (1, 9)]
        {
            let occlusion = Occlusion::new(rows, columns);
            let squares = occlusion.squares();
            assert!(squares.len() <= 130, "{rows} x {columns}: {}", squares.len());
            let whole = occlusion.values(1.0, &vec![0.0; squares.len()]);
            assert_eq!(whole, vec![1.0; rows * columns]);
        }
    }

    #[test]
    fn a_hidden_square_has_the_middle_value_and_nothing_else_changes() {
        let (rows, columns, patch) = (5, 8, 3);
        let image = PixelValues::new(vec![0.7; 3 * rows * columns * patch * patch], rows * patch);
        let occlusion = Occlusion::new(rows, columns);
        for (at, (of_rows, of_columns)) in occlusion.squares().into_iter().enumerate() {
            let hidden = occlusion.hide(&image, at);
            for (place, &value) in hidden.values.iter().enumerate() {
                let (line, pixel) = (place / (columns * patch) % (rows * patch), place % (columns * patch));
                let is_hidden = of_rows.contains(&(line / patch)) && of_columns.contains(&(pixel / patch));
                assert_eq!(value, if is_hidden { 0.0 } else { 0.7 });
            }
        }
    }
}
