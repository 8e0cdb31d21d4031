//! tokenizer.json files: every kind of model and component in unusual combinations, with texts to match.

use arbitrary::{Result, Unstructured};
use serde_json::{Value, json};
use siglip::text::Tokenizer;

use super::pick;

/// Ids that a text is cut or padded to.
const LENGTH: usize = 16;

/// Makes one and reads a text with it.
pub fn check(source: &mut Unstructured) -> Result<()> {
    let special = ["<pad>", "</s>", "<unk>"];
    let pieces = ["▁", "a", "b", "ab", "▁a", "ä", "é", "\u{301}", "½", "кот", "😀", "##b", "1", " ", "Ġa"];
    let mut vocab: Vec<&str> = special.to_vec();
    for piece in pieces {
        if source.arbitrary()? {
            vocab.push(piece);
        }
    }
    let ids: Value = vocab
        .iter()
        .enumerate()
        .map(|(id, &piece)| (piece.to_string(), json!(id)))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let model = match source.int_in_range(0..=2)? {
        0 => {
            let mut scored = Vec::new();
            for &piece in &vocab {
                scored.push(json!([piece, -f64::from(source.arbitrary::<u8>()?) / 8.0]));
            }
            json!({"type": "Unigram", "unk_id": 2, "vocab": scored, "byte_fallback": source.arbitrary::<bool>()?})
        }
        1 => json!({"type": "WordLevel", "vocab": ids, "unk_token": "<unk>"}),
        _ => {
            let merges: &[&str] =
                if ["a", "b", "ab"].iter().all(|piece| vocab.contains(piece)) { &["a b"] } else { &[] };
            json!({"type": "BPE", "vocab": ids, "merges": merges, "unk_token": "<unk>",
                "fuse_unk": source.arbitrary::<bool>()?, "byte_fallback": source.arbitrary::<bool>()?})
        }
    };
    let mut normalizers = Vec::new();
    for _ in 0..source.int_in_range(0..=3)? {
        normalizers.push(pick(source, &[0, 1, 2, 3, 4, 5, 6, 7])?);
    }
    let normalizers: Vec<Value> = normalizers.into_iter().map(normalizer).collect();
    let pre_tokenizer = match source.int_in_range(0..=4)? {
        0 => Value::Null,
        1 => json!({"type": "WhitespaceSplit"}),
        2 => {
            json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": pick(source, &["always", "never", "first"])?, "split": true})
        }
        3 => {
            json!({"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, split(source)?]})
        }
        _ => split(source)?,
    };
    let added: Vec<Value> = special
        .iter()
        .enumerate()
        .map(|(id, content)| {
            json!({"id": id, "content": content, "single_word": false, "lstrip": false,
            "rstrip": false, "normalized": false, "special": true})
        })
        .collect();
    let ends: Value = match source.arbitrary()? {
        true => Value::Null,
        false => json!({"type": "TemplateProcessing",
            "single": [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "</s>", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"</s>": {"id": "</s>", "ids": [1], "tokens": ["</s>"]}}}),
    };
    let file = json!({"version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
        "normalizer": {"type": "Sequence", "normalizers": normalizers}, "pre_tokenizer": pre_tokenizer,
        "post_processor": ends, "decoder": null, "model": model});
    let words =
        ["a", "ab", "Ä", "é", "e\u{301}", "½", "кошка", "😀", "</s>", " ", "\u{200d}", "ﬁ", "\n", "%", "b"];
    let mut text = String::new();
    while !source.is_empty() && text.len() < 200 {
        text.push_str(pick(source, &words)?);
    }

    let tokenizer =
        Tokenizer::from_bytes(file.to_string().as_bytes(), LENGTH, 1).expect("a valid tokenizer.json");
    if let Ok(input_ids) = tokenizer.encode(&text) {
        assert_eq!(input_ids.len(), LENGTH);
        assert!(input_ids.iter().all(|&id| (id as usize) < vocab.len()), "{input_ids:?} of {}", vocab.len());
    }
    Ok(())
}

fn normalizer(kind: u32) -> Value {
    match kind {
        0 => json!({"type": "NFKC"}),
        1 => json!({"type": "NFD"}),
        2 => json!({"type": "NFC"}),
        3 => json!({"type": "Lowercase"}),
        4 => json!({"type": "Strip", "strip_left": true, "strip_right": true}),
        5 => json!({"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}),
        6 => json!({"type": "Prepend", "prepend": "▁"}),
        _ => json!({"type": "Replace", "pattern": {"Regex": "[^a-zé\\s]{1,3}"}, "content": "▁"}),
    }
}

fn split(source: &mut Unstructured) -> Result<Value> {
    let behavior =
        pick(source, &["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"])?;
    let regex = pick(source, &["a", ".", "[\\s%]+"])?;
    let invert: bool = source.arbitrary()?;
    Ok(json!({"type": "Split", "pattern": {"Regex": regex}, "behavior": behavior, "invert": invert}))
}
