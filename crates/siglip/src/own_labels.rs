//! Scores of labels whose embeddings are at hand: those of a bundle, or imported ones.

use std::collections::{HashMap, HashSet};

use crate::checkpoint::no_text_tower;
use crate::classes::{check_classes, no_own_scores, no_texts};
use crate::label_sets::LabelOwner;
use crate::scores::{Score, ScoreFilter, rank};
use crate::text::Template;
use crate::{Engine, Error, LabelSet, LabelSets, Siglip, prompts};

/// Labels embedded at a time.
const BATCH: usize = 64;
/// Furthest that two readings of one model's scale or bias are from each other, as a share of it: tables round them.
const TOLERANCE: f32 = 1e-3;

impl<E: Engine> Siglip<E> {
    /// The labels that come with their embeddings.
    pub fn label_sets(&self) -> &LabelSets {
        &self.label_sets
    }

    /// Embeds labels, each once.
    ///
    /// # Errors
    /// As [`LabelSet::new`], [`prompts`] and [`Siglip::input_ids`]; [`Error::BadInput`] for a model without scores.
    pub fn label_set(
        &mut self,
        name: &str,
        labels: &[String],
        templates: &[String],
    ) -> Result<LabelSet, Error> {
        let mut set = LabelSet::new(name, templates)?;
        prompts(labels, &Template::default())?;
        let mut seen = HashSet::new();
        let labels: Vec<String> = labels.iter().filter(|label| seen.insert(*label)).cloned().collect();
        for batch in labels.chunks(BATCH) {
            self.add_to_label_set(&mut set, batch)?;
        }
        Ok(set)
    }

    /// Adds labels that the set does not have.
    ///
    /// # Errors
    /// As [`Siglip::label_set`].
    pub fn add_to_label_set(&mut self, set: &mut LabelSet, labels: &[String]) -> Result<(), Error> {
        let embeddings = self.label_embeds(labels, &Template::of(set.templates())?)?;
        for (label, embedding) in labels.iter().zip(&embeddings) {
            let unknown = self.unknown_words(label)?;
            set.push(label, unknown, embedding);
        }
        Ok(())
    }

    /// Label sets as JSON, for [`Siglip::import_labels`] and for a bundle. `model` is a name for people.
    ///
    /// # Errors
    /// As [`Siglip::check_logits`].
    pub fn export_labels(&self, sets: &LabelSets, model: &str) -> Result<String, Error> {
        self.check_logits()?;
        Ok(sets.to_json(&LabelOwner {
            model: model.into(),
            embedding_size: self.engine.config().embedding_size(),
            logit_scale: self.engine.logit_scale(),
            logit_bias: self.engine.logit_bias(),
        }))
    }

    /// Adds label sets that [`Siglip::export_labels`] has written, of this model or of another file of the same model.
    ///
    /// # Errors
    /// [`Error::BadInput`] names what is wrong, or that the labels are another model's.
    pub fn import_labels(&mut self, json: &str) -> Result<(), Error> {
        self.check_logits()?;
        let (sets, owner) = LabelSets::from_json(json)?;
        let LabelOwner { model, embedding_size, logit_scale, logit_bias } = owner;
        let is_near = |a: f32, b: f32| (a - b).abs() <= TOLERANCE * a.abs();
        let is_same = embedding_size == self.engine.config().embedding_size()
            && is_near(logit_scale, self.engine.logit_scale())
            && is_near(logit_bias, self.engine.logit_bias());
        if !is_same {
            let (scale, bias) = (self.engine.logit_scale(), self.engine.logit_bias());
            return Err(Error::BadInput(format!(
                "the labels were embedded by another model, {model:?} (embeddings of width {embedding_size}, scale \
                 {logit_scale}, bias {logit_bias}; this one's scale is {scale} and its bias {bias}); embed them with this one"
            )));
        }
        sets.sets().iter().for_each(|set| self.label_sets.insert(set.clone()));
        Ok(())
    }

