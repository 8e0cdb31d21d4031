//! The other commands, and what all of them have in common.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::{answer, command, refusal, repository, run, text};
use crate::{BROKEN, CAT, RANDOM_SMALL, folder, json_lines};

#[test]
fn arguments_that_make_no_sense_are_refused() {
    let classify = |more: &[&str]| refusal(&[&["classify", CAT][..], more].concat());
    let message = classify(&["--label", "a cat", "--template", "a photo"]);
    assert_eq!(message, "siglip: the template \"a photo\" has no {}; write {} where the label goes\n");
    assert!(classify(&["--label", "a cat", "--template", "{} {}"]).contains("more than one {}"));
    assert!(classify(&["--label", " "]).contains("a label is empty"));
    assert!(classify(&["--label", &"x".repeat(2000)]).contains("2000 characters"));
    assert!(classify(&[]).contains("--label"));
    assert!(classify(&["--label", "a cat", "--precision", "q4"]).contains("f32, bf16, q8"));
    for threshold in ["1.5", "-0.1", "NaN", "half"] {
        let argument = format!("--threshold={threshold}");
        assert!(classify(&["--label", "a cat", &argument]).contains("from 0 to 1"));
    }
    assert!(refusal(&["embed"]).contains("--image"));
    assert!(refusal(&["classify", "--label", "a cat"]).contains("IMAGE"));
    assert!(refusal(&["random", "--config", "huge", "x"]).contains("base-patch16-256"));
}

