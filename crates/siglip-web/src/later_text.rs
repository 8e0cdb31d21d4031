//! A model that was loaded without its text tower: that is still on the server, or it is in the cache and read when a label comes
//! that no visit has embedded.

use js_sys::Promise;
use siglip::text::Template;
use wasm_bindgen::prelude::*;

use crate::error::Error;
use crate::loading::LaterText;
use crate::{Engine, Role, misused};

#[wasm_bindgen]
impl Engine {
    /// Whether there is a text tower, and not in memory.
    pub fn expects_text(&self) -> bool {
        matches!(&self.role, Role::Leader(siglip) if siglip.expects_text())
    }

    /// Whether these labels can be scored only with the text tower.
    pub fn needs_text_tower(&self, labels: Vec<String>, template: Vec<String>) -> Result<bool, JsValue> {
        let template = Template::of(&template).map_err(Error::from)?;
        Ok(self.siglip()?.needs_text_tower(&labels, &template).map_err(Error::from)?)
    }

    /// Adds the text tower of an engine that was loaded with it alone, in this worker or as this worker's shard.
    pub fn add_text_tower(&mut self, mut text: Engine) -> Result<(), JsValue> {
        // Files of the same name are the same file, if both are known.
        let differs = |file: &&crate::store::Source| {
            self.sources.iter().any(|own| own.file == file.file && own != *file)
        };
        if let Some(file) = text.sources.iter().find(differs) {
            let url = file.file.clone();
            let reason =
                "it has changed on the server since the image tower was loaded; load the model again".into();
            return Err(Error::Network { url, reason }.into());
        }
        let added = match (&mut self.role, text.role) {
            (Role::Leader(siglip), Role::Leader(text)) => siglip.add_text_tower(*text),
            (Role::Follower(model), Role::Follower(text)) => model.add_text_tower(*text),
            _ => return Err(misused("the text tower is of another worker")),
        };
        added.map_err(Error::from)?;
        self.text = LaterText::Loaded;
        self.known_labels = self.known_labels.take().or_else(|| text.known_labels.take());
        Ok(())
    }

    /// Keeps the embeddings of these labels for the next visit, if the model is cached. Returns a promise if one is new.
    pub fn keep_labels(
        &mut self,
        mut labels: Vec<String>,
        template: Vec<String>,
    ) -> Result<Option<Promise>, JsValue> {
        let Some(known) = &self.known_labels else { return Ok(None) };
        let template = Template::of(&template).map_err(Error::from)?;
        labels.retain(|label| template.apply_all(label).any(|text| known.lack(label, &text)));
        if labels.is_empty() {
            return Ok(None);
        }
        let new = self.siglip()?.known_labels(&labels, &template).map_err(Error::from)?;
        Ok(self.known_labels.as_mut().map(|known| known.keep(new)))
    }
}
