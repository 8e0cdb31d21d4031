//! The models of a tokenizer.json: from a part of a text to tokens.

use serde_json::Value;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::models::unigram::Unigram;
use tokenizers::models::wordlevel::WordLevel;
use tokenizers::{Model as _, Token};

use super::fields::{array, kind, optional_flag, text, token_id};

/// A model of the `tokenizers` crate.
#[derive(Debug)]
pub(super) enum Model {
    /// Pieces of words, joined pair by pair.
    Bpe(Box<BPE>),
    /// Pieces of words, of the greatest probability.
    Unigram(Box<Unigram>),
    /// Whole words.
    WordLevel(Box<WordLevel>),
}

impl Model {
    /// Reads the model of a file.
    pub fn of(model: &Value) -> Result<Model, String> {
        match kind(model)? {
            "BPE" => Ok(Model::Bpe(bpe(model)?.into())),
            "Unigram" => Ok(Model::Unigram(unigram(model)?.into())),
            "WordLevel" => {
                let builder = WordLevel::builder().unk_token(text(model, "unk_token")?.into());
                let words = builder.vocab(vocabulary(model)?.collect::<Result<_, _>>()?).build();
                Ok(Model::WordLevel(words.map_err(|error| error.to_string())?.into()))
            }
            other => Err(format!("{other:?} is not supported; supported are BPE, Unigram and WordLevel")),
        }
    }

    pub fn tokenize(&self, text: &str) -> tokenizers::Result<Vec<Token>> {
        match self {
            Model::Bpe(model) => model.tokenize(text),
            Model::Unigram(model) => model.tokenize(text),
            Model::WordLevel(model) => model.tokenize(text),
        }
    }

    pub fn token_to_id(&self, token: &str) -> Option<u32> {
        match self {
            Model::Bpe(model) => model.token_to_id(token),
            Model::Unigram(model) => model.token_to_id(token),
            Model::WordLevel(model) => model.token_to_id(token),
        }
    }

    pub fn vocabulary_size(&self) -> u32 {
        let size = match self {
            Model::Bpe(model) => model.get_vocab_size(),
            Model::Unigram(model) => model.get_vocab_size(),
            Model::WordLevel(model) => model.get_vocab_size(),
        };
        size as u32
    }
}

/// Tokens and their ids.
fn vocabulary(model: &Value) -> Result<impl Iterator<Item = Result<(String, u32), String>>, String> {
    let vocabulary = model["vocab"].as_object().ok_or("vocab is not an object")?;
    Ok(vocabulary.iter().map(|(token, id)| Ok((token.clone(), token_id(id)?))))
}

fn unigram(model: &Value) -> Result<Unigram, String> {
    let scored = |entry: &Value| match (entry[0].as_str(), entry[1].as_f64()) {
        (Some(token), Some(score)) => Ok((token.to_string(), score)),
        _ => Err(format!("{entry} is not a token and its score")),
    };
    let vocab = array(model, "vocab")?.iter().map(scored).collect::<Result<_, _>>()?;
    let unknown = &model["unk_id"];
    let unknown = if unknown.is_null() { None } else { Some(token_id(unknown)? as usize) };
    Unigram::from(vocab, unknown, optional_flag(model, "byte_fallback")?).map_err(|error| error.to_string())
}

fn bpe(model: &Value) -> Result<BPE, String> {
    let optional_text = |name| if model[name].is_null() { Ok("") } else { text(model, name) };
    if !optional_text("continuing_subword_prefix")?.is_empty() {
        return Err("continuing_subword_prefix is not supported".into());
    }
    if model["dropout"].as_f64().is_some_and(|dropout| dropout != 0.0) {
        return Err("dropout is not supported: it would make ids random".into());
    }
    let vocab = vocabulary(model)?.collect::<Result<Vocab, _>>()?;
    let longest = vocab.keys().map(String::len).max().unwrap_or(0);
    let mut merges = Vec::new();
    for merge in array(model, "merges")? {
        let (left, right) = match merge {
            Value::String(pair) => pair.split_once(' ').filter(|(_, right)| !right.contains(' ')),
            pair => pair[0].as_str().zip(pair[1].as_str()),
        }
        .ok_or_else(|| format!("the merge {merge} is not a pair"))?;
        // The builder would panic.
        if left.len() + right.len() > longest {
            return Err(format!("the merge {merge} makes a token that is not in the vocabulary"));
        }
        merges.push((left.into(), right.into()));
    }
    let mut builder = BPE::builder()
        .vocab_and_merges(vocab, merges)
        .fuse_unk(optional_flag(model, "fuse_unk")?)
        .byte_fallback(optional_flag(model, "byte_fallback")?)
        .ignore_merges(optional_flag(model, "ignore_merges")?);
    if !model["unk_token"].is_null() {
        builder = builder.unk_token(text(model, "unk_token")?.into());
    }
    if !model["end_of_word_suffix"].is_null() {
        builder = builder.end_of_word_suffix(text(model, "end_of_word_suffix")?.into());
    }
    builder.build().map_err(|error| error.to_string())
}
