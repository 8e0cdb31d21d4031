use tokenizers::normalizers::{Lowercase, Sequence};
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{ModelWrapper, PostProcessor, TruncationParams};

use super::trust;
use crate::Error;

/// Bytes of a text that are read; the rest could not reach `input_ids`.
///
/// A tower of 64 tokens holds about 1 KiB of words. The 64 KiB are for texts that shrink first, by punctuation or
/// spaces that the normalizer takes away, and they keep the time short: tokenizing goes through the whole text.
const READ_AT_MOST: usize = 64 << 10;

/// The special tokens of Gemma, whose vocabulary SigLIP 2 has, and their ids.
const GEMMA: [(&str, u32); 3] = [("<pad>", GEMMA_PAD), ("<eos>", GEMMA_EOS), ("<bos>", 2)];
const GEMMA_PAD: u32 = 0;
const GEMMA_EOS: u32 = 1;

/// A checkpoint's own `tokenizer.json`, as the reference's fast tokenizer reads it.
///
/// Its normalizer, its vocabulary and its special tokens apply; the file's sections on truncation and padding do
/// not, since checkpoints leave both to the caller. For SigLIP v1 this means lower-cased, without punctuation,
/// `</s>` at the end and, as padding, again and again.
///
/// SigLIP 2 was trained on lower-cased texts that end in `<eos>`, do not begin with `<bos>` and are padded with
/// `<pad>`, 0. Its files say this in other places, or not at all: Gemma's `tokenizer.json` knows of no lower case
/// (transformers' `Siglip2Tokenizer` adds it), and `config.json` leaves out the padding, which would make it 1, v1's.
/// So where the vocabulary is Gemma's, all of this applies, whatever the files say.
///
/// transformers has a second v1 tokenizer, the slow `SiglipTokenizer`, that differs from the published
/// `tokenizer.json` in what it deletes: all of Python's `string.punctuation`, while the file keeps `/`, `<` and `>`.
/// It also lower-cases in context (a final `Σ`), composes rare sequences of combining marks differently, and has
/// its own way with special tokens written in the text. This crate follows the file.
#[derive(Debug)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    max_length: usize,
    pad_token_id: u32,
    /// What stands for any word that a vocabulary of whole words lacks.
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
        trust::check(tokenizer_json).map_err(unsupported)?;
        let mut inner = tokenizers::Tokenizer::from_bytes(tokenizer_json).map_err(unsupported)?;
        let is_gemma = GEMMA.iter().all(|&(token, id)| inner.token_to_id(token) == Some(id));
        let pad_token_id = if is_gemma { GEMMA_PAD } else { pad_token_id };
        if is_gemma {
            tokenize_as_siglip2(&mut inner).map_err(unsupported)?;
        }
        let special = inner.get_post_processor().map_or(0, |processor| processor.added_tokens(false));
        if special > max_length {
            let reason = format!("its {special} special tokens do not fit into {max_length} positions");
            return Err(unsupported(reason));
        }
        inner.with_padding(None);
        // From the right, and before the special tokens are added: `</s>` outlives the cut.
        inner
            .with_truncation(Some(TruncationParams { max_length, ..Default::default() }))
            .map_err(unsupported)?;
        let unknown_word = match inner.get_model() {
            ModelWrapper::WordLevel(words) => inner.token_to_id(&words.unk_token),
            _ => None,
        };
        Ok(Tokenizer { inner, max_length, pad_token_id, unknown_word })
    }

    /// The text as the tower reads it: exactly `max_length` ids, cut or padded.
    ///
    /// Of a text beyond 64 KiB the start is read.
    ///
    /// # Errors
    /// [`Error::UnsupportedModel`] where the vocabulary has neither the text's words nor a token for unknown ones.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, Error> {
        let text = &text[..text.floor_char_boundary(READ_AT_MOST)];
        let mut input_ids = self.inner.encode_fast(text, true).map_err(unsupported)?.get_ids().to_vec();
        input_ids.resize(self.max_length, self.pad_token_id);
        Ok(input_ids)
    }

    /// The words of a text that the model cannot read, as they are written; of a vocabulary of pieces of words there
    /// are none, as those read everything in some way.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn unknown_words(&self, text: &str) -> Result<Vec<String>, Error> {
        let Some(unknown) = self.unknown_word else { return Ok(Vec::new()) };
        let text = &text[..text.floor_char_boundary(READ_AT_MOST)];
        let encoding = self.inner.encode(text, false).map_err(unsupported)?;
        let tokens = encoding.get_ids().iter().zip(encoding.get_offsets());
        let words =
            tokens.filter(|&(&id, _)| id == unknown).filter_map(|(_, &(start, end))| text.get(start..end));
        let mut found: Vec<String> = Vec::new();
        for word in words {
            if !found.iter().any(|other| other == word) {
                found.push(word.to_string());
            }
        }
        Ok(found)
    }
}

/// Lower case before all else, `<eos>` behind the text and nothing in front of it.
fn tokenize_as_siglip2(tokenizer: &mut tokenizers::Tokenizer) -> tokenizers::Result<()> {
    let published = tokenizer.get_normalizer().cloned();
    let normalizers = [Some(Lowercase.into()), published].into_iter().flatten().collect();
    tokenizer.with_normalizer(Some(Sequence::new(normalizers)))?;
    let template = TemplateProcessing::builder()
        .try_single("$A <eos>")?
        .special_tokens(vec![("<eos>", GEMMA_EOS)])
        .build()?;
    tokenizer.with_post_processor(Some(template));
    Ok(())
}

fn unsupported(reason: impl ToString) -> Error {
    Error::unsupported("tokenizer.json", reason.to_string())
}
