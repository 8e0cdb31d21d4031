use crate::Error;

/// The template of transformers' zero-shot image classification.
pub const DEFAULT_TEMPLATE: &str = "This is a photo of {}.";

/// The templates that SigLIP's authors evaluate ImageNet with: big_vision's `CLIP_BEST_PROMPT_TEMPLATES`. All but the last
/// are of OpenAI's CLIP, from its notebook "Prompt Engineering for ImageNet" (MIT).
const IMAGENET: [&str; 8] = [
    "itap of a {}.",
    "a bad photo of the {}.",
    "a origami {}.",
    "a photo of the large {}.",
    "a {} in a video game.",
    "art of the {}.",
    "a photo of the small {}.",
    "{}",
];

/// Sets of templates, by their names.
pub const TEMPLATE_SETS: [(&str, &[&str]); 2] = [("default", &[DEFAULT_TEMPLATE]), ("imagenet", &IMAGENET)];

/// Most templates of a list: the mean over more changes little and costs a text each.
const MOST_TEMPLATES: usize = 256;
/// The placeholder of the label.
const PLACE: &str = "{}";

/// The sentence that a label is inserted into, or several, over whose embeddings the mean is taken.
///
/// `{}` is replaced by the label, as in Python's `template.format(label)`. Every other character stands for itself,
/// including braces and `$`. Placeholders inside the label are not replaced.
///
/// ```
/// use siglip::text::Template;
///
/// assert_eq!(Template::default().apply("a $1 {} note"), "This is a photo of a $1 {} note.");
/// assert_eq!(Template::new("imagenet")?.len(), 8);
/// assert!(Template::new("This is a photo.").is_err());
/// # Ok::<(), siglip::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Sentence>);

/// What stands before and after the label.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Sentence {
    before: String,
    after: String,
}

impl Template {
    /// Parses a template, or finds a set of [`TEMPLATE_SETS`] by its name.
    ///
    /// # Errors
    /// [`Error::BadInput`] unless the template has exactly one `{}`. Python refuses a second one too.
    pub fn new(template: &str) -> Result<Template, Error> {
        Template::of(&[template])
    }

    /// Parses several templates. Each may be the name of a set, whose templates then take its place.
    ///
    /// # Errors
    /// As [`Template::new`]; [`Error::BadInput`] for none and for more than 256.
    pub fn of(templates: &[impl AsRef<str>]) -> Result<Template, Error> {
        let mut sentences = Vec::new();
        for template in templates {
            let template = template.as_ref();
            match TEMPLATE_SETS.iter().find(|(name, _)| *name == template) {
                Some((_, set)) => {
                    for template in *set {
                        sentences.push(Sentence::new(template)?);
                    }
                }
                None => sentences.push(Sentence::new(template)?),
            }
        }
        match sentences.len() {
            1..=MOST_TEMPLATES => Ok(Template(sentences)),
            count => Err(Error::BadInput(format!("{count} templates; give 1 to {MOST_TEMPLATES}"))),
        }
    }

    /// Number of sentences.
    #[expect(clippy::len_without_is_empty, reason = "there is always one")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The sentence about `label`; of several the first.
    pub fn apply(&self, label: &str) -> String {
        self.apply_all(label).next().unwrap_or_default()
    }

    /// All sentences about `label`.
    pub fn apply_all(&self, label: &str) -> impl Iterator<Item = String> {
        self.0.iter().map(move |Sentence { before, after }| [before, label, after].concat())
    }

    /// The sentences with `{}` in them.
    pub fn sentences(&self) -> Vec<String> {
        self.apply_all(PLACE).collect()
    }
}

impl Sentence {
    fn new(template: &str) -> Result<Sentence, Error> {
        match template.split(PLACE).collect::<Vec<_>>()[..] {
            [before, after] => Ok(Sentence { before: before.into(), after: after.into() }),
            [_] => {
                let mut reason =
                    format!("the template {template:?} has no {{}}; write {{}} where the label goes");
                // It may be meant as the name of a set.
                if !template.is_empty() && !template.contains(char::is_whitespace) {
                    let sets = TEMPLATE_SETS.map(|(name, _)| format!("{name:?}")).join(" or ");
                    reason += &format!(", or take the set {sets}");
                }
                Err(Error::BadInput(reason))
            }
            _ => {
                let reason =
                    format!("the template {template:?} has more than one {{}}; keep one for the label");
                Err(Error::BadInput(reason))
            }
        }
    }
}

impl Default for Template {
    /// [`DEFAULT_TEMPLATE`].
    fn default() -> Self {
        Template::new(DEFAULT_TEMPLATE).expect("the default has one place for the label")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_and_sentences_go_together_in_their_order() {
        let template = Template::of(&["a drawing of {}", "imagenet", "default"]).unwrap();
        assert_eq!(template.len(), 10);
        let sentences: Vec<String> = template.apply_all("a cat").collect();
        assert_eq!(sentences[0], "a drawing of a cat");
        assert_eq!(sentences[8..], ["a cat", "This is a photo of a cat."]);
        assert_eq!(template.sentences()[1], "itap of a {}.");
    }

    #[test]
    fn lists_that_are_no_templates_are_refused() {
        for (templates, part) in [
            (vec![], "0 templates"),
            (vec!["{}"; 257], "257 templates"),
            (vec!["{}", "imagenet80"], "\"default\" or \"imagenet\""),
            (vec!["{} and {}"], "more than one"),
        ] {
            let message = Template::of(&templates).unwrap_err().to_string();
            assert!(message.contains(part), "{message}");
        }
    }
}
