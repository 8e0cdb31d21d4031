//! Which words of a text a tokenizer cannot read.
//!
//! A vocabulary of whole words lacks most words, and its normalizer may know no letters but a to z: it then reads
//! "naïve" as "na ve" and "кошка" as nothing. Such a text is not the one that was written, so its score would say
//! nothing. The words are found here, so that a label can be marked.

use tokenizers::NormalizedString;

use super::normalizer::Normalizer;
use super::word_characters::{is_invisible, is_word_character};

/// The byte ranges of the words in `text`.
pub(super) fn words(text: &str) -> Vec<(usize, usize)> {
    let mut words: Vec<(usize, usize)> = Vec::new();
    for (start, character) in text.char_indices().filter(|&(_, character)| is_word_character(character)) {
        let end = start + character.len_utf8();
        match words.last_mut() {
            Some(word) if word.1 == start => word.1 = end,
            _ => words.push((start, end)),
        }
    }
    words
}

/// Whether `normalizer` drops a letter of `word`. With `whole_words`, a vocabulary of whole words, also whether it
/// splits the word: each part would be another word.
pub(super) fn loses_letters(
    normalizer: &Normalizer,
    word: &str,
    whole_words: bool,
) -> tokenizers::Result<bool> {
    // Most words: nothing changes but the case.
    if normalizer.normalized(word)? == word.to_lowercase() {
        return Ok(false);
    }
    // "e" with a combining accent is the letter "é": composed, both spellings are judged alike.
    let mut composed = NormalizedString::from(word);
    composed.nfc();
    let composed = composed.get();
    for character in
        composed.chars().filter(|&character| is_word_character(character) && !is_invisible(character))
    {
        if is_blank(&normalizer.normalized(character.encode_utf8(&mut [0; 4]))?) {
            return Ok(true);
        }
    }
    Ok(whole_words && normalizer.normalized(composed)?.trim().contains(char::is_whitespace))
}

/// Whether `normalizer` leaves nothing of `text`.
pub(super) fn becomes_empty(normalizer: Option<&Normalizer>, text: &str) -> tokenizers::Result<bool> {
    match normalizer {
        Some(normalizer) => Ok(is_blank(&normalizer.normalized(text)?)),
        None => Ok(is_blank(text)),
    }
}

/// Whether a normalized text has no character but spaces, which SentencePiece writes as `▁`.
fn is_blank(text: &str) -> bool {
    text.chars().all(|character| character.is_whitespace() || character == '▁')
}
