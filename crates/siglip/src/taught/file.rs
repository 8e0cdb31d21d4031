//! Taught classes as JSON.

use serde::{Deserialize, Serialize};

use super::{
    ClassesError, Kind, LONGEST_NAME, MOST_CLASSES, MOST_VALUES, Probe, TaughtClass, TaughtClasses,
    check_names,
};
use crate::index::IndexModel;

const FORMAT: &str = "siglip-classes";
const VERSION: u32 = 1;
/// Bytes of the longest file.
const LONGEST_FILE: usize = 1 << 28;
/// Most folds, and most pictures of a class, that a file may tell of.
const MOST_COUNTED: usize = 1 << 30;

/// What tells whether the rest can be read.
#[derive(Deserialize)]
struct Head {
    format: String,
    version: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    format: String,
    version: u32,
    model: String,
    embedding_size: usize,
    /// Missing of a model without scores.
    #[serde(default)]
    logit_scale: Option<f32>,
    #[serde(default)]
    logit_bias: Option<f32>,
    kind: StoredKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    accuracy: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    folds: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    c: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    factor: Option<f64>,
    classes: Vec<StoredClass>,
    /// Base64 of little-endian f32, [classes, embedding size].
    weights: String,
    biases: Vec<f32>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum StoredKind {
    Means,
    Probe,
}

#[derive(Serialize, Deserialize)]
struct StoredClass {
    name: String,
    #[serde(default)]
    images: usize,
    #[serde(default)]
    not: usize,
    #[serde(default)]
    text: bool,
    #[serde(default)]
    mix: f32,
}

impl TaughtClasses {
    /// The classes as JSON.
    pub fn to_json(&self) -> String {
        let probe = match self.kind {
            Kind::Probe(probe) => Some(probe),
            Kind::Means => None,
        };
        let finite = |value: f32| value.is_finite().then_some(value);
        let of = |class: &TaughtClass| {
            let TaughtClass { name, images, not, text, mix } = class.clone();
            StoredClass { name, images, not, text, mix }
        };
        let bytes: Vec<u8> = self.weights.iter().flat_map(|value| value.to_le_bytes()).collect();
        let stored = Stored {
            format: FORMAT.into(),
            version: VERSION,
            model: self.model.name.clone(),
            embedding_size: self.model.embedding_size,
            logit_scale: finite(self.model.logit_scale),
            logit_bias: finite(self.model.logit_bias),
            kind: if probe.is_some() { StoredKind::Probe } else { StoredKind::Means },
            accuracy: probe.map(|probe| probe.accuracy),
            folds: probe.map(|probe| probe.folds),
            c: probe.map(|probe| probe.c),
            factor: probe.map(|probe| probe.factor),
            classes: self.classes.iter().map(of).collect(),
            weights: base64::encode(bytes),
            biases: self.biases.clone(),
        };
        // Nothing in it can fail: its keys are strings.
        serde_json::to_string(&stored).unwrap_or_default()
    }

    /// Reads and checks what [`TaughtClasses::to_json`] has written. [`TaughtClasses::check_model`] tells whether the classes
    /// are the model's.
    ///
    /// # Errors
    /// [`ClassesError::NotClasses`], [`ClassesError::Version`], [`ClassesError::Damaged`], [`ClassesError::BadClass`] and
    /// [`ClassesError::Count`].
    pub fn from_json(json: &str) -> Result<TaughtClasses, ClassesError> {
        if json.len() > LONGEST_FILE {
            return Err(damaged(format!("the file has more than {LONGEST_FILE} bytes")));
        }
        let json = json.trim_start_matches('\u{feff}');
        let head: Head = serde_json::from_str(json).map_err(|_| ClassesError::NotClasses)?;
        if head.format != FORMAT {
            return Err(ClassesError::NotClasses);
        }
        if head.version != VERSION {
            return Err(ClassesError::Version(head.version));
        }
        let stored: Stored = serde_json::from_str(json).map_err(|error| damaged(error.to_string()))?;
        stored.check()
    }
}

impl Stored {
    fn check(self) -> Result<TaughtClasses, ClassesError> {
        let size = self.embedding_size;
        let found = self.classes.len();
        if !(1..=MOST_CLASSES).contains(&found) {
            return Err(ClassesError::Count { found, needed: "a file has 1 to 4096" });
        }
        if !(1..=MOST_VALUES).contains(&size) {
            return Err(damaged(format!("embeddings of {size} values")));
        }
        if self.model.chars().count() > 4 * LONGEST_NAME {
            return Err(damaged("the model's name is too long".into()));
        }
        check_names(self.classes.iter().map(|class| class.name.as_str()))?;
        let is_odd = |class: &StoredClass| {
            class.images.max(class.not) >= MOST_COUNTED || !(0.0..=1.0).contains(&class.mix)
        };
        if let Some(class) = self.classes.iter().find(|class| is_odd(class)) {
            return Err(damaged(format!("the counts or the mix of {:?} are out of range", class.name)));
        }
        if self.biases.len() != found || self.biases.iter().any(|bias| !bias.is_finite()) {
            return Err(damaged(format!("there are not {found} biases that are finite numbers")));
        }
        let weights = decode(&self.weights, found * size).ok_or_else(|| {
            damaged(format!("the weights are not base64 of {found} x {size} finite numbers"))
        })?;
        let kind = match self.kind {
            StoredKind::Means => Kind::Means,
            StoredKind::Probe => {
                let accuracy = self.accuracy.filter(|share| (0.0..=1.0).contains(share));
                let (Some(accuracy), true) = (accuracy, found > 1) else {
                    return Err(damaged(
                        "a probe has two classes or more, and an accuracy from 0 to 1".into(),
                    ));
                };
                let folds = self.folds.filter(|folds| *folds < MOST_COUNTED).unwrap_or(0);
                let (c, factor) = (self.c.unwrap_or(1.0), self.factor.unwrap_or(1.0));
                Kind::Probe(Probe { accuracy, folds, c, factor })
            }
        };
        let of = |class: StoredClass| {
            let StoredClass { name, images, not, text, mix } = class;
            TaughtClass { name, images, not, text, mix }
        };
        let model = IndexModel {
            name: self.model,
            embedding_size: size,
            logit_scale: self.logit_scale.unwrap_or(f32::NAN),
            logit_bias: self.logit_bias.unwrap_or(f32::NAN),
        };
        let classes = self.classes.into_iter().map(of).collect();
        Ok(TaughtClasses { model, kind, classes, weights, biases: self.biases })
    }
}

/// So many finite numbers from base64. The text's length is checked first, so that nothing large is decoded in vain.
fn decode(text: &str, count: usize) -> Option<Vec<f32>> {
    let expected = count.checked_mul(size_of::<f32>())?;
    let fits = text.len() == expected.div_ceil(3) * 4;
    let bytes = fits.then(|| base64::decode(text).ok()).flatten()?;
    let numbers: Vec<f32> = bytes.as_chunks().0.iter().map(|&four| f32::from_le_bytes(four)).collect();
    (bytes.len() == expected && numbers.iter().all(|number| number.is_finite())).then_some(numbers)
}

fn damaged(reason: String) -> ClassesError {
    ClassesError::Damaged(reason)
}
