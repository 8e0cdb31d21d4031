use super::canonicalize::canonicalize;
use super::tokenizer::VERBATIM;
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

/// Beside templates: their sentences are [canonicalized](super::canonicalize), or they are not, whatever the model's files say.
const CANONICALIZE: &str = "canonicalize";
const AS_WRITTEN: &str = "verbatim";

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
pub struct Template {
    sentences: Vec<Sentence>,
    /// `None` leaves it to the model's files.
    canonicalizes: Option<bool>,
}

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

    /// Parses several templates. Each may be the name of a set, whose templates then take its place. `canonicalize` among them
    /// has their sentences [canonicalized](super::canonicalize) with the label in them, as the authors evaluate; `verbatim` has
    /// them read as they are. By default the model's files decide.
    ///
    /// # Errors
    /// As [`Template::new`]; [`Error::BadInput`] for none, for more than 256, and for `canonicalize` with `verbatim`.
    pub fn of(templates: &[impl AsRef<str>]) -> Result<Template, Error> {
        let (mut sentences, mut canonicalizes) = (Vec::new(), None);
        for template in templates {
            let template = template.as_ref();
            if let CANONICALIZE | AS_WRITTEN = template {
                let canonical = template == CANONICALIZE;
                if canonicalizes.replace(canonical).is_some_and(|before| before != canonical) {
                    let reason = format!("templates are read {CANONICALIZE} or {AS_WRITTEN}, not both");
                    return Err(Error::BadInput(reason));
                }
                continue;
            }
            match TEMPLATE_SETS.iter().find(|(name, _)| *name == template) {
                Some((_, set)) => {
                    for template in *set {
                        sentences.push(Sentence::new(template)?);
                    }
                }
                None => sentences.push(Sentence::new(template)?),
            }
        }
        if sentences.is_empty() && canonicalizes.is_some() {
            sentences.push(Sentence::new(DEFAULT_TEMPLATE)?);
        }
        match sentences.len() {
            1..=MOST_TEMPLATES => Ok(Template { sentences, canonicalizes }),
            count => Err(Error::BadInput(format!("{count} templates; give 1 to {MOST_TEMPLATES}"))),
        }
    }

    /// Number of sentences.
    #[expect(clippy::len_without_is_empty, reason = "there is always one")]
    pub fn len(&self) -> usize {
        self.sentences.len()
    }

    /// The sentence about `label`; of several the first.
    pub fn apply(&self, label: &str) -> String {
        self.apply_all(label).next().unwrap_or_default()
    }

    /// All sentences about `label`, as a [`Tokenizer`](super::Tokenizer) takes them.
    pub fn apply_all(&self, label: &str) -> impl Iterator<Item = String> {
        self.filled(label).map(|sentence| match self.canonicalizes {
            None => sentence,
            Some(true) => canonicalize(&sentence),
            Some(false) => format!("{VERBATIM}{sentence}"),
        })
    }

    /// Whether nothing is left of the label in its sentences.
    pub(crate) fn drops(&self, label: &str) -> bool {
        self.canonicalizes == Some(true) && canonicalize(label).is_empty()
    }

    /// The templates, without the names of sets: [`Template::of`] makes the same of them.
    pub fn sentences(&self) -> Vec<String> {
        let name = self.canonicalizes.map(|canonical| if canonical { CANONICALIZE } else { AS_WRITTEN });
        self.filled(PLACE).chain(name.map(String::from)).collect()
    }

    fn filled(&self, label: &str) -> impl Iterator<Item = String> {
        self.sentences.iter().map(move |Sentence { before, after }| [before, label, after].concat())
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
    fn sentences_are_canonicalized_with_the_label_in_them() {
        let canonical = Template::of(&["This is {}.", "canonicalize"]).unwrap();
        assert_eq!((canonical.len(), canonical.apply("A black_cat!")), (1, "this is a black cat".into()));
        assert_eq!(canonical.sentences(), ["This is {}.", "canonicalize"]);
        assert!(canonical.drops("...") && !canonical.drops("a."));
        let verbatim = Template::of(&["verbatim"]).unwrap();
        assert_eq!(verbatim.apply("A cat"), format!("{VERBATIM}This is a photo of A cat."));
        for template in [canonical, verbatim] {
            assert_eq!(Template::of(&template.sentences()).unwrap(), template);
        }
    }

    #[test]
    fn lists_that_are_no_templates_are_refused() {
        for (templates, part) in [
            (vec!["{}", "verbatim", "canonicalize"], "not both"),
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
