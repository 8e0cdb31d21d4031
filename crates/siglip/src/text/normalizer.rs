//! The normalizers of a tokenizer.json.

use serde_json::Value;
use tokenizers::normalizers::Precompiled;
use tokenizers::{NormalizedString, Normalizer as _};

use super::charsmap;
use super::fields::{flag, kind, parts, text};
use super::pattern::Pattern;

/// What changes a text before it is split.
#[derive(Debug)]
pub(super) enum Normalizer {
    Sequence(Vec<Normalizer>),
    Lowercase,
    Strip { left: bool, right: bool },
    Replace { pattern: Pattern, content: String },
    Precompiled(Box<Precompiled>),
    Prepend(String),
    Nfc,
    Nfd,
    Nfkc,
    Nfkd,
}

impl Normalizer {
    /// Reads one of a file; `None` of `null`.
    pub fn of(normalizer: &Value) -> Result<Option<Normalizer>, String> {
        if normalizer.is_null() {
            return Ok(None);
        }
        Ok(Some(match kind(normalizer)? {
            "Sequence" => Normalizer::Sequence(parts(normalizer, "normalizers", Normalizer::of)?),
            "Lowercase" => Normalizer::Lowercase,
            "Strip" => Normalizer::Strip {
                left: flag(normalizer, "strip_left")?,
                right: flag(normalizer, "strip_right")?,
            },
            "Replace" => Normalizer::Replace {
                pattern: Pattern::of(&normalizer["pattern"])?,
                content: text(normalizer, "content")?.into(),
            },
            "Precompiled" => {
                Normalizer::Precompiled(charsmap::read(text(normalizer, "precompiled_charsmap")?)?.into())
            }
            "Prepend" => Normalizer::Prepend(text(normalizer, "prepend")?.into()),
            "NFC" => Normalizer::Nfc,
            "NFD" => Normalizer::Nfd,
            "NFKC" => Normalizer::Nfkc,
            "NFKD" => Normalizer::Nfkd,
            other => {
                return Err(format!(
                    "{other:?} is not supported; supported are Sequence, Lowercase, Strip, Replace, Precompiled, Prepend, NFC, \
                     NFD, NFKC and NFKD"
                ));
            }
        }))
    }

    /// Changes a text.
    pub fn apply(&self, given: &mut NormalizedString) -> tokenizers::Result<()> {
        match self {
            Normalizer::Sequence(all) => {
                return all.iter().try_for_each(|normalizer| normalizer.apply(given));
            }
            Normalizer::Replace { pattern, content } => return given.replace(pattern, content),
            Normalizer::Precompiled(charsmap) => return charsmap.normalize(given),
            Normalizer::Prepend(_) if given.is_empty() => given,
            Normalizer::Prepend(prefix) => given.prepend(prefix),
            Normalizer::Lowercase => given.lowercase(),
            Normalizer::Strip { left: true, right: true } => given.strip(),
            Normalizer::Strip { left: true, right: false } => given.lstrip(),
            Normalizer::Strip { left: false, right: true } => given.rstrip(),
            Normalizer::Strip { left: false, right: false } => given,
            Normalizer::Nfc => given.nfc(),
            Normalizer::Nfd => given.nfd(),
            Normalizer::Nfkc => given.nfkc(),
            Normalizer::Nfkd => given.nfkd(),
        };
        Ok(())
    }

    /// A text as this normalizer leaves it.
    pub fn normalized(&self, text: &str) -> tokenizers::Result<String> {
        let mut normalized = NormalizedString::from(text);
        self.apply(&mut normalized)?;
        Ok(normalized.get().to_string())
    }
}
