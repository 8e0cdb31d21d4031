//! Checks SentencePiece's `precompiled_charsmap`: the length of a trie in bytes, the trie (a darts double array of u32,
//! indexed by the bytes of the text to replace), and the replacements, each with a zero byte at its end.
//!
//! `tokenizers` does not check the bounds of the trie, so it is validated here.

use tokenizers::normalizers::Precompiled;

/// Reads the charsmap of a normalizer of kind `Precompiled`; fails unless it can be applied to any text.
pub(super) fn read(charsmap: &str) -> Result<Precompiled, String> {
    let charsmap = base64::decode(charsmap).ok().filter(|charsmap| is_sound(charsmap));
    let read = charsmap.and_then(|charsmap| Precompiled::from(&charsmap).ok());
    read.ok_or_else(|| "broken precompiled_charsmap".into())
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
