//! The names of ONNX files on the hub, which say how their weights are stored.

use crate::Towers;

/// How an ONNX stores its weights, by the names that transformers.js gives them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnnxDtype {
    /// Single precision.
    Fp32,
    /// Half precision.
    Fp16,
    /// 8 bits.
    #[default]
    Q8,
    /// 8 bits with signed levels.
    Int8,
    /// 8 bits with unsigned levels.
    Uint8,
    /// 4 bits; what is no matrix, in single precision.
    Q4,
    /// 4 bits; what is no matrix, in half precision.
    Q4f16,
    /// 4 bits by bitsandbytes' table.
    Bnb4,
}

impl OnnxDtype {
    /// All, the best for its size first.
    pub const ALL: [OnnxDtype; 8] = [
        OnnxDtype::Q8,
        OnnxDtype::Int8,
        OnnxDtype::Uint8,
        OnnxDtype::Fp16,
        OnnxDtype::Fp32,
        OnnxDtype::Q4f16,
        OnnxDtype::Q4,
        OnnxDtype::Bnb4,
    ];

    /// Its name, and what the file's name has for it.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            OnnxDtype::Fp32 => ("fp32", ""),
            OnnxDtype::Fp16 => ("fp16", "_fp16"),
            OnnxDtype::Q8 => ("q8", "_quantized"),
            OnnxDtype::Int8 => ("int8", "_int8"),
            OnnxDtype::Uint8 => ("uint8", "_uint8"),
            OnnxDtype::Q4 => ("q4", "_q4"),
            OnnxDtype::Q4f16 => ("q4f16", "_q4f16"),
            OnnxDtype::Bnb4 => ("bnb4", "_bnb4"),
        }
    }

    /// Its name in transformers.js.
    pub fn name(self) -> &'static str {
        self.names().0
    }

    /// The one of this name.
    pub fn from_name(name: &str) -> Option<OnnxDtype> {
        OnnxDtype::ALL.into_iter().find(|dtype| dtype.name() == name)
    }

    /// Whether matrices are stored in 4 bits, which the text tower bears badly.
    pub fn is_4_bits(self) -> bool {
        matches!(self, OnnxDtype::Q4 | OnnxDtype::Q4f16 | OnnxDtype::Bnb4)
    }
}

/// How the ONNX files of the two towers store their weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OnnxDtypes {
    /// The image tower's.
    pub vision: OnnxDtype,
    /// The text tower's.
    pub text: OnnxDtype,
}

impl OnnxDtypes {
    /// The same for both towers, but for 4 bits: then the text tower has 8. In 4 bits its embeddings are another model's,
    /// with a cosine of 0.94 to the exact ones.
    pub fn of(dtype: OnnxDtype) -> OnnxDtypes {
        OnnxDtypes { vision: dtype, text: if dtype.is_4_bits() { OnnxDtype::Q8 } else { dtype } }
    }

    /// The lists of files that have these towers, the best list first. A folder that has a list's first file has all of it.
    ///
    /// The file with both towers has the model's scale and bias too. The towers' own files have not.
    ///
    /// ```
    /// use siglip::{Towers, weights::{OnnxDtype, OnnxDtypes}};
    ///
    /// let lists = OnnxDtypes::of(OnnxDtype::Q8).files(Towers::Both);
    /// assert_eq!(lists[0], ["onnx/model_quantized.onnx"]);
    /// assert_eq!(lists[1], ["onnx/vision_model_quantized.onnx", "onnx/text_model_quantized.onnx"]);
    /// ```
    pub fn files(self, towers: Towers) -> Vec<Vec<String>> {
        let file = |what: &str, dtype: OnnxDtype| format!("onnx/{what}{}.onnx", dtype.names().1);
        let (vision, text) = (file("vision_model", self.vision), file("text_model", self.text));
        let whole = |dtype| vec![file("model", dtype)];
        match towers {
            Towers::Image => vec![vec![vision], whole(self.vision)],
            Towers::Text => vec![vec![text], whole(self.text)],
            Towers::Both if self.vision == self.text => vec![whole(self.vision), vec![vision, text]],
            Towers::Both => vec![vec![vision, text]],
        }
    }
}

/// Every list of files that have these towers, the best for its size first: a folder that has several is read from the
/// first of them.
pub fn onnx_candidates(towers: Towers) -> impl Iterator<Item = Vec<String>> {
    OnnxDtype::ALL.into_iter().flat_map(move |dtype| OnnxDtypes::of(dtype).files(towers))
}

/// The files that belong to the one at `path`: itself, or the two towers in order. `None` for another name than
/// [`OnnxDtypes::files`] gives.
pub fn onnx_files(path: &str) -> Option<Vec<String>> {
    let (folder, name) = path.rsplit_once('/').map_or(("", path), |(folder, name)| (folder, name));
    let place = |name: String| if folder.is_empty() { name } else { format!("{folder}/{name}") };
    let dtype = name.strip_suffix(".onnx")?;
    let suffix =
        ["vision_model", "text_model", "model"].into_iter().find_map(|what| dtype.strip_prefix(what))?;
    OnnxDtype::ALL.into_iter().find(|dtype| dtype.names().1 == suffix)?;
    Some(match name.starts_with("model") {
        true => vec![path.into()],
        false => ["vision_model", "text_model"].map(|what| place(format!("{what}{suffix}.onnx"))).into(),
    })
}
