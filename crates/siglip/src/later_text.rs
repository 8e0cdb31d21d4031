//! A model whose text tower is loaded later, when a text comes that has no embedding yet.

use crate::text::Template;
use crate::{Engine, Error, Siglip, prompts};

/// A label that was embedded before, in one sentence, for other visits: with it a model needs no text tower for this label.
#[derive(Debug, Clone, PartialEq)]
pub struct KnownLabel {
    /// The label.
    pub label: String,
    /// The label in a sentence of its template: what was embedded.
    pub text: String,
    /// The words of the label that the model cannot read.
    pub unknown: Vec<String>,
    /// The text's embedding, of L2 norm 1.
    pub embedding: Vec<f32>,
}

impl<E: Engine> Siglip<E> {
    /// Says that the text tower will be added with [`Siglip::add_text_tower`].
    pub fn expect_text(&mut self) {
        self.expects_text = true;
    }

    /// Whether the text tower is still to be added.
    pub fn expects_text(&self) -> bool {
        self.expects_text
    }

    /// The labels in each of their sentences, with the embeddings. One that has none is left out.
    ///
    /// # Errors
    /// As [`prompts`] and [`Siglip::unknown_words`].
    pub fn known_labels(&self, labels: &[String], template: &Template) -> Result<Vec<KnownLabel>, Error> {
        let mut known = Vec::new();
        let texts = prompts(labels, template)?;
        for (label, texts) in labels.iter().zip(texts.chunks(template.len())) {
            for text in texts {
                if let Some(embedding) = self.cached_text(text).map(<[f32]>::to_vec) {
                    let (label, text, unknown) = (label.clone(), text.clone(), self.unknown_words(label)?);
                    known.push(KnownLabel { label, text, unknown, embedding });
                }
            }
        }
        Ok(known)
    }

    /// Adds a label that [`Siglip::known_labels`] has returned, of the same model. One of another width is left out.
    pub fn add_known_label(&mut self, known: KnownLabel) {
        let KnownLabel { label, text, unknown, embedding } = known;
        if embedding.len() == self.engine.config().embedding_size() {
            self.texts.insert(text, embedding);
            self.texts.insert_unknown_words(label, unknown);
        }
    }

    /// Whether one of these labels can be scored only with the text tower.
    ///
    /// # Errors
    /// As [`prompts`].
    pub fn needs_text_tower(&self, labels: &[String], template: &Template) -> Result<bool, Error> {
        let texts_are_known = prompts(labels, template)?.iter().all(|text| self.cached_text(text).is_some());
        let words_are_known = labels.iter().all(|label| self.texts.unknown_words(label).is_some());
        Ok(self.expects_text && !(texts_are_known && words_are_known))
    }

    /// Adds the text tower and the tokenizer of `text`, which was loaded with them alone.
    ///
    /// # Errors
    /// As [`Engine::add_text_tower`].
    pub fn add_text_tower(&mut self, text: Siglip<E>) -> Result<(), Error> {
        self.engine.add_text_tower(text.engine)?;
        self.tokenizer = text.tokenizer;
        self.expects_text = false;
        Ok(())
    }
}
