//! The models of a tokenizer.json: from a part of a text to tokens.

use serde_json::Value;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::models::unigram::Unigram;
use tokenizers::models::wordlevel::WordLevel;
use tokenizers::{Model as _, Token};

use super::fields::{kind, optional_flag, take, text, token_id};

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
    /// Reads the model of a file. Its tokens are moved: copies of Gemma's would take 60 MB more.
    pub fn of(mut model: Value) -> Result<Model, String> {
        match kind(&model)? {
            "BPE" => Ok(Model::Bpe(bpe(model)?.into())),
            "Unigram" => Ok(Model::Unigram(unigram(model)?.into())),
            "WordLevel" => {
                let builder = WordLevel::builder().unk_token(text(&model, "unk_token")?.into());
                let words = builder.vocab(vocabulary(&mut model)?.collect::<Result<_, _>>()?).build();
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

/// Takes the tokens and their ids.
fn vocabulary(model: &mut Value) -> Result<impl Iterator<Item = Result<(String, u32), String>>, String> {
    let Value::Object(vocabulary) = take(model, "vocab") else { return Err("vocab is not an object".into()) };
    Ok(vocabulary.into_iter().map(|(token, id)| Ok((token, token_id(&id)?))))
}

/// Takes a list.
fn list(model: &mut Value, name: &str) -> Result<Vec<Value>, String> {
    match take(model, name) {
        Value::Array(list) => Ok(list),
        _ => Err(format!("{name} is not a list")),
    }
}

fn unigram(mut model: Value) -> Result<Unigram, String> {
    let scored = |mut entry: Value| match (entry[1].as_f64(), entry.get_mut(0).map(Value::take)) {
        (Some(score), Some(Value::String(token))) => Ok((token, score)),
        _ => Err("an entry of vocab is not a token and its score".to_string()),
    };
    let vocab = list(&mut model, "vocab")?.into_iter().map(scored).collect::<Result<_, _>>()?;
    let unknown = &model["unk_id"];
    let unknown = if unknown.is_null() { None } else { Some(token_id(unknown)? as usize) };
    Unigram::from(vocab, unknown, optional_flag(&model, "byte_fallback")?).map_err(|error| error.to_string())
}

fn bpe(mut model: Value) -> Result<BPE, String> {
    let prefix = &model["continuing_subword_prefix"];
    if !prefix.is_null() && prefix != "" {
        return Err("continuing_subword_prefix is not supported".into());
    }
    if model["dropout"].as_f64().is_some_and(|dropout| dropout != 0.0) {
        return Err("dropout is not supported: it would make ids random".into());
    }
    let vocab = vocabulary(&mut model)?.collect::<Result<Vocab, _>>()?;
    let longest = vocab.keys().map(String::len).max().unwrap_or(0);
    let mut merges = Vec::new();
    for merge in list(&mut model, "merges")? {
        let (left, right) = pair(merge).ok_or("one of merges is not a pair")?;
        // The builder would panic.
        if left.len() + right.len() > longest {
            return Err(format!(
                "the merge of {left:?} and {right:?} makes a token that is not in the vocabulary"
            ));
        }
        merges.push((left, right));
    }
    let mut builder = BPE::builder()
        .vocab_and_merges(vocab, merges)
        .fuse_unk(optional_flag(&model, "fuse_unk")?)
        .byte_fallback(optional_flag(&model, "byte_fallback")?)
        .ignore_merges(optional_flag(&model, "ignore_merges")?);
    if !model["unk_token"].is_null() {
        builder = builder.unk_token(text(&model, "unk_token")?.into());
    }
    if !model["end_of_word_suffix"].is_null() {
        builder = builder.end_of_word_suffix(text(&model, "end_of_word_suffix")?.into());
    }
    builder.build().map_err(|error| error.to_string())
}

/// `["left", "right"]` or `"left right"`.
fn pair(merge: Value) -> Option<(String, String)> {
    match merge {
        Value::String(merge) => {
            let (left, right) = merge.split_once(' ').filter(|(_, right)| !right.contains(' '))?;
            Some((left.into(), right.into()))
        }
        Value::Array(pair) => match <[Value; 2]>::try_from(pair).ok()? {
            [Value::String(left), Value::String(right)] => Some((left, right)),
            _ => None,
        },
        _ => None,
    }
}
