use crate::Error;

/// The template of transformers' zero-shot image classification.
pub const DEFAULT_TEMPLATE: &str = "This is a photo of {}.";

/// The placeholder of the label.
const PLACE: &str = "{}";

/// The sentence that a label is inserted into.
///
/// `{}` is replaced by the label, as in Python's `template.format(label)`. Every other character stands for itself,
/// including braces and `$`. Placeholders inside the label are not replaced.
///
/// ```
/// use siglip::text::Template;
///
/// assert_eq!(Template::default().apply("a $1 {} note"), "This is a photo of a $1 {} note.");
/// assert!(Template::new("This is a photo.").is_err());
/// # Ok::<(), siglip::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    before: String,
    after: String,
}

impl Template {
    /// Parses a template.
    ///
    /// # Errors
    /// [`Error::BadInput`] unless the template has exactly one `{}`. Python refuses a second one too.
    pub fn new(template: &str) -> Result<Template, Error> {
        match template.split(PLACE).collect::<Vec<_>>()[..] {
            [before, after] => Ok(Template { before: before.into(), after: after.into() }),
            [_] => {
                let reason =
                    format!("the template {template:?} has no {{}}; write {{}} where the label goes");
                Err(Error::BadInput(reason))
            }
            _ => {
                let reason =
                    format!("the template {template:?} has more than one {{}}; keep one for the label");
                Err(Error::BadInput(reason))
            }
        }
    }

    /// The sentence about `label`.
    pub fn apply(&self, label: &str) -> String {
        [&self.before, label, &self.after].concat()
    }
}

impl Default for Template {
    /// [`DEFAULT_TEMPLATE`].
    fn default() -> Self {
        Template::new(DEFAULT_TEMPLATE).expect("the default has one place for the label")
    }
}