    /// Whether labels are scored by embeddings at hand: if none are named, if a set is, or if there will be no text tower. So
    /// are the classes of a fine-tuned classifier, by its own last layer.
    pub fn uses_label_sets(&self, labels: Option<&[String]>, set: Option<&str>) -> bool {
        let has_text = self.tokenizer.is_some() || self.expects_text;
        self.classifier().is_some()
            || labels.is_none()
            || set.is_some()
            || (!has_text && !self.label_sets.is_empty())
    }

    /// Checks that all these labels have an embedding at hand.
    ///
    /// # Errors
    /// [`Error::BadInput`] names the label or the set that there is not; any label, of a classifier.
    pub fn check_own_labels(&self, labels: Option<&[String]>, set: Option<&str>) -> Result<(), Error> {
        match self.classifier() {
            Some(classifier) => check_classes(classifier, labels, set),
            None => self.find_labels(labels, set).map(drop),
        }
    }

    /// The scores of labels whose embeddings are at hand, best first: of these labels, or else of the set of this name or of
    /// the first set. Those of a classifier are the scores of its classes.
    ///
    /// # Errors
    /// As [`Siglip::check_own_labels`] and [`Siglip::check_logits`].
    pub fn own_scores(
        &self,
        image_embeds: &[f32],
        labels: Option<&[String]>,
        set: Option<&str>,
        filter: ScoreFilter,
    ) -> Result<Vec<Score>, Error> {
        if let Some(classifier) = self.classifier() {
            check_classes(classifier, labels, set)?;
            if filter.adjustment.is_own() || filter.relative {
                return Err(no_own_scores());
            }
            let scores = classifier.scores(&self.engine.class_logits(image_embeds));
            return Ok(rank(scores, filter));
        }
        self.check_logits()?;
        let logits = self.logit_scale(filter.adjustment);
        let score = |(set, place): (&LabelSet, usize)| {
            let (embedding, unknown) = set.at(place);
            let label = &set.labels()[place];
            match unknown {
                [] => Score::of_cosine(label, siglip_kernels::dot(image_embeds, embedding), logits),
                words => Score::unread(label, words.to_vec(), logits),
            }
        };
        Ok(rank(self.find_labels(labels, set)?.into_iter().map(score).collect(), filter))
    }

    /// Where the labels are.
    fn find_labels(
        &self,
        labels: Option<&[String]>,
        set: Option<&str>,
    ) -> Result<Vec<(&LabelSet, usize)>, Error> {
        let sets: Vec<&LabelSet> = match set {
            Some(name) => vec![self.label_sets.get(name)?],
            None => self.label_sets.sets().iter().collect(),
        };
        let Some(&first) = sets.first() else { return Err(no_labels()) };
        let Some(labels) = labels else {
            return Ok((0..first.labels().len()).map(|place| (first, place)).collect());
        };
        if labels.is_empty() {
            return Err(no_labels());
        }
        let mut known = HashMap::new();
        for &set in &sets {
            for (label, place) in set.places() {
                known.entry(label).or_insert((set, place));
            }
        }
        let find =
            |label: &String| known.get(label.as_str()).copied().ok_or_else(|| other_label(label, first));
        labels.iter().map(find).collect()
    }

    /// The error of a call that needs a text tower.
    pub(crate) fn no_text(&self) -> Error {
        if let Some(classifier) = self.classifier() {
            return no_texts(classifier);
        }
        if self.label_sets.is_empty() { Error::missing_tower("text") } else { no_text_tower() }
    }
}

fn no_labels() -> Error {
    Error::BadInput("there are no labels; give at least one".into())
}

fn other_label(label: &str, set: &LabelSet) -> Error {
    let label: String = label.chars().take(40).collect();
    let some = set.labels().iter().take(3).map(|label| format!("{label:?}")).collect::<Vec<_>>().join(", ");
    let more = match set.labels().len().saturating_sub(3) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Error::BadInput(format!(
        "{label:?} is none of the fixed labels ({some}{more}). A bundle has no text tower that could read another one: make \
         a bundle with it, or load the model that this one was made of"
    ))
}
