//! A tokenizer.json: what its parts do with a text, one after the other.
//!
//! It has what files of SigLIP use. Each part does what that of the `tokenizers` crate does; texts and models are that
//! crate's. Its `Tokenizer` would bring all its parts, and two engines of regular expressions.

use serde_json::Value;
use tokenizers::{OffsetReferential, OffsetType, Offsets, PreTokenizedString, TruncationDirection};

use super::added_tokens::{self, AddedToken, AddedTokens};
use super::fields::take;
use super::model::Model;
use super::normalizer::Normalizer;
use super::pre_tokenizer::PreTokenizer;
use super::special_tokens::SpecialTokens;

/// The special tokens of Gemma, whose vocabulary SigLIP 2 uses, and their ids.
const GEMMA: [(&str, u32); 3] = [("<pad>", GEMMA_PAD), ("<eos>", GEMMA_EOS), ("<bos>", 2)];
pub(super) const GEMMA_PAD: u32 = 0;
const GEMMA_EOS: u32 = 1;

/// From a text to the ids of its tokens.
#[derive(Debug)]
pub(super) struct Pipeline {
    pub normalizer: Option<Normalizer>,
    added_tokens: AddedTokens,
    pre_tokenizer: Option<PreTokenizer>,
    model: Model,
    pub special_tokens: SpecialTokens,
    /// Whether the vocabulary is Gemma's.
    pub is_gemma: bool,
}

impl Pipeline {
    /// Reads a file.
    pub fn of(tokenizer_json: &[u8]) -> Result<Pipeline, String> {
        let mut file: Value = serde_json::from_slice(tokenizer_json).map_err(|error| error.to_string())?;
        let in_part = |part| move |reason: String| format!("{part}: {reason}");
        let model = Model::of(take(&mut file, "model")).map_err(in_part("model"))?;
        let normalizer = Normalizer::of(&file["normalizer"]).map_err(in_part("normalizer"))?;
        let pre_tokenizer = PreTokenizer::of(&file["pre_tokenizer"]).map_err(in_part("pre_tokenizer"))?;
        let special_tokens = SpecialTokens::of(&file["post_processor"]).map_err(in_part("post_processor"))?;
        let added = added_tokens::read(&file, &model)?;

        let is_gemma = GEMMA.iter().all(|&(token, id)| token_to_id(&added, &model, token) == Some(id));
        let (normalizer, special_tokens) = match is_gemma {
            // Lower case first, `<eos>` after the text, and no `<bos>` before it.
            true => {
                let all = [Some(Normalizer::Lowercase), normalizer].into_iter().flatten().collect();
                (Some(Normalizer::Sequence(all)), SpecialTokens::end(GEMMA_EOS))
            }
            false => (normalizer, special_tokens),
        };
        let added_tokens = AddedTokens::new(added, normalizer.as_ref()).map_err(|error| error.to_string())?;
        Ok(Pipeline { normalizer, added_tokens, pre_tokenizer, model, special_tokens, is_gemma })
    }

    /// The token for any word that a vocabulary of whole words lacks. `None` for a vocabulary of pieces of words.
    pub fn unknown_word(&self) -> Option<u32> {
        match &self.model {
            Model::WordLevel(words) => self.model.token_to_id(&words.unk_token),
            _ => None,
        }
    }

    /// The ids of a text, special tokens included: `max_length` at most.
    pub fn ids(&self, text: &str, max_length: usize) -> tokenizers::Result<Vec<u32>> {
        let parts = self.tokens(text, max_length)?;
        let parts = parts.get_splits(OffsetReferential::Normalized, OffsetType::None);
        let tokens = parts.iter().filter_map(|(_, _, tokens)| tokens.as_ref()).flatten();
        Ok(self.special_tokens.around(&tokens.map(|token| token.id).collect::<Vec<_>>(), max_length))
    }

    /// The ids of a text without special tokens, and the byte ranges that they stand for: `most` at most.
    pub fn ids_and_ranges(&self, text: &str, most: usize) -> tokenizers::Result<Vec<(u32, Offsets)>> {
        let tokens = self.tokens(text, most)?.into_encoding(None, 0, OffsetType::Byte)?;
        Ok(tokens.get_ids().iter().copied().zip(tokens.get_offsets().iter().copied()).take(most).collect())
    }

    /// The tokens of a text. No part is read once there are `most`.
    fn tokens(&self, text: &str, most: usize) -> tokenizers::Result<PreTokenizedString> {
        let mut parts = self.added_tokens.split(self.normalizer.as_ref(), text)?;
        if let Some(pre_tokenizer) = &self.pre_tokenizer {
            pre_tokenizer.apply(&mut parts)?;
        }
        let tokenize = |part: &tokenizers::NormalizedString| self.model.tokenize(part.get());
        parts.tokenize_with_limit(tokenize, most, TruncationDirection::Right)?;
        Ok(parts)
    }
}

fn token_to_id(added: &[AddedToken], model: &Model, token: &str) -> Option<u32> {
    let added = added.iter().find(|added| added.content == token);
    added.map(|added| added.id).or_else(|| model.token_to_id(token))
}
