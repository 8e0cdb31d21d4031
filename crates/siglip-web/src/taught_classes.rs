//! Classes taught by example, for scripts: worker/classes.js drives it.

use serde::Serialize;
use siglip::index::IndexModel;
use siglip::taught::{self, Examples, Kind, ProbeOptions, TaughtClass};
use wasm_bindgen::prelude::*;

use crate::error::Error;
use crate::{Engine, score_filter};

/// Classes, and the examples that the next ones are made of.
#[wasm_bindgen]
pub struct TaughtClasses {
    /// The model that is loaded.
    loaded: IndexModel,
    examples: Vec<Examples>,
    made: Option<taught::TaughtClasses>,
}

/// What scripts see of the classes.
#[derive(Serialize)]
struct Summary<'c> {
    model: &'c str,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    accuracy: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    folds: Option<usize>,
    classes: Vec<Listed<'c>>,
}

#[derive(Serialize)]
struct Listed<'c> {
    name: &'c str,
    images: usize,
    not: usize,
    text: bool,
    mix: f32,
}

#[wasm_bindgen]
impl Engine {
    /// Room for classes of this model. `name` is the model's, for people.
    pub fn taught_classes(&self, name: &str) -> Result<TaughtClasses, JsValue> {
        let loaded = self.siglip()?.index_model(name);
        Ok(TaughtClasses { loaded, examples: Vec::new(), made: None })
    }
}

#[wasm_bindgen]
impl TaughtClasses {
    /// Adds a class to those that are made next: `images` and `not` are embeddings, one after the other.
    pub fn add(&mut self, name: &str, text: Option<Vec<f32>>, images: &[f32], not: &[f32], mix: f32) {
        let size = self.loaded.embedding_size;
        // A remainder becomes an embedding that is too short, and is refused with the class's name.
        let rows = |list: &[f32]| list.chunks(size).map(<[f32]>::to_vec).collect();
        self.examples.push(Examples { name: name.into(), text, images: rows(images), not: rows(not), mix });
    }

    /// Makes the classes that were added: their means, or with a number for C a linear probe. Returns what they are.
    pub fn make(&mut self, c: Option<f64>) -> Result<JsValue, JsValue> {
        let examples = std::mem::take(&mut self.examples);
        let made = match c {
            Some(c) => taught::TaughtClasses::probe(&self.loaded, &examples, ProbeOptions { c }),
            None => taught::TaughtClasses::means(&self.loaded, &examples),
        };
        self.made = Some(made.map_err(wrong)?);
        self.summary()
    }

    /// `[{label, score, logit}]`, best first, of an image embedding.
    pub fn scores(&self, image_embeds: &[f32], options: JsValue) -> Result<JsValue, JsValue> {
        let scores = self.made()?.scores(image_embeds, score_filter(options)?).map_err(Error::from)?;
        Ok(serde_wasm_bindgen::to_value(&scores)?)
    }

    /// The classes as JSON.
    pub fn file(&self) -> Result<String, JsValue> {
        Ok(self.made()?.to_json())
    }

    /// Takes the classes of a file, and leaves those at hand if it cannot be used. Returns what they are.
    pub fn read(&mut self, json: &str) -> Result<JsValue, JsValue> {
        let read = taught::TaughtClasses::from_json(json).map_err(wrong)?;
        read.check_model(&self.loaded).map_err(wrong)?;
        self.made = Some(read);
        self.summary()
    }
}

impl TaughtClasses {
    fn made(&self) -> Result<&taught::TaughtClasses, JsValue> {
        let none = || Error::BadInput("no class has been taught yet; add one, or import a file".into());
        Ok(self.made.as_ref().ok_or_else(none)?)
    }

    fn summary(&self) -> Result<JsValue, JsValue> {
        let made = self.made()?;
        let classes = made.classes().iter().map(|TaughtClass { name, images, not, text, mix }| Listed {
            name,
            images: *images,
            not: *not,
            text: *text,
            mix: *mix,
        });
        let (kind, probe) = match made.kind() {
            Kind::Means => ("means", None),
            Kind::Probe(probe) => ("probe", Some(probe)),
        };
        let summary = Summary {
            model: &made.model().name,
            kind,
            accuracy: probe.map(|probe| probe.accuracy),
            folds: probe.map(|probe| probe.folds),
            classes: classes.collect(),
        };
        Ok(summary.serialize(&serde_wasm_bindgen::Serializer::json_compatible())?)
    }
}

fn wrong(error: taught::ClassesError) -> JsValue {
    Error::from(siglip::Error::from(error)).into()
}
