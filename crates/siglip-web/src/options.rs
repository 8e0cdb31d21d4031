//! The options of a load, as `worker.js` passes them.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use siglip::weights::{OnnxDtype, OnnxDtypes};
use siglip::{LoadOptions, Precision, Resolution, Shard, Towers};

use crate::fetch::Timeouts;
use crate::integrity;
use crate::store::{Manifest, Notice};

/// Options of a load.
#[derive(Deserialize, Clone)]
#[serde(rename_all = "camelCase")]
pub struct Options {
    /// How matrices are stored in memory.
    #[serde(deserialize_with = "precision")]
    pub precision: Precision,
    /// Which towers are needed.
    #[serde(deserialize_with = "towers")]
    pub towers: Towers,
    /// Side of the images of a model of fixed resolution, in pixels.
    #[serde(default, deserialize_with = "image_size")]
    image_size: Option<usize>,
    /// Most patches of an image of NaFlex.
    #[serde(default, deserialize_with = "max_patches")]
    max_patches: Option<usize>,
    /// Whether this is the text tower of a model that is in use without it.
    #[serde(default)]
    pub later: bool,
    /// Whether the image tower comes first where both are wanted, and the text tower is left to a later load.
    #[serde(default, rename = "ready", deserialize_with = "image_first")]
    pub image_first: bool,
    /// Whether the model is cached for the next visit.
    pub cache: bool,
    /// Workers that share the model.
    pub workers: usize,
    /// Whether a GPU runs the blocks.
    #[serde(default)]
    pub gpu: bool,
    /// Sent with every request; never stored.
    pub headers: BTreeMap<String, String>,
    /// The sha256 that the caller demands of a file, by its name; in lower case.
    #[serde(deserialize_with = "hashes")]
    pub sha256: BTreeMap<String, String>,
    /// Which ONNX files are loaded, where there are such; by the names of transformers.js.
    #[serde(default)]
    pub onnx: OnnxChoice,
    stall_timeout: u32,
    retry_delay: u32,
}

/// Which of a folder's files are loaded.
#[derive(Deserialize, Default, Clone)]
#[serde(rename_all = "camelCase")]
pub struct OnnxChoice {
    /// The image tower's dtype.
    #[serde(default, deserialize_with = "dtype")]
    vision: OnnxDtype,
    /// The text tower's dtype.
    #[serde(default, deserialize_with = "dtype")]
    text: OnnxDtype,
    /// Whether they are looked for before a model.safetensors.
    #[serde(default)]
    pub first: bool,
    /// Where a `model.safetensors` with the model's scale and bias may be, beside the folder itself.
    #[serde(default)]
    pub original: Option<String>,
}

impl OnnxChoice {
    /// The dtypes.
    pub fn dtypes(&self) -> OnnxDtypes {
        OnnxDtypes { vision: self.vision, text: self.text }
    }
}

impl Options {
    /// What worker `index` loads, of these towers.
    pub fn load(&self, towers: Towers, index: usize) -> Result<LoadOptions, siglip::Error> {
        let shard = if self.gpu { Shard::BLOCKS_ELSEWHERE } else { Shard::new(index, self.workers)? };
        Ok(LoadOptions { precision: self.precision, towers, shard, resolution: self.resolution() })
    }

    /// At which resolution images are seen.
    pub fn resolution(&self) -> Resolution {
        Resolution { image_size: self.image_size, max_patches: self.max_patches }
    }

    /// What is worth knowing about the choice of files.
    pub fn notice(&self) -> Option<Notice> {
        let message = "In 4 bits the text tower differs much from the original (cosine 0.94). Take \"q8\" for text_model.";
        self.onnx.text.is_4_bits().then(|| Notice { code: "text-4-bits", message: message.into() })
    }

    /// How long to wait for the server.
    pub fn timeouts(&self) -> Timeouts {
        Timeouts { stall: self.stall_timeout, retry: self.retry_delay }
    }

    /// Identifies the model in the cache.
    pub fn manifest(&self, model: &str) -> Manifest {
        let (precision, towers) = (self.precision.name().into(), self.towers.name().into());
        let OnnxDtypes { vision, text } = self.onnx.dtypes();
        // The choice counts where there is one: the same folder may have safetensors and ONNX files.
        let onnx = self.onnx.first.then(|| format!("{}/{}", vision.name(), text.name()));
        Manifest { model: model.into(), precision, towers, onnx }
    }
}

fn precision<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Precision, D::Error> {
    let name = String::deserialize(deserializer)?;
    let unknown =
        || D::Error::custom(format!("precision {name:?} is none of \"q8\", \"q8-exact\" and \"f32\""));
    // No browser multiplies bfloat16.
    Precision::from_name(&name).filter(|precision| *precision != Precision::Bf16).ok_or_else(unknown)
}

fn towers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Towers, D::Error> {
    let name = String::deserialize(deserializer)?;
    let unknown = || D::Error::custom(format!("towers {name:?} is none of \"image\", \"text\" and \"both\""));
    Towers::from_name(&name).ok_or_else(unknown)
}

fn image_size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<usize>, D::Error> {
    whole_number(deserializer, "imageSize is a whole number of pixels")
}

fn max_patches<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<usize>, D::Error> {
    whole_number(deserializer, "maxPatches is a whole number")
}

fn whole_number<'de, D: Deserializer<'de>>(
    deserializer: D,
    expected: &str,
) -> Result<Option<usize>, D::Error> {
    let wrong = |found: &str| D::Error::custom(format!("{expected}, not {found}"));
    match Option::<f64>::deserialize(deserializer).map_err(|error| wrong(&error.to_string()))? {
        Some(number) if number >= 1.0 && number <= f64::from(u32::MAX) && number.fract() == 0.0 => {
            Ok(Some(number as usize))
        }
        Some(number) => Err(wrong(&number.to_string())),
        None => Ok(None),
    }
}

fn image_first<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    match Option::<String>::deserialize(deserializer)?.as_deref() {
        Some("image") => Ok(true),
        Some("both") | None => Ok(false),
        Some(other) => Err(D::Error::custom(format!("ready {other:?} is none of \"image\" and \"both\""))),
    }
}

fn dtype<'de, D: Deserializer<'de>>(deserializer: D) -> Result<OnnxDtype, D::Error> {
    let name = String::deserialize(deserializer)?;
    OnnxDtype::from_name(&name).ok_or_else(|| {
        let names = OnnxDtype::ALL.map(|dtype| format!("{:?}", dtype.name())).join(", ");
        D::Error::custom(format!("dtype {name:?} is none of {names}"))
    })
}

fn hashes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    let given = BTreeMap::<String, String>::deserialize(deserializer)?;
    let checked = given.into_iter().map(|(file, hash)| match integrity::parse(&hash) {
        Some(hash) => Ok((file, hash)),
        None => Err(D::Error::custom(format!(
            "sha256 of {file}: {hash:?} is no sha256; write 64 hexadecimal digits"
        ))),
    });
    checked.collect()
}
