use serde::Deserialize;
use serde_json::Value;

use super::RgbImage;
use super::resize::{Resample, resize};
use crate::{Error, json};

/// Longer sides are taken for a mistake; published models see 512 pixels at most.
const MAX_SIDE: u32 = 2048;

/// Makes `pixel_values` of pictures: transformers' `SiglipImageProcessor` on Pillow.
#[derive(Debug, Clone, PartialEq)]
pub struct Processor {
    height: u32,
    width: u32,
    /// None where pictures have to come with the right sides.
    resample: Option<Resample>,
    /// What each of the 256 levels becomes, by channel.
    values: [Vec<f32>; 3],
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
}

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

    /// Reads `preprocessor_config.json`. What it does not say is as in transformers' `SiglipImageProcessor`:
    /// 224 x 224, bicubic, 1/255, mean and deviation 0.5.
    ///
    /// # Errors
    /// [`Error::UnsupportedModel`] names the field that is malformed, unknown or of another kind of model.
    pub fn from_json(json: &str) -> Result<Processor, Error> {
        Processor::from_config(&json::parse("preprocessor_config.json", json)?)
    }

    fn from_config(config: &PreprocessorConfig) -> Result<Processor, Error> {
        if let Some(kind) = &config.image_processor_type
            && !kind.starts_with("SiglipImageProcessor")
        {
            let reason = format!("{kind:?} is not \"SiglipImageProcessor\", the only one that runs here");
            return Err(Error::unsupported("image_processor_type", reason));
        }
        for (field, value) in [("do_center_crop", config.do_center_crop), ("do_pad", config.do_pad)] {
            if value == Some(true) {
                return Err(Error::unsupported(field, "true; SigLIP squashes its pictures"));
            }
        }
        let (height, width) = config.size.as_ref().map_or(Ok((224, 224)), size)?;
        let number = config.resample.unwrap_or(Resample::Bicubic as i64);
        let resample =
            Resample::ALL.into_iter().find(|&resample| resample as i64 == number).ok_or_else(|| {
                Error::unsupported("resample", format!("{number} is none of Pillow's filters, 0 to 5"))
            })?;
        Ok(Processor {
            height,
            width,
            resample: config.do_resize.unwrap_or(true).then_some(resample),
            values: values(config)?,
        })
    }

    /// Height of the picture that the model sees, in pixels.
    pub fn height(&self) -> usize {
        self.height as usize
    }

    /// Width of the picture that the model sees, in pixels.
    pub fn width(&self) -> usize {
        self.width as usize
    }

    /// The picture as the model sees it, [3, height, width]: squashed to its sides, rescaled, normalised.
    ///
    /// # Errors
    /// [`Error::BadImage`] where memory does not hold it, [`Error::BadInput`] where the configuration resizes nothing
    /// and the picture has other sides.
    pub fn pixel_values(&self, image: &RgbImage) -> Result<Vec<f32>, Error> {
        let sides = (self.width, self.height);
        if (image.width(), image.height()) == sides {
            return Ok(self.planes(image));
        }
        let Some(resample) = self.resample else {
            let reason = format!(
                "the picture has {} x {} pixels and the model's do_resize is false; give it {} x {}",
                image.width(),
                image.height(),
                self.width,
                self.height
            );
            return Err(Error::BadInput(reason));
        };
        Ok(self.planes(&resize(image, self.width, self.height, resample)?))
    }

    fn planes(&self, image: &RgbImage) -> Vec<f32> {
        let mut planes = Vec::with_capacity(image.data().len());
        for (channel, values) in self.values.iter().enumerate() {
            planes.extend(
                image.data().iter().skip(channel).step_by(3).map(|&level| values[usize::from(level)]),
            );
        }
        planes
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
