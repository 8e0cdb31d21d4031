use std::borrow::Cow;

use super::canonicalize::canonicalize;
use super::pipeline::{GEMMA_PAD, Pipeline};
use super::unread;
use crate::{Error, impostor};

/// A text is cut after this many bytes. The rest could not reach `input_ids`.
///
/// A tower of 64 tokens holds about 1 KiB of words. The 64 KiB leave room for punctuation and spaces that the normalizer
/// removes. The limit keeps the time short, since tokenizing goes through the whole text.
const MAX_TEXT_BYTES: usize = 64 << 10;

/// Begins a text that is not canonicalized, whatever the model's files say. It is a noncharacter, which Unicode leaves to programs
/// for such marks: no text that is exchanged has it.
pub(crate) const VERBATIM: char = '\u{fdd0}';

/// A checkpoint's `tokenizer.json`, read as the fast tokenizer of transformers reads it.
///
/// The file's normalizer, vocabulary and special tokens apply. Its sections on truncation and padding do not, since
/// checkpoints leave both to the caller. For SigLIP v1 this means: lower case, no punctuation, and `</s>` at the end,
/// which is also the padding token.
///
/// SigLIP 2 was trained on lower-cased texts that end in `<eos>`, do not begin with `<bos>` and are padded with
/// `<pad>`, 0. Its files do not say all of this: Gemma's `tokenizer.json` has no lower-casing (transformers'
/// `Siglip2Tokenizer` adds it), and `config.json` has no padding id, so its default would be 1, as in v1. So if the
/// vocabulary is Gemma's, these rules apply whatever the files say.
///
/// transformers has a second v1 tokenizer, the slow `SiglipTokenizer`, that differs from the published
/// `tokenizer.json` in what it deletes: all of Python's `string.punctuation`, while the file keeps `/`, `<` and `>`.
/// It also lower-cases in context (a final `Σ`), composes rare sequences of combining marks differently, and has
/// its own way with special tokens written in the text. This crate follows the file.
#[derive(Debug)]
pub struct Tokenizer {
    pipeline: Pipeline,
    max_length: usize,
    pad_token_id: u32,
    canonicalizes: bool,
    /// The token for any word that a vocabulary of whole words lacks. `None` for a vocabulary of pieces of words.
    unknown_word: Option<u32>,
}

impl Tokenizer {
    /// Reads a `tokenizer.json` for a text tower of `max_length` positions; `pad_token_id` is that of `config.json`,
    /// which Gemma's vocabulary overrides.
    ///
    /// # Errors
    /// [`Error::UnsupportedModel`] for a file that is broken, of a kind that does not exist, or whose special
    /// tokens alone are longer than `max_length`.
    pub fn from_bytes(
        tokenizer_json: &[u8],
        max_length: usize,
        pad_token_id: u32,
    ) -> Result<Tokenizer, Error> {
        if let Some(reason) = impostor::in_place_of_json(tokenizer_json) {
            return Err(unsupported(reason));
        }
        let pipeline = Pipeline::of(tokenizer_json).map_err(unsupported)?;
        let pad_token_id = if pipeline.is_gemma { GEMMA_PAD } else { pad_token_id };
        let special = pipeline.special_tokens.len();
        if special > max_length {
            let reason = format!("its {special} special tokens do not fit into {max_length} positions");
            return Err(unsupported(reason));
        }
        let unknown_word = pipeline.unknown_word();
        Ok(Tokenizer { pipeline, max_length, pad_token_id, canonicalizes: false, unknown_word })
    }

    /// Whether texts are [canonicalized](super::canonicalize) first. They are not unless this is called.
    pub fn canonicalizing(self, canonicalizes: bool) -> Tokenizer {
        Tokenizer { canonicalizes, ..self }
    }

    /// The ids of a text: exactly `max_length`, cut or padded. Only the first 64 KiB of the text are read.
    ///
    /// # Errors
    /// [`Error::UnsupportedModel`] if the vocabulary has neither the text's words nor a token for unknown words.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, Error> {
        let text = self.cleaned(text);
        // Cut from the right, before the special tokens are added: `</s>` stays.
        let mut input_ids = self.pipeline.ids(&text, self.max_length).map_err(unsupported)?;
        input_ids.resize(self.max_length, self.pad_token_id);
        Ok(input_ids)
    }

    /// The words of a text that the model cannot read, as they are written; the whole text if nothing of it is left
    /// after normalization. Empty if the model reads the text.
    ///
    /// A word is unknown if the normalizer drops one of its letters. In a vocabulary of whole words, a word is unknown as
    /// well if the vocabulary lacks it, or if the normalizer splits it. A vocabulary of pieces has a token for anything.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn unknown_words(&self, text: &str) -> Result<Vec<String>, Error> {
        let given = text;
        let text = &*self.cleaned(given);
        let words = unread::words(text);
        let mut unknown = self.unknown_tokens(text)?;
        for (start, end) in &mut unknown {
            // The token may be a part of a word that the normalizer has split: name the word.
            if let Some(word) = words.iter().find(|word| word.0 <= *start && *start < word.1) {
                (*start, *end) = *word;
            }
        }
        let normalizer = self.pipeline.normalizer.as_ref();
        if let Some(normalizer) = normalizer {
            let whole_words = self.unknown_word.is_some();
            for (start, end) in words {
                let word = &text[start..end];
                if unread::loses_letters(normalizer, word, whole_words).map_err(unsupported)? {
                    unknown.push((start, end));
                }
            }
        }
        if unknown.is_empty() && unread::becomes_empty(normalizer, text).map_err(unsupported)? {
            return Ok(vec![given.trim().to_string()]);
        }
        unknown.sort();
        let mut named: Vec<String> = Vec::new();
        for (start, end) in unknown {
            if !named.iter().any(|word| *word == text[start..end]) {
                named.push(text[start..end].to_string());
            }
        }
        Ok(named)
    }

    /// The part of a text that is read, canonicalized if texts are.
    fn cleaned<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let text = &text[..text.floor_char_boundary(MAX_TEXT_BYTES)];
        match text.strip_prefix(VERBATIM) {
            Some(text) => text.into(),
            None if self.canonicalizes => canonicalize(text).into(),
            None => text.into(),
        }
    }

    /// The byte ranges of the words that a vocabulary of whole words lacks.
    fn unknown_tokens(&self, text: &str) -> Result<Vec<(usize, usize)>, Error> {
        let Some(unknown) = self.unknown_word else { return Ok(Vec::new()) };
        let tokens = self.pipeline.ids_and_ranges(text, self.max_length).map_err(unsupported)?;
        let found = tokens.into_iter().filter(|&(id, _)| id == unknown).map(|(_, range)| range);
        Ok(found.filter(|&(start, end)| text.get(start..end).is_some()).collect())
    }
}

fn unsupported(reason: impl ToString) -> Error {
    Error::unsupported("tokenizer.json", reason.to_string())
}
