//! The binary, run as a person or a script would.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};
use support::{answer, command, refusal, repository, run, text};

mod support;

const CAT: &str = "www/samples/cat.jpg";
const BROKEN: &str = "tests/fixtures/pictures/formats/pillow_broken.png";
const RANDOM_SMALL: &str = "tests/fixtures/random-small";

fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// An empty folder of a test's own.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder).unwrap();
    }
    fs::create_dir_all(&folder).unwrap();
    folder
}

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
    assert_eq!(kept(&["--threshold", "0.1"]), ["a cat", "a dog"]);
    assert_eq!(kept(&["--template", "{}"]).len(), 3);
}

#[test]
fn classify_shows_a_table() {
    let shown = answer(&["classify", CAT, "--label", "a cat", "--label", "a sports car"]);
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines[0], CAT);
    assert!(
        lines[1].starts_with("  a cat          7") && lines[1].ends_with(" %  ███████████████"),
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
fn eval_does_not_score_a_class_whose_name_is_unknown() {
    let pictures = [("a cat", CAT), ("a dog", "www/samples/dog.jpg"), ("кошка", CAT)];
    let dir = class_folders("eval-unknown", &pictures);
    let report = json_lines(&answer(&["eval", dir.to_str().unwrap(), "--json"])).remove(0);
    assert_eq!(report["classes"][2]["unknown"], json!(["кошка"]));
    assert_eq!(report["classes"][2]["right"], 0);
    assert_eq!((&report["classes"][0]["right"], &report["classes"][1]["right"]), (&json!(1), &json!(1)));
    assert!((report["top1"].as_f64().unwrap() - 2.0 / 3.0).abs() < 1e-9);
}

/// Class folders of the sample pictures, each picture under the name that is given.
fn class_folders(name: &str, pictures: &[(&str, &str)]) -> PathBuf {
    let dir = folder(name);
    for (class, picture) in pictures {
        fs::create_dir_all(dir.join(class)).unwrap();
        let name = Path::new(picture).file_name().unwrap();
        fs::copy(repository().join(picture), dir.join(class).join(name)).unwrap();
    }
    dir
}

#[test]
fn eval_counts_correct_answers() {
    let dir = class_folders(
        "eval",
        &[
            ("a_cat", CAT),
            ("a-boat", "www/samples/boat.jpg"),
            ("a boat", "www/samples/cat.jpg"),
            ("a coffee cup", "www/samples/coffee.jpg"),
            ("a coffee cup", "www/app/app.css"),
            ("an insect", "www/samples/insect.jpg"),
            ("a dog", "www/samples/dog.jpg"),
        ],
    );
    let dir = dir.to_str().unwrap();
    let report = json_lines(&answer(&["eval", dir, "--json"])).remove(0);
    // The cat among the boats is the one that comes out wrong.
    assert_eq!(report["images"], 6);
    assert_eq!(report["top1"], json!(5.0 / 6.0));
    let boat = &report["classes"].as_array().unwrap()[0];
    assert_eq!(*boat, json!({"label": "a boat", "images": 2, "right": 1}));
    assert!(report["calibration"]["error"].as_f64().unwrap() < 1.0);
    assert!(answer(&["eval", dir]).contains("top-1           83.3 %"));
}

#[test]
fn eval_needs_classes_and_names_pictures_that_are_broken() {
    let message = refusal(&["eval", class_folders("eval-one", &[("a cat", CAT)]).to_str().unwrap()]);
    assert!(message.contains("fewer than two folders"), "{message}");

    let dir =
        class_folders("eval-broken", &[("a cat", CAT), ("a cat", BROKEN), ("a dog", "www/samples/dog.jpg")]);
    let output = run(&["eval", dir.to_str().unwrap()]);
    assert!(!output.status.success());
    assert!(text(&output.stderr).contains("pillow_broken.png: "), "{output:?}");
    assert!(text(&output.stdout).starts_with("2 pictures, 2 classes\n"), "{output:?}");
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

/// A folder as those of transformers.js are: the small files, and `onnx/` with one generation's file of both towers.
fn folder_of_onnx(generation: &str) -> PathBuf {
    let folder = folder(&format!("onnx-{generation}"));
    let exports = repository().join("tests/fixtures/onnx");
    for name in ["config.json", "preprocessor_config.json", "tokenizer.json"] {
        fs::copy(exports.join(name), folder.join(name)).unwrap();
    }
    fs::create_dir(folder.join("onnx")).unwrap();
    let file = "model_quantized.onnx";
    fs::copy(exports.join(generation).join(file), folder.join("onnx").join(file)).unwrap();
    folder
}

#[test]
fn a_folder_for_transformers_js_is_a_model() {
    for generation in ["raw", "slim"] {
        let folder = folder_of_onnx(generation);
        let (folder, file) = (folder.to_str().unwrap(), folder.join("onnx/model_quantized.onnx"));
        let classify = |model: &str| answer(&["classify", CAT, "--label", "a", "--json", "--model", model]);
        assert_eq!(classify(folder), classify(file.to_str().unwrap()), "{generation}");
        let info: Value = serde_json::from_str(&answer(&["info", "--json", "--model", folder])).unwrap();
        assert_eq!(info["towers"]["image"]["tensors"], if generation == "raw" { 32 } else { 34 });
        assert!((info["logitScale"].as_f64().unwrap() - 0.959_571_7).abs() < 1e-6, "{info}");
        assert!(info["dtypes"]["U8"]["bytes"].as_u64().unwrap() > 100_000, "{info}");

        // A GGUF made of it gives the same, but for its own rounding.
        let gguf = Path::new(folder).join("converted.gguf");
        answer(&["convert", folder, gguf.to_str().unwrap(), "--to", "f32"]);
        let logit = |line: &str| json_lines(line)[0]["scores"][0]["logit"].as_f64().unwrap();
        let difference = logit(&classify(gguf.to_str().unwrap())) - logit(&classify(folder));
        assert!(difference.abs() < 1e-3, "{generation}: {difference}");
    }
}

#[test]
fn towers_in_onnx_files_of_their_own_take_scale_and_bias_from_beside() {
    let tower = format!("{RANDOM_SMALL}/onnx/vision_model_quantized.onnx");
    let logit = |model: &str| {
        let line = answer(&["classify", CAT, "--label", "a", "--json", "--model", model]);
        json_lines(&line)[0]["scores"][0]["logit"].as_f64().unwrap()
    };
    assert!((logit(&tower) - logit(RANDOM_SMALL)).abs() < 2.0, "{} {}", logit(&tower), logit(RANDOM_SMALL));

    // Without them it embeds all the same.
    let folder = folder("onnx-towers");
    fs::create_dir(folder.join("onnx")).unwrap();
    let small = ["config.json", "preprocessor_config.json", "tokenizer.json"];
    for name in
        small.into_iter().chain(["onnx/vision_model_quantized.onnx", "onnx/text_model_quantized.onnx"])
    {
        fs::copy(repository().join(RANDOM_SMALL).join(name), folder.join(name)).unwrap();
    }
    let model = folder.to_str().unwrap();
    answer(&["embed", "--image", CAT, "--model", model]);
    let message = refusal(&["search", "www/samples", "a", "--model", model]);
    assert!(message.contains("logit_scale"), "{message}");
}

#[test]
fn an_onnx_of_another_kind_is_refused_by_name() {
    let folder = folder_of_onnx("raw");
    let file = folder.join("onnx/model_quantized.onnx");
    let mut bytes = fs::read(&file).unwrap();
    let (from, to) = (b"/text_model/final_layer_norm/Mul", b"/text_model/final_batch_norm/Mul");
    while let Some(at) = bytes.windows(from.len()).position(|window| window == from) {
        bytes[at..at + to.len()].copy_from_slice(to);
    }
    fs::write(&file, bytes).unwrap();
    let message = refusal(&["info", "--model", folder.to_str().unwrap()]);
    assert!(message.contains("/text_model/final_batch_norm/Mul (Mul)"), "{message}");
    assert!(message.contains("model_quantized.onnx"), "{message}");
}
