use serde::Deserialize;
use serde_json::Value;

use super::resize::{Resample, resize};
use super::{RgbImage, naflex};
use crate::config::VisionConfig;
use crate::{Error, Resolution, json};

/// Longer sides are taken for a mistake; published models see 512 pixels at most.
const MAX_SIDE: u32 = 2048;
/// More patches are as well.
const MAX_NUM_PATCHES: u32 = 4096;
const MAX_PATCH_SIZE: u32 = 64;

/// Makes `pixel_values` of pictures: transformers' `SiglipImageProcessor` on Pillow, or `Siglip2ImageProcessor`.
#[derive(Debug, Clone, PartialEq)]
pub struct Processor {
    sides: Sides,
    /// None where pictures have to come with the right sides.
    resample: Option<Resample>,
    /// What each of the 256 levels becomes, by channel.
    values: [Vec<f32>; 3],
}

/// What pictures are resized to.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Sides {
    /// Squashed.
    Fixed { width: u32, height: u32 },
    /// Their aspect kept: whole patches, as many as there may be.
    Patches { patch_size: u32, max_num_patches: u32 },
}

/// `preprocessor_config.json`. Pictures are RGB by the time it applies, so `do_convert_rgb` does not matter.
#[derive(Debug, Default, Deserialize)]
struct PreprocessorConfig {
    image_processor_type: Option<String>,
    do_resize: Option<bool>,
    size: Option<Value>,
    resample: Option<i64>,
    do_center_crop: Option<bool>,
    do_pad: Option<bool>,
    do_rescale: Option<bool>,
    rescale_factor: Option<f64>,
    do_normalize: Option<bool>,
    image_mean: Option<Value>,
    image_std: Option<Value>,
    patch_size: Option<u32>,
    max_num_patches: Option<u32>,
}

/// The kind of a model of fixed resolution, and that of NaFlex.
const FIXED: &str = "SiglipImageProcessor";
const NAFLEX: &str = "Siglip2ImageProcessor";

impl Processor {
    /// A processor of published models: pictures squashed to `height * width`, values from -1 to 1.
    ///
    /// # Errors
    /// [`Error::UnsupportedModel`] for sides of 0 or above 2048.
    pub fn new(height: u32, width: u32, resample: Resample) -> Result<Processor, Error> {
        let config = PreprocessorConfig {
            size: Some(serde_json::json!({"height": height, "width": width})),
            resample: Some(resample as i64),
            ..PreprocessorConfig::default()
        };
        Processor::from_config(&config)
    }

    /// Reads `preprocessor_config.json`, or the `processor_config.json` of transformers 5, which has it inside. What it does not say is as in transformers' `SiglipImageProcessor`:
    /// 224 x 224, bicubic, 1/255, mean and deviation 0.5; or for NaFlex as in `Siglip2ImageProcessor`: 256 patches of
    /// 16 x 16, bilinear.
    ///
    /// # Errors
    /// [`Error::UnsupportedModel`] names the field that is malformed, unknown or of another kind of model.
    pub fn from_json(json: &str) -> Result<Processor, Error> {
        let mut stored: Value = json::parse("preprocessor_config.json", json)?;
        match stored.get_mut("image_processor").map(Value::take) {
            Some(nested) if nested.is_object() => {
                Processor::from_config(&json::parse("processor_config.json", &nested.to_string())?)
            }
            _ => Processor::from_config(&json::parse("preprocessor_config.json", json)?),
        }
    }

    fn from_config(config: &PreprocessorConfig) -> Result<Processor, Error> {
        for (field, value) in [("do_center_crop", config.do_center_crop), ("do_pad", config.do_pad)] {
            if value == Some(true) {
                return Err(Error::unsupported(field, "true; SigLIP shows its pictures whole"));
            }
        }
        let sides = config.sides()?;
        let default = match sides {
            Sides::Fixed { .. } => Resample::Bicubic,
            Sides::Patches { .. } => Resample::Bilinear,
        };
        let number = config.resample.unwrap_or(default as i64);
        let resample =
            Resample::ALL.into_iter().find(|&resample| resample as i64 == number).ok_or_else(|| {
                Error::unsupported("resample", format!("{number} is none of Pillow's filters, 0 to 5"))
            })?;
        Ok(Processor {
            sides,
            resample: config.do_resize.unwrap_or(true).then_some(resample),
            values: values(config)?,
        })
    }

