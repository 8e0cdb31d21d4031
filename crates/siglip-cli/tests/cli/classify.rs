//! `siglip classify`: its answers, and what it says of pictures and labels that are broken or unknown.

use std::fs;

use serde_json::{Value, json};

use crate::support::{answer, repository, run, text};
use crate::{BROKEN, CAT, json_lines};

#[test]
fn classify_gives_the_references_scores() {
    compare_with("answers-tiny.json", "www/samples");
}

#[test]
fn odd_and_damaged_pictures_have_the_logits_that_the_reference_has_on_pillow() {
    compare_with("answers-hunt.json", "tests/fixtures/pictures/hunt");
}

/// Classifies the pictures in `folder` that `recording` has the reference's answers of.
fn compare_with(recording: &str, folder: &str) {
    let recording = fs::read(repository().join("tests/parity").join(recording)).unwrap();
    let recording: Value = serde_json::from_slice(&recording).unwrap();
    let list = |value: &Value| value.as_array().unwrap().clone();
    let (labels, expected) = (list(&recording["labels"]), list(&recording["answers"]));
    let names: Vec<String> =
        expected.iter().map(|answer| format!("{folder}/{}", answer["image"].as_str().unwrap())).collect();
    let mut arguments = vec!["classify", "--json", "--precision", "f32"];
    arguments.extend(labels.iter().flat_map(|label| ["--label", label.as_str().unwrap()]));
    arguments.extend(names.iter().map(String::as_str));

    // Damaged pictures come with a notice on standard error.
    let lines = json_lines(text(&run(&arguments).stdout));
    assert_eq!(lines.len(), expected.len());
    for ((line, name), expected) in lines.iter().zip(&names).zip(&expected) {
        assert_eq!(line["image"], *name);
        let scores = list(&line["scores"]);
        assert_eq!(scores.len(), labels.len());
        assert!(scores.is_sorted_by(|a, b| a["logit"].as_f64() >= b["logit"].as_f64()));
        for (at, label) in labels.iter().enumerate() {
            let found = scores.iter().find(|score| score["label"] == *label).unwrap();
            for (field, expected, bound) in
                [("score", &expected["scores"][at], 1e-4), ("logit", &expected["logits"][at], 1e-3)]
            {
                let difference = found[field].as_f64().unwrap() - expected.as_f64().unwrap();
                assert!(difference.abs() <= bound, "{name}: {field} of {label}: {found}, not {expected}");
            }
        }
    }
}

#[test]
fn a_json_line_has_its_fields_in_order_and_short_numbers() {
    let line = answer(&["classify", CAT, "--label", "a cat", "--json"]);
    let scores = json_lines(&line)[0]["scores"][0].clone();
    let [score, logit, cosine] =
        ["score", "logit", "cosine"].map(|field| scores[field].as_f64().unwrap() as f32);
    let numbers = format!("\"score\":{score},\"logit\":{logit},\"cosine\":{cosine}");
    let expected = format!("{{\"image\":\"{CAT}\",\"scores\":[{{\"label\":\"a cat\",{numbers}}}]}}\n");
    assert_eq!(line, expected);
}

#[test]
fn classify_filters_by_top_k_and_threshold() {
    let labels = ["--label", "a cat", "--label", "a dog", "--label", "a sports car"];
    let kept = |more: &[&str]| {
        let line = answer(&[&["classify", CAT, "--json"][..], &labels, more].concat());
        let scores = json_lines(&line)[0]["scores"].as_array().unwrap().clone();
        scores.into_iter().map(|score| score["label"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(kept(&[]), ["a cat", "a dog", "a sports car"]);
    assert_eq!(kept(&["--top-k", "1"]), ["a cat"]);
    assert_eq!(kept(&["--threshold", "0.05"]), ["a cat", "a dog"]);
    assert_eq!(kept(&["--template", "{}"]).len(), 3);
}

#[test]
fn classify_shows_a_table() {
    let shown = answer(&["classify", CAT, "--label", "a cat", "--label", "a sports car"]);
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines[0], CAT);
    assert!(
        lines[1].starts_with("  a cat          8") && lines[1].ends_with(" %  ██████████████████"),
        "{shown}"
    );
    assert!(lines[2].starts_with("  a sports car    0.0") && lines[2].ends_with(" %"), "{shown}");
    assert_eq!(lines.len(), 3);
}

#[test]
fn a_broken_picture_does_not_stop_the_others() {
    let images = [CAT, BROKEN, "no-such.jpg", "www/samples", "www/samples/dog.jpg"];
    let output = run(&[&["classify", "--label", "a cat", "--json"][..], &images].concat());
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stderr.is_empty(), "{output:?}");
    let lines = json_lines(text(&output.stdout));
    assert_eq!(lines.iter().map(|line| line["image"].as_str().unwrap()).collect::<Vec<_>>(), images);
    let codes: Vec<&Value> = lines.iter().map(|line| &line["error"]["code"]).collect();
    assert_eq!(json!(codes), json!([null, "bad-image", "not-found", "bad-input", null]));
    for line in &lines {
        assert!(line["scores"].is_array() != line["error"]["message"].is_string(), "{line}");
    }
}

#[test]
fn a_broken_picture_is_named_in_plain_output_too() {
    let output = run(&["classify", "--label", "a cat", "no-such.jpg", BROKEN, CAT]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).starts_with(CAT), "{output:?}");
    let lines: Vec<&str> = text(&output.stderr).lines().collect();
    assert!(lines[0].starts_with("siglip: no-such.jpg: No such file"), "{lines:?}");
    assert!(lines[1].starts_with(&format!("siglip: {BROKEN}: this PNG file is broken")), "{lines:?}");
    assert_eq!(lines.len(), 2);
}

#[test]
fn a_label_with_an_unknown_word_says_so_and_scores_as_any_label() {
    let labels = ["--label", "a cat", "--label", "a Blorptang", "--label", "zxqj"];
    let line = json_lines(&answer(&[&["classify", CAT, "--json"], &labels[..]].concat())).remove(0);
    let scores = line["scores"].as_array().unwrap();
    let of = |label: &str| scores.iter().find(|score| score["label"] == label).unwrap();
    assert!(of("a cat").get("unknown").is_none());
    assert_eq!(of("a Blorptang")["unknown"], json!(["Blorptang"]));
    assert_eq!(of("zxqj")["unknown"], json!(["zxqj"]));
    assert_eq!(of("zxqj")["logit"], of("a Blorptang")["logit"]);

    let table = answer(&[&["classify", CAT], &labels[..]].concat());
    assert!(table.contains("zxqj         unknown to this model: zxqj\n"), "{table}");
}

#[test]
fn a_damaged_picture_is_scored_with_a_notice() {
    const DAMAGED: &str = "tests/fixtures/pictures/hunt/jpeg-progressive-first-scan-only.jpeg";
    let line = &json_lines(&answer(&["classify", DAMAGED, "--label", "a cat", "--json"]))[0];
    assert_eq!(line["notice"], json!({ "code": "damaged", "message": "its last scans are missing" }));
    assert_eq!(line["scores"][0]["label"], "a cat");
    let output = run(&["classify", DAMAGED, "--label", "a cat"]);
    assert!(output.status.success());
    assert!(text(&output.stderr).contains("damaged: its last scans are missing"), "{output:?}");
    assert!(json_lines(&answer(&["classify", CAT, "--label", "a cat", "--json"]))[0].get("notice").is_none());
}
