//! Which special tokens stand before and behind a text: the post-processor of a tokenizer.json.

use serde_json::Value;

use super::fields::{array, kind, text, token_id};

/// A text's tokens and the special ones, in their order.
#[derive(Debug)]
pub(super) struct SpecialTokens(Vec<Piece>);

#[derive(Debug)]
enum Piece {
    Text,
    Special(Vec<u32>),
}

impl SpecialTokens {
    /// This token behind the text.
    pub fn end(id: u32) -> SpecialTokens {
        SpecialTokens(vec![Piece::Text, Piece::Special(vec![id])])
    }

    /// Reads the post-processor of a file, which may be `null`.
    pub fn of(post_processor: &Value) -> Result<SpecialTokens, String> {
        if post_processor.is_null() {
            return Ok(SpecialTokens(vec![Piece::Text]));
        }
        match kind(post_processor)? {
            "TemplateProcessing" => {}
            other => return Err(format!("{other:?} is not supported; supported is TemplateProcessing")),
        }
        let piece = |piece: &Value| {
            let special = &piece["SpecialToken"];
            if special.is_null() {
                return match piece["Sequence"]["id"].as_str() {
                    Some("A") => Ok(Piece::Text),
                    Some("B") => Err("it needs two texts".into()),
                    _ => Err(format!("{piece} is neither a text nor a special token")),
                };
            }
            let id = text(special, "id")?;
            let token = &post_processor["special_tokens"][id];
            match (token["ids"].as_array(), token["tokens"].as_array()) {
                (Some(ids), Some(tokens)) if ids.len() == tokens.len() => {
                    Ok(Piece::Special(ids.iter().map(token_id).collect::<Result<_, _>>()?))
                }
                _ => Err(format!("it does not define the special token {id:?}")),
            }
        };
        Ok(SpecialTokens(array(post_processor, "single")?.iter().map(piece).collect::<Result<_, _>>()?))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        let length = |piece: &Piece| if let Piece::Special(ids) = piece { ids.len() } else { 0 };
        self.0.iter().map(length).sum()
    }

    /// The ids of a text with the special tokens. The text is cut so that all are `max_length` at most.
    pub fn around(&self, ids: &[u32], max_length: usize) -> Vec<u32> {
        let ids = &ids[..ids.len().min(max_length - self.len())];
        let ids_of =
            |piece: &Piece| if let Piece::Special(special) = piece { special.clone() } else { ids.to_vec() };
        self.0.iter().flat_map(ids_of).collect()
    }
}