    /// Whether what it makes of pictures is what the vision tower takes.
    pub(crate) fn check(&self, vision: &VisionConfig) -> Result<(), Error> {
        let expected = vision.image_size;
        match self.sides {
            Sides::Fixed { .. } | Sides::Patches { .. } if vision.keeps_aspect() != self.keeps_aspect() => {
                let (found, expected) = if self.keeps_aspect() { (NAFLEX, FIXED) } else { (FIXED, NAFLEX) };
                let reason =
                    format!("{found:?} in preprocessor_config.json, where config.json asks for {expected:?}");
                Err(Error::unsupported("image_processor_type", reason))
            }
            Sides::Fixed { height, width } if (height as usize, width as usize) != (expected, expected) => {
                let reason =
                    format!("{height} x {width} in preprocessor_config.json, {expected} in config.json");
                Err(Error::unsupported("vision_config.image_size", reason))
            }
            Sides::Patches { patch_size, .. } if patch_size as usize != vision.patch_size => {
                let reason =
                    format!("{patch_size} in preprocessor_config.json, {} in config.json", vision.patch_size);
                Err(Error::unsupported("vision_config.patch_size", reason))
            }
            _ => Ok(()),
        }
    }

    /// Changes to this resolution, which [`Config::at`](crate::Config::at) has checked.
    pub(crate) fn set_resolution(&mut self, resolution: Resolution) {
        match (&mut self.sides, resolution) {
            (Sides::Fixed { width, height }, Resolution { image_size: Some(side), .. }) => {
                (*width, *height) = (side as u32, side as u32);
            }
            (Sides::Patches { max_num_patches, .. }, Resolution { max_patches: Some(patches), .. }) => {
                *max_num_patches = patches as u32;
            }
            _ => {}
        }
    }

    /// The most patches of an image, if their number is not fixed.
    pub fn max_patches(&self) -> Option<usize> {
        match self.sides {
            Sides::Fixed { .. } => None,
            Sides::Patches { max_num_patches, .. } => Some(max_num_patches as usize),
        }
    }

    fn keeps_aspect(&self) -> bool {
        matches!(self.sides, Sides::Patches { .. })
    }

    /// Width and height at which the model sees a picture, in pixels.
    pub fn sides(&self, image: &RgbImage) -> (u32, u32) {
        match self.sides {
            Sides::Fixed { width, height } => (width, height),
            Sides::Patches { patch_size, max_num_patches } => {
                naflex::sides(image.width(), image.height(), patch_size, max_num_patches)
            }
        }
    }

    /// The picture as the model sees it, [3, height, width]: resized to its [sides](Processor::sides), rescaled,
    /// normalised.
    ///
    /// # Errors
    /// [`Error::BadImage`] where memory does not hold it, [`Error::BadInput`] where the configuration resizes nothing
    /// and the picture has other sides.
    pub fn pixel_values(&self, image: &RgbImage) -> Result<Vec<f32>, Error> {
        let (width, height) = self.sides(image);
        if (image.width(), image.height()) == (width, height) {
            return Ok(self.planes(image));
        }
        let Some(resample) = self.resample else {
            let reason = format!(
                "the picture has {} x {} pixels and the model's do_resize is false; give it {width} x {height}",
                image.width(),
                image.height(),
            );
            return Err(Error::BadInput(reason));
        };
        Ok(self.planes(&resize(image, width, height, resample)?))
    }

    fn planes(&self, image: &RgbImage) -> Vec<f32> {
        let (pixels, _) = image.data().as_chunks::<3>();
        let mut planes = Vec::with_capacity(image.data().len());
        for (channel, values) in self.values.iter().enumerate() {
            planes.extend(pixels.iter().map(|pixel| values[usize::from(pixel[channel])]));
        }
        planes
    }
}

