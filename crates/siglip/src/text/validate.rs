//! Checks of a `tokenizer.json` that the `tokenizers` crate does not make. It would panic later, and a panic ends a wasm
//! instance.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::{Map, Value};
use tokenizers::processors::template::{Piece, Sequence};
use tokenizers::utils::SysRegex;

use super::charsmap;

type Object = Map<String, Value>;

/// Fails if the `tokenizers` crate would panic with this file.
pub(super) fn check(tokenizer_json: &[u8]) -> Result<(), String> {
    let file: Object = serde_json::from_slice(tokenizer_json).map_err(|error| error.to_string())?;
    let parts = [
        ("normalizer", check_normalizer as fn(&Object) -> Result<(), String>),
        ("pre_tokenizer", check_pre_tokenizer),
        ("post_processor", check_template),
        ("model", check_merges),
    ];
    for (part, check) in parts {
        for object in file.get(part).map(objects).unwrap_or_default() {
            check(object).map_err(|reason| format!("{part}: {reason}"))?;
        }
    }
    Ok(())
}

/// All objects in `value`, itself included, since components are nested.
fn objects(value: &Value) -> Vec<&Object> {
    match value {
        Value::Array(items) => items.iter().flat_map(objects).collect(),
        Value::Object(object) => [object].into_iter().chain(object.values().flat_map(objects)).collect(),
        _ => Vec::new(),
    }
}

fn check_normalizer(object: &Object) -> Result<(), String> {
    // serde also accepts the kind in the form {"Precompiled": null}.
    if object.get("type").is_some_and(|kind| kind.to_string().contains("Precompiled")) {
        charsmap::check(object)?;
    }
    let matches_nothing = match object.get("pattern") {
        Some(Value::Object(pattern)) => match (pattern.get("String"), pattern.get("Regex")) {
            (Some(text), _) => text == "",
            (_, Some(Value::String(regex))) => {
                SysRegex::new(regex).map_err(|error| error.to_string())?.find_iter("").next().is_some()
            }
            _ => false,
        },
        _ => false,
    };
    if matches_nothing { Err("a pattern that matches the empty text".into()) } else { Ok(()) }
}

fn check_pre_tokenizer(object: &Object) -> Result<(), String> {
    let into_nothing = object.get("length").is_some_and(|length| length == 0);
    if into_nothing { Err("a piece length of 0".into()) } else { Ok(()) }
}

fn check_template(object: &Object) -> Result<(), String> {
    #[derive(Deserialize)]
    struct SpecialToken {
        ids: Vec<u32>,
        tokens: Vec<String>,
    }
    let Some(single) = object.get("single") else { return Ok(()) };
    let special_tokens = object.get("special_tokens").unwrap_or(&Value::Null);
    let single = Vec::<Piece>::deserialize(single).map_err(|error| error.to_string())?;
    let special_tokens =
        HashMap::<String, SpecialToken>::deserialize(special_tokens).map_err(|error| error.to_string())?;
    for piece in single {
        match piece {
            Piece::Sequence { id: Sequence::A, .. } => {}
            Piece::Sequence { .. } => return Err("it needs two texts".into()),
            Piece::SpecialToken { id, .. } => match special_tokens.get(&id) {
                Some(SpecialToken { ids, tokens }) if ids.len() == tokens.len() => {}
                _ => return Err(format!("it does not define the special token {id:?}")),
            },
        }
    }
    Ok(())
}

/// Byte-pair encoding: the result of a merge must be no longer than the longest token.
fn check_merges(object: &Object) -> Result<(), String> {
    let Some(merges) = object.get("merges").and_then(Value::as_array) else { return Ok(()) };
    if object.get("continuing_subword_prefix").is_some_and(|prefix| !prefix.is_null() && prefix != "") {
        return Err("continuing_subword_prefix is not supported".into());
    }
    let vocab = object.get("vocab").and_then(Value::as_object);
    let longest = vocab.into_iter().flat_map(Map::keys).map(String::len).max().unwrap_or(0);
    for merge in merges {
        let length = match merge {
            Value::Array(pair) => pair.iter().filter_map(Value::as_str).map(str::len).sum(),
            // "left right"
            Value::String(pair) => pair.len().saturating_sub(1),
            _ => 0,
        };
        if length > longest {
            return Err(format!("the merge {merge} makes a token that is not in the vocabulary"));
        }
    }
    Ok(())
}
