//! Labels with their embeddings: those of a bundle, and those that a page exports and imports.

use serde::Serialize;
use siglip::{LabelSet, LabelSets};
use wasm_bindgen::prelude::*;

use crate::error::Error;
use crate::{Engine, misused, score_filter};

/// A label set without its embeddings.
#[derive(Serialize)]
struct Listed<'s> {
    name: &'s str,
    labels: &'s [String],
}

#[wasm_bindgen]
impl Engine {
    /// `[{name, labels}]` of the label sets at hand.
    pub fn label_sets(&self) -> Result<JsValue, JsValue> {
        let sets = self.siglip()?.label_sets().sets();
        let list: Vec<_> = sets.iter().map(|set| Listed { name: set.name(), labels: set.labels() }).collect();
        Ok(serde_wasm_bindgen::to_value(&list)?)
    }

    /// Checks labels before an image is embedded. Returns whether their embeddings are at hand.
    pub fn check_labels(
        &self,
        labels: Option<Vec<String>>,
        label_set: Option<String>,
        template: Vec<String>,
    ) -> Result<bool, JsValue> {
        let siglip = self.siglip()?;
        let (labels, label_set) = (labels.as_deref(), label_set.as_deref());
        if siglip.uses_label_sets(labels, label_set) {
            siglip.check_own_labels(labels, label_set).map_err(Error::from)?;
            return Ok(true);
        }
        self.prompts(labels.unwrap_or_default().to_vec(), template).map(|_| false)
    }

    /// `[{label, score, logit}]`, best first, of labels whose embeddings are at hand.
    pub fn own_scores(
        &self,
        image_embeds: &[f32],
        labels: Option<Vec<String>>,
        label_set: Option<String>,
        options: JsValue,
    ) -> Result<JsValue, JsValue> {
        self.check_image_embeds(image_embeds)?;
        let filter = score_filter(options)?;
        let scores = self.siglip()?.own_scores(image_embeds, labels.as_deref(), label_set.as_deref(), filter);
        Ok(serde_wasm_bindgen::to_value(&scores.map_err(Error::from)?)?)
    }

    /// Begins a label set of this name.
    pub fn begin_label_set(&mut self, name: &str, templates: Vec<String>) -> Result<(), JsValue> {
        self.label_set = Some(LabelSet::new(name, &templates).map_err(Error::from)?);
        Ok(())
    }

    /// Adds labels to the set. Their texts must have been embedded before.
    pub fn add_labels(&mut self, labels: Vec<String>) -> Result<(), JsValue> {
        let mut set = self.label_set.take().ok_or_else(|| misused("no label set was begun"))?;
        self.siglip_mut()?.add_to_label_set(&mut set, &labels).map_err(Error::from)?;
        self.label_set = Some(set);
        Ok(())
    }

    /// Ends the label set. Returns it as JSON, or without one all sets at hand. `model` is a name for people.
    pub fn export_labels(&mut self, model: &str) -> Result<String, JsValue> {
        let begun = self.label_set.take();
        let siglip = self.siglip()?;
        let mut sets = LabelSets::default();
        match begun {
            Some(set) => sets.insert(set),
            None => sets = siglip.label_sets().clone(),
        }
        Ok(siglip.export_labels(&sets, model).map_err(Error::from)?)
    }

    /// Adds the label sets that [`Engine::export_labels`] has written.
    pub fn import_labels(&mut self, json: &str) -> Result<(), JsValue> {
        Ok(self.siglip_mut()?.import_labels(json).map_err(Error::from)?)
    }
}