impl PreprocessorConfig {
    fn sides(&self) -> Result<Sides, Error> {
        let says_patches = self.patch_size.is_some() || self.max_num_patches.is_some();
        match &self.image_processor_type {
            // Exports for torchvision add "Fast" to the name.
            Some(kind) if kind.starts_with(NAFLEX) => self.patches(),
            Some(kind) if kind.starts_with(FIXED) => self.fixed(),
            Some(kind) => {
                let reason = format!("{kind:?} is neither {FIXED:?} nor {NAFLEX:?}, which run here");
                Err(Error::unsupported("image_processor_type", reason))
            }
            None if says_patches => self.patches(),
            None => self.fixed(),
        }
    }

    fn fixed(&self) -> Result<Sides, Error> {
        let (height, width) = self.size.as_ref().map_or(Ok((224, 224)), size)?;
        Ok(Sides::Fixed { width, height })
    }

    fn patches(&self) -> Result<Sides, Error> {
        let (patch_size, max_num_patches) =
            (self.patch_size.unwrap_or(16), self.max_num_patches.unwrap_or(256));
        let bounds = [
            ("patch_size", patch_size, MAX_PATCH_SIZE),
            ("max_num_patches", max_num_patches, MAX_NUM_PATCHES),
        ];
        match bounds.into_iter().find(|(_, value, most)| !(1..=*most).contains(value)) {
            Some((field, value, most)) => {
                Err(Error::unsupported(field, format!("{value} is not in 1..={most}")))
            }
            None => Ok(Sides::Patches { patch_size, max_num_patches }),
        }
    }
}

/// Height and width: `{"height": h, "width": w}`, or the side of a square.
fn size(size: &Value) -> Result<(u32, u32), Error> {
    let side = |field: &str, value: &Value| match value.as_u64().and_then(|side| u32::try_from(side).ok()) {
        Some(side @ 1..=MAX_SIDE) => Ok(side),
        _ => {
            Err(Error::unsupported(field, format!("{value} is not a number of pixels from 1 to {MAX_SIDE}")))
        }
    };
    match (size.get("height"), size.get("width")) {
        (Some(height), Some(width)) => Ok((side("size.height", height)?, side("size.width", width)?)),
        _ if size.is_number() => side("size", size).map(|side| (side, side)),
        _ => Err(Error::unsupported("size", format!("{size} does not give height and width"))),
    }
}

/// What each level becomes, rounded to f32 where the reference rounds: rescaled in f64, normalised in f32.
fn values(config: &PreprocessorConfig) -> Result<[Vec<f32>; 3], Error> {
    let factor = config.rescale_factor.unwrap_or(1.0 / 255.0);
    if !(factor.is_finite() && factor > 0.0) {
        return Err(Error::unsupported("rescale_factor", format!("{factor} is not a positive number")));
    }
    let mean = per_channel("image_mean", config.image_mean.as_ref())?;
    let std = per_channel("image_std", config.image_std.as_ref())?;
    if std.iter().any(|&std| std <= 0.0) {
        return Err(Error::unsupported("image_std", format!("{std:?} has a deviation that is not positive")));
    }
    let rescale = config.do_rescale.unwrap_or(true);
    let normalize = config.do_normalize.unwrap_or(true);
    let table = |channel: usize| {
        let rescaled = (0..=255u8).map(|level| match rescale {
            true => (f64::from(level) * factor) as f32,
            false => f32::from(level),
        });
        let normalized = |value: f32| if normalize { (value - mean[channel]) / std[channel] } else { value };
        rescaled.map(normalized).collect()
    };
    Ok([table(0), table(1), table(2)])
}

/// Three numbers, or one for all channels; 0.5 where nothing is said.
fn per_channel(field: &str, value: Option<&Value>) -> Result<[f32; 3], Error> {
    let number =
        |value: &Value| value.as_f64().map(|number| number as f32).filter(|number| number.is_finite());
    let numbers = match value {
        None => Some([0.5; 3]),
        Some(Value::Array(values)) => match &values[..] {
            [r, g, b] => number(r).zip(number(g)).zip(number(b)).map(|((r, g), b)| [r, g, b]),
            _ => None,
        },
        Some(value) => number(value).map(|number| [number; 3]),
    };
    numbers.ok_or_else(|| {
        let value = value.unwrap_or(&Value::Null);
        Error::unsupported(
            field,
            format!("{value} is neither a number nor three numbers, one a colour channel"),
        )
    })
}
