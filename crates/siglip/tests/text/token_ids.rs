//! Token ids against those recorded by `tests/parity/record_tokens.py`, and what happens to broken files.

use std::path::PathBuf;

use serde::Deserialize;
use serde_json::{Value, json};
use siglip::Error;
use siglip::text::{DEFAULT_TEMPLATE, Template, Tokenizer};

fn read(path: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn siglip_v1() -> Tokenizer {
    Tokenizer::from_bytes(&read("tests/fixtures/tokenizer-siglip-v1/tokenizer.json"), 64, 1).unwrap()
}

#[derive(Deserialize)]
struct Recording {
    tokenizer: String,
    max_length: usize,
    pad_token_id: u32,
    /// A unit, how often it stands in the text, and the reference's input_ids.
    texts: Vec<(String, usize, Vec<u32>)>,
}

fn equals_recording(name: &str, at_least: usize) {
    let recording: Recording =
        serde_json::from_slice(&read(&format!("tests/parity/tokens-{name}.json"))).unwrap();
    let Recording { tokenizer, max_length, pad_token_id, texts } = recording;
    let tokenizer = Tokenizer::from_bytes(&read(&tokenizer), max_length, pad_token_id).unwrap();
    assert!(texts.len() >= at_least);
    for (unit, times, input_ids) in texts {
        assert_eq!(tokenizer.encode(&unit.repeat(times)).unwrap(), input_ids, "{times} x {unit:?}");
    }
}

#[test]
fn words_outside_a_vocabulary_of_words_are_named_as_they_are_written() {
    let tokenizer = tiny();
    let unknown = tokenizer.unknown_words("A Blorptang, a cat and zxqj: a Blorptang!").unwrap();
    assert_eq!(unknown, ["Blorptang", "zxqj"]);
    assert!(tokenizer.unknown_words("This is a photo of a cat.").unwrap().is_empty());
}

#[test]
fn a_vocabulary_of_pieces_knows_every_word() {
    assert!(siglip_v1().unknown_words("a blorptang, 猫").unwrap().is_empty());
}

fn tiny() -> Tokenizer {
    Tokenizer::from_bytes(&read("www/models/tiny/tokenizer.json"), 12, 0).unwrap()
}

/// Asserts that a word is unknown: alone, in capitals, inside a sentence, and beside punctuation.
fn is_unknown(tokenizer: &Tokenizer, word: &str) {
    let unknown = |text: &str| tokenizer.unknown_words(text).unwrap();
    assert_eq!(unknown(word), [word], "{word:?}");
    assert_eq!(unknown(&format!("a cat, a {word}: the {word}!")), [word], "{word:?}");
    assert_eq!(unknown(&format!("({word})")), [word], "{word:?}");
    let capitals = word.to_uppercase();
    assert_eq!(unknown(&capitals), [&*capitals], "{capitals:?}");
}

#[test]
fn words_in_scripts_that_the_normalizer_drops_are_unknown() {
    let words = [
        "кошка",
        "猫",
        "ネコ",
        "ねこ",
        "고양이",
        "قطة",
        "חתול",
        "γάτα",
        "კატა",
        "կատու",
        "बिल्ली",
        "แมว",
        "ድመት",
        "æ",
        "ø",
        "ł",
        "đ",
        "catкат",
        "кcat",
    ];
    for word in words {
        is_unknown(&tiny(), word);
    }
    // In capitals it is written with known letters.
    assert_eq!(tiny().unknown_words("straße").unwrap(), ["straße"]);
}

#[test]
fn words_with_accents_are_unknown_in_both_spellings() {
    let words = [
        ("naïve", "nai\u{308}ve"),
        ("ñandú", "n\u{303}andu\u{301}"),
        ("café", "cafe\u{301}"),
        ("ångström", "a\u{30a}ngstro\u{308}m"),
        ("façade", "fac\u{327}ade"),
        ("señor", "sen\u{303}or"),
    ];
    for (composed, decomposed) in words {
        is_unknown(&tiny(), composed);
        is_unknown(&tiny(), decomposed);
    }
    // A letter that has no composed form.
    is_unknown(&tiny(), "x\u{301}");
    // Generated: an accent on any letter of a known word.
    for place in 1..="elephant".len() {
        let word = format!("{}\u{301}{}", &"elephant"[..place], &"elephant"[place..]);
        assert_eq!(tiny().unknown_words(&word).unwrap(), [&*word]);
    }
}

#[test]
fn emoji_are_unknown() {
    let emoji =
        ["😀", "👍🏽", "👨\u{200d}👩\u{200d}👧", "🇩🇪", "❤\u{fe0f}", "☀", "1\u{fe0f}\u{20e3}", "cat😀", "😀cat"];
    for word in emoji {
        is_unknown(&tiny(), word);
    }
}

#[test]
fn numbers_that_the_normalizer_drops_are_unknown() {
    for word in ["½", "3½", "²", "m²", "①", "Ⅷ", "٣", "１２", "ｃａｔ"] {
        is_unknown(&tiny(), word);
    }
}

#[test]
fn a_word_that_an_invisible_character_splits_is_unknown() {
    for invisible in ['\u{ad}', '\u{200c}', '\u{200d}', '\u{2060}', '\u{feff}', '\u{fe0f}'] {
        is_unknown(&tiny(), &format!("ca{invisible}t"));
        assert!(tiny().unknown_words(&format!("cat{invisible}")).unwrap().is_empty(), "{invisible:?}");
    }
    // A zero-width space separates words.
    assert!(tiny().unknown_words("cat\u{200b}dog").unwrap().is_empty());
}

#[test]
fn a_text_that_becomes_empty_is_unknown() {
    for text in ["", "?", "???", "…", "—", "$", "'", "\u{200b}", "♪", "+-*/"] {
        assert_eq!(tiny().unknown_words(text).unwrap(), [text], "{text:?}");
    }
    assert_eq!(tiny().unknown_words("  ?! ").unwrap(), ["?!"]);
    assert_eq!(siglip_v1().unknown_words("?!").unwrap(), ["?!"]);
}

#[test]
fn punctuation_and_case_make_no_word_unknown() {
    let texts = [
        "cat",
        "CAT",
        "a cat's paw",
        "the dog & the cat",
        "$5",
        "5 %",
        "cat—dog",
        "cat…",
        "“cat”",
        "cat/dog",
        "(cat)",
        "cat_dog",
        "cat®",
        "the cat™",
        "cat\tdog\u{a0}bird",
        "20°",
    ];
    for text in texts {
        assert!(tiny().unknown_words(text).unwrap().is_empty(), "{text:?}");
    }
}

/// A vocabulary of pieces was trained with its normalizer: what that replaces is how the model reads it.
#[test]
fn the_normalizers_of_vocabularies_of_pieces_drop_no_letter() {
    let siglip2 =
        Tokenizer::from_bytes(&read("tests/fixtures/random-siglip2/tokenizer.json"), 64, 0).unwrap();
    let small = Tokenizer::from_bytes(&read("tests/fixtures/random-small/tokenizer.json"), 64, 1).unwrap();
    let words = [
        "кошка",
        "猫",
        "ｶﾞ",
        "قطة",
        "می\u{200c}خواهم",
        "बिल्ली",
        "naïve",
        "nai\u{308}ve",
        "x\u{301}",
        "½",
        "１２",
        "ﬁ",
        "ǅ",
        "İstanbul",
        "👨\u{200d}👩\u{200d}👧",
        "1\u{fe0f}\u{20e3}",
        "ca\u{ad}t",
        "ﷺ",
        "\u{958}",
    ];
    for tokenizer in [siglip_v1(), siglip2, small] {
        for word in words {
            assert!(tokenizer.unknown_words(word).unwrap().is_empty(), "{word:?}");
        }
        let letters = ('\u{a0}'..='\u{2ffff}').filter(|character| character.is_alphanumeric());
        for letter in letters.step_by(7) {
            assert!(tokenizer.unknown_words(&letter.to_string()).unwrap().is_empty(), "{letter:?}");
        }
    }
}

#[test]
fn siglip_v1_equals_the_reference() {
    equals_recording("siglip-v1", 200);
}

#[test]
fn tiny_equals_the_reference() {
    equals_recording("tiny", 60);
}

#[test]
fn random_small_equals_the_reference() {
    equals_recording("random-small", 60);
}

/// Ids that others recorded for SigLIP v1, without `</s>` and padding.
#[test]
fn token_ids_equal_recorded_ones() {
    let recorded: Value = serde_json::from_slice(&read("tests/fixtures/recorded_token_ids.json")).unwrap();
    let tokenizer = siglip_v1();
    let mut compared = 0;
    for texts in recorded.as_object().unwrap().values().filter_map(Value::as_object) {
        for (text, ids) in texts {
            // Where the slow tokenizer was recorded as well, the file's ids count.
            let ids = ids.get("tokenizer.json").unwrap_or(ids);
            let mut expected: Vec<u32> = serde_json::from_value(ids.clone()).unwrap();
            expected.resize(64, 1);
            assert_eq!(tokenizer.encode(text).unwrap(), expected, "{text:?}");
            compared += 1;
        }
    }
    assert_eq!(compared, 19);
}

#[test]
fn truncation_keeps_the_end_token() {
    let input_ids = siglip_v1().encode(&"word ".repeat(200)).unwrap();
    assert_eq!(input_ids[..63], [1281; 63]);
    assert_eq!(input_ids[63], 1);
}

#[test]
fn a_long_text_is_read_to_64_kib() {
    let tokenizer = siglip_v1();
    let cat = tokenizer.encode("cat").unwrap();
    assert_eq!(tokenizer.encode(&format!("{}cat", "!".repeat((64 << 10) - 3))).unwrap(), cat);
    // The cut falls into the middle of a character; what is left is three bytes short of 64 KiB.
    assert_eq!(tokenizer.encode(&format!("cat{}", "!".repeat(65_530) + "🐱 dog")).unwrap(), cat);
    assert_eq!(
        tokenizer.encode(&"cat dog ".repeat(1 << 17)).unwrap(),
        tokenizer.encode(&"cat dog ".repeat(40)).unwrap()
    );
}

/// SigLIP's v1 file with one part exchanged.
fn exchanged(part: &str, value: Value) -> Result<Tokenizer, Error> {
    let mut file: Value =
        serde_json::from_slice(&read("tests/fixtures/tokenizer-siglip-v1/tokenizer.json")).unwrap();
    file[part] = value;
    Tokenizer::from_bytes(file.to_string().as_bytes(), 64, 1)
}

#[test]
fn the_files_own_padding_and_truncation_do_not_apply() {
    let truncation = json!({"direction": "Left", "max_length": 3, "strategy": "LongestFirst", "stride": 0});
    let padding = json!({
        "strategy": {"Fixed": 100}, "direction": "Left", "pad_to_multiple_of": null, "pad_id": 0, "pad_type_id": 0,
        "pad_token": "<pad>"
    });
    let text = "a photo of the inside of a refrigerator";
    let expected = siglip_v1().encode(text).unwrap();
    assert_eq!(exchanged("truncation", truncation).unwrap().encode(text).unwrap(), expected);
    assert_eq!(exchanged("padding", padding).unwrap().encode(text).unwrap(), expected);
}

fn refused(tokenizer: Result<Tokenizer, Error>) -> String {
    match tokenizer {
        Err(Error::UnsupportedModel { field, reason }) if field == "tokenizer.json" => reason,
        other => panic!("{:?}", other.map(|_| "a tokenizer")),
    }
}

#[test]
fn a_broken_file_is_refused() {
    let whole = read("tests/fixtures/tokenizer-siglip-v1/tokenizer.json");
    let html = b"<!doctype html><title>404</title>";
    for bytes in [&b""[..], b"{}", b"[]", b"null", b"\xff\xfe", html, &whole[..whole.len() / 2]] {
        assert!(!refused(Tokenizer::from_bytes(bytes, 64, 1)).is_empty());
    }
}

#[test]
fn an_html_page_or_lfs_pointer_in_place_of_a_file_is_named() {
    let refused = |bytes: &[u8]| refused(Tokenizer::from_bytes(bytes, 64, 1));
    assert!(refused(b"<!doctype html><title>404</title>").contains("HTML page"));
    assert!(
        refused(b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n").contains("git lfs pull")
    );
}

#[test]
fn a_file_of_an_unknown_kind_is_refused() {
    refused(exchanged("model", json!({"type": "Telepathy"})));
    refused(exchanged("normalizer", json!({"type": "Telepathy"})));
    refused(exchanged("normalizer", json!({"type": "Replace", "pattern": {"Regex": "("}, "content": ""})));
    refused(exchanged("normalizer", json!({"type": "Precompiled", "precompiled_charsmap": "AAAA"})));
    refused(exchanged("model", json!({"type": "Unigram", "unk_id": 7, "vocab": [["a", 0.0]]})));
}

#[test]
fn what_is_not_supported_of_a_file_is_named() {
    let says = |part: &str, value: Value, words: &[&str]| {
        let reason = refused(exchanged(part, value));
        assert!(words.iter().all(|word| reason.contains(word)), "{reason}");
    };
    says("model", json!({"type": "WordPiece"}), &["model: ", "WordPiece", "Unigram"]);
    says("normalizer", json!({"type": "StripAccents"}), &["normalizer: ", "StripAccents", "Lowercase"]);
    says("pre_tokenizer", json!({"type": "ByteLevel"}), &["pre_tokenizer: ", "ByteLevel", "Metaspace"]);
    says(
        "post_processor",
        json!({"type": "BertProcessing"}),
        &["post_processor: ", "BertProcessing", "TemplateProcessing"],
    );
    let regex = json!({"type": "Replace", "pattern": {"Regex": r"\w+|[^\w\s]+"}, "content": " "});
    says(
        "normalizer",
        json!({"type": "Sequence", "normalizers": [regex]}),
        &["normalizer: ", "the regular expression", "[^a-z]+"],
    );
    let word = json!({"id": 3, "content": "cat", "single_word": true, "lstrip": false, "rstrip": false, "normalized": true});
    says("added_tokens", json!([word]), &["\"cat\"", "single_word"]);
    says("model", json!({"type": "BPE", "vocab": {}, "merges": [], "dropout": 0.1}), &["dropout", "random"]);
}

/// Files of the right form whose parts do not fit together; `tokenizers` alone would panic at them.
#[test]
fn a_tokenizer_that_contradicts_itself_is_refused() {
    let normalizer = |value| refused(exchanged("normalizer", value));
    normalizer(json!({"type": "Precompiled"}));
    normalizer(
        json!({"type": "Sequence", "normalizers": [{"type": "Precompiled", "precompiled_charsmap": ""}]}),
    );
    normalizer(json!({"type": "Replace", "pattern": {"String": ""}, "content": "x"}));
    normalizer(json!({"type": "Replace", "pattern": {"Regex": "x*"}, "content": "y"}));
    // A trie of one unit that leads out of itself, then one without replacements.
    normalizer(json!({"type": "Precompiled", "precompiled_charsmap": "BAAAAAAEAAA="}));
    normalizer(json!({"type": "Precompiled", "precompiled_charsmap": "AAAAAA=="}));

    refused(exchanged("pre_tokenizer", json!({"type": "FixedLength", "length": 0})));

    let template = |pieces: Value, ids: Value| {
        let end = json!({"id": "</s>", "ids": ids, "tokens": ["</s>"]});
        let special_tokens = json!({"</s>": end});
        let template = json!({
            "type": "TemplateProcessing", "single": pieces, "pair": [], "special_tokens": special_tokens
        });
        exchanged("post_processor", template)
    };
    let text = json!({"Sequence": {"id": "A", "type_id": 0}});
    let second_text = json!({"Sequence": {"id": "B", "type_id": 0}});
    let special = |id: &str| json!({"SpecialToken": {"id": id, "type_id": 0}});
    let started = template(json!([special("</s>"), text]), json!([1])).unwrap().encode("a cat").unwrap();
    assert_eq!(started[..5], [1, 262, 266, 2783, 1]);
    assert!(refused(template(json!([second_text]), json!([1]))).contains("two texts"));
    assert!(refused(template(json!([text, special("<s>")]), json!([1]))).contains("\"<s>\""));
    refused(template(json!([text, special("</s>")]), json!([1, 2])));

    let vocab = json!({"a": 0, "b": 1, "ab": 2});
    let pairs = |prefix: Value, merges: Value| {
        let model =
            json!({"type": "BPE", "vocab": vocab, "merges": merges, "continuing_subword_prefix": prefix});
        exchanged("model", model)
    };
    assert_eq!(pairs(Value::Null, json!([["a", "b"]])).unwrap().encode("ab").unwrap()[0], 2);
    refused(pairs(Value::Null, json!([["a", "b"], ["ab", "b"]])));
    refused(pairs(Value::Null, json!(["a b", "ab b"])));
    refused(pairs(json!("##"), json!([["a", "b"]])));
}

#[test]
fn special_tokens_need_room() {
    let file = read("tests/fixtures/tokenizer-siglip-v1/tokenizer.json");
    assert_eq!(Tokenizer::from_bytes(&file, 1, 1).unwrap().encode("a cat").unwrap(), [1]);
    let reason = refused(Tokenizer::from_bytes(&file, 0, 1));
    assert_eq!(reason, "its 1 special tokens do not fit into 0 positions");
}

#[test]
fn a_word_without_an_id_is_an_error_where_the_file_has_none_for_it() {
    let model = json!({"type": "WordLevel", "vocab": {"cat": 0}, "unk_token": "<unk>"});
    let tokenizer = json!({"version": "1.0", "pre_tokenizer": {"type": "WhitespaceSplit"}, "model": model});
    let tokenizer = Tokenizer::from_bytes(tokenizer.to_string().as_bytes(), 3, 0).unwrap();
    assert_eq!(tokenizer.encode("cat cat").unwrap(), [0; 3]);
    assert_eq!(tokenizer.encode("dog").unwrap_err().code(), "unsupported-model");
}

#[test]
fn a_label_is_inserted_unchanged() {
    let template = Template::new("a {} on $1").unwrap();
    for label in ["cat", "", "$1 {} \n", "$& $$ \\0 {0} %s", "{}{}", "🐱"] {
        assert_eq!(template.apply(label), ["a ", label, " on $1"].concat());
    }
    assert_eq!(Template::new("{}").unwrap().apply("a cat"), "a cat");
    assert_eq!(Template::new("{0} {{ {} }").unwrap().apply("a cat"), "{0} {{ a cat }");
    assert_eq!(Template::default(), Template::new(DEFAULT_TEMPLATE).unwrap());
    assert_eq!(Template::default().apply("a cat"), "This is a photo of a cat.");
}

#[test]
fn a_template_has_one_placeholder() {
    for template in ["", "a photo", "{0}", "{ }", "{} and {}", "{}{}"] {
        let error = Template::new(template).unwrap_err();
        assert_eq!(error.code(), "bad-input");
        assert!(error.to_string().contains("{}"), "{error}");
    }
}
