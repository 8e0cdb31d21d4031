//! Checks SentencePiece's `precompiled_charsmap`: the length of a trie in bytes, the trie (a darts double array of u32,
//! indexed by the bytes of the text to replace), and the replacements, each with a zero byte at its end.
//!
//! `tokenizers` does not check the bounds of the trie, so it is validated here.

use serde_json::{Map, Value};
use tokenizers::normalizers::Precompiled;

/// Fails unless the normalizer of kind `Precompiled` can be applied to any text.
pub(super) fn check(normalizer: &Map<String, Value>) -> Result<(), String> {
    let broken = || "broken precompiled_charsmap".to_string();
    let charsmap = normalizer.get("precompiled_charsmap").and_then(Value::as_str).ok_or_else(broken)?;
    // From a string, as tokenizers does: its deserializer borrows the text.
    let json = Value::Object(normalizer.clone()).to_string();
    serde_json::from_str::<Precompiled>(&json).map_err(|_| broken())?;
    is_sound(&base64(charsmap).ok_or_else(broken)?).then_some(()).ok_or_else(broken)
}

/// Whether every path through the trie stays inside it and ends at a replacement.
fn is_sound(charsmap: &[u8]) -> bool {
    let Some((length, rest)) = charsmap.split_first_chunk() else { return false };
    let length = u32::from_le_bytes(*length) as usize / 4 * 4;
    let Some((trie, replacements)) = rest.split_at_checked(length) else { return false };
    let trie: Vec<usize> = trie.as_chunks().0.iter().map(|&unit| u32::from_le_bytes(unit) as usize).collect();
    let Ok(replacements) = str::from_utf8(replacements) else { return false };

    let Some(root) = trie.first() else { return false };
    let mut bases = vec![offset(*root)];
    let mut seen = vec![false; trie.len()];
    while let Some(base) = bases.pop() {
        // The next byte can have any value.
        if base | 0xff >= trie.len() {
            return false;
        }
        if std::mem::replace(&mut seen[base], true) {
            continue;
        }
        for byte in 1..=0xff {
            let place = base ^ byte;
            let unit = trie[place];
            if unit & (1 << 31 | 0xff) != byte {
                continue;
            }
            let next = place ^ offset(unit);
            let has_leaf = unit >> 8 & 1 == 1;
            if has_leaf
                && !trie.get(next).is_some_and(|leaf| replacements.is_char_boundary(leaf & !(1 << 31)))
            {
                return false;
            }
            bases.push(next);
        }
    }
    true
}

fn offset(unit: usize) -> usize {
    (unit >> 10) << ((unit & 1 << 9) >> 6)
}

/// Decodes text that a strict decoder has accepted before.
fn base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0u32, 0);
    for digit in text.trim_end_matches('=').bytes() {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        (bits, count) = (bits << 6 | u32::from(value), count + 6);
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    Some(bytes)
}
