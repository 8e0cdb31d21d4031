//! Tokens that stand for themselves in a text, such as `</s>`: they are found before the model reads it.

use std::collections::HashMap;

use serde_json::Value;
use tokenizers::normalizer::Range;
use tokenizers::{NormalizedString, Offsets, PreTokenizedString, Token};

use super::fields::{array, flag, text};
use super::model::Model;
use super::normalizer::Normalizer;

/// Tokens by where they are looked for: in the text as it is written, and in what the normalizer makes of it.
#[derive(Debug)]
pub(super) struct AddedTokens {
    written: Finder,
    normalized: Finder,
}

/// A token of the file's list.
#[derive(Debug)]
pub(super) struct AddedToken {
    pub content: String,
    pub id: u32,
    /// Whether it takes the white space before it, and behind it.
    strips: (bool, bool),
    normalized: bool,
}

/// Reads the list. A token that the model lacks gets the next id after the model's.
pub(super) fn read(file: &Value, model: &Model) -> Result<Vec<AddedToken>, String> {
    let mut tokens: Vec<AddedToken> = Vec::new();
    if file["added_tokens"].is_null() {
        return Ok(tokens);
    }
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut next_id = model.vocabulary_size();
    for token in array(file, "added_tokens")? {
        let content = text(token, "content")?;
        if content.is_empty() {
            continue;
        }
        if flag(token, "single_word")? {
            return Err(format!("the added token {content:?} has single_word, which is not supported"));
        }
        let place = places.get(content).copied();
        let id = place.map(|place| tokens[place].id).or_else(|| model.token_to_id(content));
        let token = AddedToken {
            content: content.into(),
            id: id.unwrap_or(next_id),
            strips: (flag(token, "lstrip")?, flag(token, "rstrip")?),
            normalized: flag(token, "normalized")?,
        };
        next_id += u32::from(id.is_none());
        match place {
            // The last of several counts.
            Some(place) => tokens[place] = token,
            None => {
                places.insert(content, tokens.len());
                tokens.push(token);
            }
        }
    }
    Ok(tokens)
}

impl AddedTokens {
    /// Fails where the normalizer leaves nothing of a token, or makes two equal: no text would tell which is meant.
    pub fn new(tokens: Vec<AddedToken>, normalizer: Option<&Normalizer>) -> tokenizers::Result<AddedTokens> {
        let (mut normalized, written): (Vec<_>, Vec<_>) =
            tokens.into_iter().partition(|token| token.normalized);
        if let Some(normalizer) = normalizer {
            for token in &mut normalized {
                token.content = normalizer.normalized(&token.content)?;
            }
        }
        let normalized = Finder::new(normalized);
        let contents = || normalized.tokens.iter().map(|token| &*token.content);
        if let Some(content) =
            contents().zip(contents().skip(1)).find_map(|(one, next)| (one == next).then_some(one))
        {
            return Err(format!("two added tokens are normalized to {content:?}").into());
        }
        if contents().next() == Some("") {
            return Err("an added token is normalized to nothing".into());
        }
        Ok(AddedTokens { written: Finder::new(written), normalized })
    }

    /// Normalizes a text and splits it at the tokens, which are marked as such.
    pub fn split(
        &self,
        normalizer: Option<&Normalizer>,
        text: &str,
    ) -> tokenizers::Result<PreTokenizedString> {
        let mut parts = PreTokenizedString::from(text);
        parts.split(|_, part| self.written.split(&part))?;
        parts.split(|_, mut part| {
            if let Some(normalizer) = normalizer {
                normalizer.apply(&mut part)?;
            }
            self.normalized.split(&part)
        })?;
        Ok(parts)
    }
}

/// Finds tokens in a text.
#[derive(Debug)]
struct Finder {
    /// Sorted by their contents.
    tokens: Vec<AddedToken>,
}

impl Finder {
    fn new(mut tokens: Vec<AddedToken>) -> Finder {
        tokens.sort_by(|one, other| one.content.cmp(&other.content));
        Finder { tokens }
    }

    /// The longest token that begins a text.
    fn longest(&self, text: &[u8]) -> Option<&AddedToken> {
        let mut longest = None;
        let mut same = &self.tokens[..];
        for (length, byte) in text.iter().enumerate() {
            // Those that begin with the bytes so far; the shortest is the first.
            let start = same.partition_point(|token| token.content.as_bytes().get(length) < Some(byte));
            let end = same.partition_point(|token| token.content.as_bytes().get(length) <= Some(byte));
            same = &same[start..end];
            match same.first() {
                Some(token) if token.content.len() == length + 1 => longest = Some(token),
                Some(_) => {}
                None => break,
            }
        }
        longest
    }

    /// The byte ranges of a text, with the ids of those that are tokens.
    fn ranges(&self, text: &str) -> Vec<(Option<u32>, Offsets)> {
        let mut ranges = Vec::new();
        // What is searched for tokens, and what no range has yet, begin here.
        let (mut at, mut rest) = (0, 0);
        while at < text.len() {
            let Some(token) = self.longest(&text.as_bytes()[at..]) else {
                at += 1;
                continue;
            };
            let (mut start, mut end) = (at, at + token.content.len());
            at = end;
            if token.strips.0 {
                start = text[..start].trim_end().len().max(rest);
            }
            if token.strips.1 {
                end = text.len() - text[end..].trim_start().len();
            }
            // A token of white space that the one before has taken.
            end = end.max(start);
            if rest < start {
                ranges.push((None, (rest, start)));
            }
            ranges.push((Some(token.id), (start, end)));
            rest = end;
        }
        if rest < text.len() || text.is_empty() {
            ranges.push((None, (rest, text.len())));
        }
        ranges
    }

    fn split(
        &self,
        text: &NormalizedString,
    ) -> tokenizers::Result<Vec<(NormalizedString, Option<Vec<Token>>)>> {
        let ranges = if self.tokens.is_empty() {
            vec![(None, (0, text.get().len()))]
        } else {
            self.ranges(text.get())
        };
        let part = |(id, (start, end)): (Option<u32>, Offsets)| {
            let part = text.slice(Range::Normalized(start..end)).ok_or("a token inside a character")?;
            let token = id.map(|id| vec![Token::new(id, String::new(), (0, part.len()))]);
            Ok((part, token))
        };
        ranges.into_iter().map(part).collect()
    }
}
