//! From labels to the sentences that the text tower reads.

use crate::Error;
use crate::text::Template;

/// Longest label in characters: far more than any text tower reads.
const MAX_LABEL: usize = 1000;

/// The prompts of each label, one per sentence of the template.
///
/// # Errors
/// [`Error::BadInput`] if there are no labels, or one is empty, longer than 1000 characters, or of
/// punctuation alone with a template that canonicalizes.
pub fn prompts(labels: &[String], template: &Template) -> Result<Vec<String>, Error> {
    if labels.is_empty() {
        return Err(Error::BadInput("there are no labels; give at least one".into()));
    }
    for label in labels {
        let length = label.chars().count();
        if label.trim().is_empty() {
            return Err(Error::BadInput("a label is empty; remove it or give it a name".into()));
        }
        if length > MAX_LABEL {
            let start: String = label.chars().take(20).collect();
            let reason = format!(
                "the label \"{start}…\" has {length} characters; shorten it to {MAX_LABEL} at most: the model reads \
                 only the first few dozen words"
            );
            return Err(Error::BadInput(reason));
        }
        if template.drops(label) {
            let reason = format!(
                "the label {label:?} has only punctuation, of which canonicalize leaves nothing; leave canonicalize out"
            );
            return Err(Error::BadInput(reason));
        }
    }
    Ok(labels.iter().flat_map(|label| template.apply_all(label)).collect())
}
