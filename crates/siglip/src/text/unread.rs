//! Which words of a text a tokenizer cannot read.
//!
//! A vocabulary of whole words lacks most words, and its normalizer may know no letters but a to z: it then reads
//! "naïve" as "na ve" and "кошка" as nothing. Such a text is not the one that was written, so its score would say
//! nothing. The words are found here, so that a label can be marked.

use tokenizers::utils::SysRegex;
use tokenizers::{NormalizedString, Normalizer, NormalizerWrapper};

/// Letters, marks, numbers and pictographs, and the invisible characters inside a word. A zero-width space ends a word;
/// signs such as © are no pictographs here, though Unicode counts them as such.
const WORD_CHARACTER: &str = r"[[\p{L}\p{M}\p{N}\p{Cf}\p{Co}\p{Extended_Pictographic}\p{Regional_Indicator}\x{1F3FB}-\x{1F3FF}]--[©®™‼⁉\x{200B}]]";
/// Characters without a glyph: joiners, variation selectors, soft hyphens.
const INVISIBLE: &str = r"\p{Default_Ignorable_Code_Point}";

/// Finds the words of a text, and the letters that a normalizer drops.
#[derive(Debug)]
pub(super) struct WordFinder {
    word: SysRegex,
    visible: SysRegex,
}

impl WordFinder {
    pub fn new() -> WordFinder {
        let regex = |pattern: &str| SysRegex::new(pattern).expect("the pattern is a constant");
        WordFinder {
            word: regex(&format!("{WORD_CHARACTER}+")),
            visible: regex(&format!("[{WORD_CHARACTER}--{INVISIBLE}]")),
        }
    }

    /// The byte ranges of the words in `text`.
    pub fn words(&self, text: &str) -> Vec<(usize, usize)> {
        self.word.find_iter(text).collect()
    }

    /// Whether `normalizer` drops a letter of `word`. With `whole_words`, a vocabulary of whole words, also whether it
    /// splits the word: each part would be another word.
    pub fn loses_letters(
        &self,
        normalizer: &NormalizerWrapper,
        word: &str,
        whole_words: bool,
    ) -> tokenizers::Result<bool> {
        // Most words: nothing changes but the case.
        if normalized(normalizer, word)? == word.to_lowercase() {
            return Ok(false);
        }
        // "e" with a combining accent is the letter "é": composed, both spellings are judged alike.
        let mut composed = NormalizedString::from(word);
        composed.nfc();
        let composed = composed.get();
        for (start, end) in self.visible.find_iter(composed) {
            if is_blank(&normalized(normalizer, &composed[start..end])?) {
                return Ok(true);
            }
        }
        Ok(whole_words && normalized(normalizer, composed)?.trim().contains(char::is_whitespace))
    }
}

/// Whether `normalizer` leaves nothing of `text`.
pub(super) fn becomes_empty(normalizer: Option<&NormalizerWrapper>, text: &str) -> tokenizers::Result<bool> {
    match normalizer {
        Some(normalizer) => Ok(is_blank(&normalized(normalizer, text)?)),
        None => Ok(is_blank(text)),
    }
}

fn normalized(normalizer: &NormalizerWrapper, text: &str) -> tokenizers::Result<String> {
    let mut normalized = NormalizedString::from(text);
    normalizer.normalize(&mut normalized)?;
    Ok(normalized.get().to_string())
}

/// Whether a normalized text has no character but spaces, which SentencePiece writes as `▁`.
fn is_blank(text: &str) -> bool {
    text.chars().all(|character| character.is_whitespace() || character == '▁')
}
