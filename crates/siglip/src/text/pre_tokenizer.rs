//! The pre-tokenizers of a tokenizer.json.

use serde_json::Value;
use tokenizers::pattern::Invert;
use tokenizers::pre_tokenizers::metaspace::{Metaspace, PrependScheme};
use tokenizers::{PreTokenizedString, PreTokenizer as _, SplitDelimiterBehavior};

use super::fields::{flag, kind, parts, text};
use super::pattern::Pattern;

/// What splits a text into the parts that a model reads each by itself.
#[derive(Debug)]
pub(super) enum PreTokenizer {
    Sequence(Vec<PreTokenizer>),
    Metaspace(Metaspace),
    WhitespaceSplit,
    Split { pattern: Pattern, behavior: SplitDelimiterBehavior, invert: bool },
}

impl PreTokenizer {
    /// Reads one of a file; `None` of `null`.
    pub fn of(pre_tokenizer: &Value) -> Result<Option<PreTokenizer>, String> {
        if pre_tokenizer.is_null() {
            return Ok(None);
        }
        Ok(Some(match kind(pre_tokenizer)? {
            "Sequence" => PreTokenizer::Sequence(parts(pre_tokenizer, "pretokenizers", PreTokenizer::of)?),
            "Metaspace" => PreTokenizer::Metaspace(metaspace(pre_tokenizer)?),
            "WhitespaceSplit" => PreTokenizer::WhitespaceSplit,
            "Split" => PreTokenizer::Split {
                pattern: Pattern::of(&pre_tokenizer["pattern"])?,
                behavior: behavior(text(pre_tokenizer, "behavior")?)?,
                invert: flag(pre_tokenizer, "invert")?,
            },
            other => {
                return Err(format!(
                    "{other:?} is not supported; supported are Sequence, Metaspace, WhitespaceSplit and Split"
                ));
            }
        }))
    }

    /// Splits the parts of a text further.
    pub fn apply(&self, parts: &mut PreTokenizedString) -> tokenizers::Result<()> {
        match self {
            PreTokenizer::Sequence(all) => {
                all.iter().try_for_each(|pre_tokenizer| pre_tokenizer.apply(parts))
            }
            PreTokenizer::Metaspace(metaspace) => metaspace.pre_tokenize(parts),
            PreTokenizer::WhitespaceSplit => {
                parts.split(|_, part| part.split(char::is_whitespace, SplitDelimiterBehavior::Removed))
            }
            PreTokenizer::Split { pattern, behavior, invert: false } => {
                parts.split(|_, part| part.split(pattern, *behavior))
            }
            PreTokenizer::Split { pattern, behavior, invert: true } => {
                parts.split(|_, part| part.split(Invert(pattern), *behavior))
            }
        }
    }
}

fn metaspace(object: &Value) -> Result<Metaspace, String> {
    let replacement = text(object, "replacement")?;
    let mut characters = replacement.chars();
    let (Some(replacement), None) = (characters.next(), characters.next()) else {
        return Err(format!("the replacement {replacement:?} is not one character"));
    };
    let scheme = match object["prepend_scheme"].as_str() {
        Some("always") => PrependScheme::Always,
        Some("first") => PrependScheme::First,
        Some("never") => PrependScheme::Never,
        None if object["prepend_scheme"].is_null() => PrependScheme::Always,
        _ => {
            return Err(format!(
                "prepend_scheme is {}, not always, first or never",
                object["prepend_scheme"]
            ));
        }
    };
    if object["add_prefix_space"] == false && scheme != PrependScheme::Never {
        return Err("add_prefix_space does not match prepend_scheme".into());
    }
    let split = if object["split"].is_null() { true } else { flag(object, "split")? };
    Ok(Metaspace::new(replacement, scheme, split))
}

fn behavior(name: &str) -> Result<SplitDelimiterBehavior, String> {
    match name {
        "Removed" => Ok(SplitDelimiterBehavior::Removed),
        "Isolated" => Ok(SplitDelimiterBehavior::Isolated),
        "MergedWithPrevious" => Ok(SplitDelimiterBehavior::MergedWithPrevious),
        "MergedWithNext" => Ok(SplitDelimiterBehavior::MergedWithNext),
        "Contiguous" => Ok(SplitDelimiterBehavior::Contiguous),
        other => Err(format!("the behavior {other:?} does not exist")),
    }
}