#[test]
fn a_missing_model_is_named() {
    let with = |model: &str| refusal(&["classify", CAT, "--label", "a cat", "--model", model]);
    let message = with("no-such-model");
    assert!(message.contains("no-such-model") && message.contains("No such file"), "{message}");

    let model = folder("incomplete");
    for name in ["config.json", "preprocessor_config.json", "tokenizer.json"] {
        fs::copy(repository().join(RANDOM_SMALL).join(name), model.join(name)).unwrap();
    }
    assert!(with(model.to_str().unwrap()).contains("model.safetensors"));
    fs::write(model.join("model.safetensors"), "<!doctype html>").unwrap();
    assert!(with(model.to_str().unwrap()).contains("bad weights"));
    fs::write(model.join("config.json"), r#"{"model_type": "clip"}"#).unwrap();
    assert!(with(model.to_str().unwrap()).contains("unsupported model: model_type"));
}

#[test]
fn embed_keeps_the_order_of_its_inputs() {
    let inputs = ["--text", "a cat", "--image", CAT, "--image", BROKEN, "--text", "", "--text", "a cat"];
    let output = run(&[&["embed", "--json"][..], &inputs].concat());
    assert_eq!(output.status.code(), Some(1));
    let lines = json_lines(text(&output.stdout));
    let given: Vec<[&Value; 2]> = lines.iter().map(|line| [&line["text"], &line["image"]]).collect();
    let expected = json!([["a cat", null], [null, CAT], [null, BROKEN], ["", null], ["a cat", null]]);
    assert_eq!(json!(given), expected);
    assert_eq!(lines[2]["error"]["code"], "bad-image");
    for line in [&lines[0], &lines[1], &lines[3]] {
        let embedding: Vec<f64> = serde_json::from_value(line["embedding"].clone()).unwrap();
        let norm = embedding.iter().map(|value| value * value).sum::<f64>().sqrt();
        assert!(embedding.len() == 192 && (norm - 1.0).abs() < 1e-5, "{line}");
    }
    assert_eq!(lines[0], lines[4]);
}

#[test]
fn embed_writes_numbers_for_other_tools() {
    let line = answer(&["embed", "--text", "a cat"]);
    let numbers: Vec<f32> = line.split_whitespace().map(|number| number.parse().unwrap()).collect();
    let json = json_lines(&answer(&["embed", "--text", "a cat", "--json"]));
    assert_eq!(serde_json::from_value::<Vec<f32>>(json[0]["embedding"].clone()).unwrap(), numbers);
}

#[test]
fn search_skips_files_that_are_not_pictures() {
    let lines = json_lines(&answer(&["search", "www/samples", "a cat", "--json"]));
    assert_eq!((lines.len(), &lines[0]["image"]), (5, &json!(CAT)));
    assert!(lines.is_sorted_by(|a, b| a["logit"].as_f64() >= b["logit"].as_f64()));
    let shown = answer(&["search", "www/samples", "a cat", "--top-k", "1"]);
    assert!(shown.ends_with(&format!(" %  {CAT}\n")) && shown.lines().count() == 1, "{shown}");
    assert!(refusal(&["search", "no-such-folder", "a cat"]).contains("no-such-folder"));

    let pictures = folder("pictures");
    fs::copy(repository().join(BROKEN), pictures.join("broken.png")).unwrap();
    fs::copy(repository().join(CAT), pictures.join("cat.jpg")).unwrap();
    let output = run(&["search", pictures.to_str().unwrap(), "a cat"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("cat.jpg") && text(&output.stderr).contains("broken.png"));
}

#[test]
fn an_unreadable_text_is_marked_in_every_command() {
    for word in ["кошка", "猫", "😀", "½", "naïve", "ñandú", "???"] {
        let labels = ["--label", "a cat", "--label", word];
        let line = json_lines(&answer(&[&["classify", CAT, "--json"], &labels[..]].concat())).remove(0);
        assert_eq!(line["scores"][0]["label"], "a cat", "{word}");
        assert_eq!(line["scores"][1]["unknown"], json!([word]));
        let line = json_lines(&answer(&["embed", "--json", "--text", word])).remove(0);
        assert_eq!(line["unknown"], json!([word]));
    }
    let message = refusal(&["search", "www/samples", "a кошка"]);
    assert!(message.contains("unknown to this model: кошка; use other words"), "{message}");
}

#[test]
fn info_describes_the_model() {
    let info = &json_lines(&answer(&["info", "--json"]))[0];
    assert_eq!((&info["model"], &info["precision"]), (&json!("tiny"), &json!("q8")));
    assert_eq!((&info["imageSize"], &info["contextLength"]), (&json!(70), &json!(12)));
    assert_eq!(info["embeddingSize"], 192);
    let bytes = |precision| {
        let line = answer(&["info", "--json", "--model", RANDOM_SMALL, "--precision", precision]);
        json_lines(&line)[0]["bytes"].as_u64().unwrap()
    };
    assert!(bytes("q8") < bytes("f32"));
    let shown = answer(&["info", "--model", RANDOM_SMALL]);
    assert!(shown.lines().any(|line| line.split_whitespace().eq(["imageSize", "44"])), "{shown}");
}

#[test]
fn random_makes_the_same_checkpoint_of_a_seed() {
    let make = |name: &str, seed: &str| {
        let checkpoint = folder(name);
        let config = format!("{RANDOM_SMALL}/config.json");
        answer(&["random", "--config", &config, "--seed", seed, checkpoint.to_str().unwrap()]);
        checkpoint
    };
    let weights = |checkpoint: &Path| fs::read(checkpoint.join("model.safetensors")).unwrap();
    let (first, again, other) = (make("random-1", "1"), make("random-1-again", "1"), make("random-2", "2"));
    assert!(weights(&first) == weights(&again) && weights(&first) != weights(&other));

    let arguments = ["classify", CAT, "--label", "a cat", "--json", "--model", first.to_str().unwrap()];
    let line = &json_lines(&answer(&arguments))[0];
    assert!(line["scores"][0]["logit"].as_f64().unwrap().is_finite(), "{line}");
}

/// As `siglip … | head -0`: the reader is gone before the first line.
#[test]
fn a_closed_pipe_is_no_error() {
    for arguments in [
        &["info"][..],
        &["info", "--json"],
        &["classify", CAT, "--label", "a cat", "--json"],
        &["embed", "--text", "a"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = command(arguments).stdout(writer).stderr(Stdio::piped()).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{arguments:?}: {output:?}");
    }
}

/// A full disk under the answers is an error, and one that can be told apart from a panic.
#[test]
#[cfg(target_os = "linux")]
fn answers_that_cannot_be_written_are_an_error() {
    for arguments in [&["info"][..], &["embed", "--text", "a"]] {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let output = command(arguments).stdout(full).stderr(Stdio::piped()).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).starts_with("siglip: standard output: "), "{output:?}");
    }
}

#[test]
fn help_names_every_command() {
    let help = answer(&["--help"]);
    for name in ["classify", "embed", "search", "eval", "calibrate", "convert", "info", "random"] {
        assert!(help.contains(&format!("\n  {name} ")), "{help}");
        assert!(answer(&[name, "--help"]).contains(&format!("Usage: siglip {name}")));
    }
    assert!(answer(&["--version"]).starts_with("siglip "));
}

/// Shape and bytes of the values in a file of NumPy's.
fn npy(path: &Path) -> (String, Vec<u8>) {
    let file = fs::read(path).unwrap();
    assert!(file.starts_with(b"\x93NUMPY\x01\0"));
    let end = 10 + usize::from(u16::from_le_bytes([file[8], file[9]]));
    assert_eq!((end % 64, file[end - 1]), (0, b'\n'));
    (text(&file[10..end]).trim().to_string(), file[end..].to_vec())
}

#[test]
fn preprocess_writes_pixel_values() {
    let folder = folder("preprocess");
    let [values, rgb] = ["values.npy", "rgb.npy"].map(|name| folder.join(name));
    let [values_path, rgb_path] = [&values, &rgb].map(|path| path.to_str().unwrap());
    let model = ["--model", "tests/fixtures/random-small"];
    answer(&[&["preprocess", CAT, "--npy", values_path, "--rgb", rgb_path], &model[..]].concat());
    let image = siglip::image::decode(&fs::read(repository().join(CAT)).unwrap()).unwrap();
    let (header, pixels) = npy(&rgb);
    let shape = format!("'shape': ({}, {}, 3, )", image.height(), image.width());
    assert!(header.contains("'descr': '|u1'") && header.contains(&shape), "{header}");
    assert_eq!(pixels, image.data());
    fs::remove_file(&rgb).unwrap();
    answer(&["preprocess", CAT, "--rgb", rgb_path]);
    assert_eq!(npy(&rgb).1, image.data());
    let (header, one) = npy(&values);
    assert!(header.contains("'descr': '<f4'") && header.contains("'shape': (1, 3, "), "{header}");
    answer(&[&["preprocess", CAT, CAT, "--npy", values_path], &model[..]].concat());
    assert_eq!(npy(&values).1, [&one[..], &one[..]].concat());

    let refused = refusal(&["preprocess", CAT, CAT, "--npy", values_path, "--rgb", rgb_path]);
    assert!(refused.contains("one image"), "{refused}");
    let refused = refusal(&["preprocess", BROKEN, "--npy", values_path]);
    assert!(refused.contains("pillow_broken.png") && refused.contains("broken"), "{refused}");
}

#[test]
fn tokenize_prints_ids() {
    let lines = answer(&["tokenize", "a cat", "--model", "tests/fixtures/random-small"]);
    let json = answer(&["tokenize", "a cat", "--json", "--model", "tests/fixtures/random-small"]);
    let ids: Vec<u64> = lines.split_whitespace().map(|id| id.parse().unwrap()).collect();
    assert_eq!(json_lines(&json), [json!({ "text": "a cat", "input_ids": ids })]);
}
