//! Bundles for fixed labels: the scores of the whole model, without its text tower.

use serde_json::{Value, json};
use siglip::text::Template;
use siglip::weights::MatrixType;
use siglip::{
    CheckpointFiles, Engine as _, Error, LabelSets, LoadOptions, PixelValues, Precision, Score, ScoreFilter,
    Siglip, Towers,
};

use crate::support::weight_files::{files, gguf, gguf_of};

const TEMPLATE: &str = "This is a photo of {}.";
const PRECISIONS: [Precision; 3] = [Precision::F32, Precision::Q8, Precision::Q8Exact];

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| text.to_string()).collect()
}

fn full(precision: Precision) -> Siglip {
    let options = LoadOptions { precision, ..LoadOptions::default() };
    Siglip::from_gguf(&gguf(MatrixType::Q8_0)[..], options).unwrap()
}

/// The JSON of two label sets.
fn labels_json(precision: Precision, templates: &[&str]) -> String {
    let mut siglip = full(precision);
    let mut sets = LabelSets::default();
    for (name, labels) in [("animals", ["a cat", "a dog", "a cat"]), ("food", ["soup", "bread", "a dog"])] {
        sets.insert(siglip.label_set(name, &texts(&labels), &texts(templates)).unwrap());
    }
    siglip.export_labels(&sets, "small").unwrap()
}

fn bundle(labels: String) -> Vec<u8> {
    let files = CheckpointFiles { labels: Some(labels), tokenizer: String::new(), ..files() };
    gguf_of(&files, MatrixType::Q8_0)
}

fn load(file: &[u8], precision: Precision) -> Result<Siglip, Error> {
    Siglip::from_gguf(file, LoadOptions { precision, ..LoadOptions::default() })
}

fn image_embeds(siglip: &mut Siglip) -> Vec<f32> {
    let pixels = (0..3 * 21 * 21).map(|i| (i as f32 * 0.37).sin()).collect();
    siglip.engine_mut().image_embeds(vec![PixelValues::new(pixels, 21)]).unwrap()
}

fn own(siglip: &mut Siglip, labels: Option<&[&str]>, set: Option<&str>) -> Result<Vec<Score>, Error> {
    let embeds = image_embeds(siglip);
    siglip.own_scores(&embeds, labels.map(texts).as_deref(), set, ScoreFilter::default())
}

fn names(scores: &[Score]) -> Vec<&str> {
    let mut names: Vec<&str> = scores.iter().map(|score| score.label.as_str()).collect();
    names.sort_unstable();
    names
}

#[test]
fn a_bundle_has_the_scores_of_the_whole_model() {
    for precision in PRECISIONS {
        let mut bundle = load(&bundle(labels_json(precision, &[TEMPLATE])), precision).unwrap();
        let mut full = full(precision);
        assert_eq!(bundle.engine().towers(), Towers::Image);
        let embeds = image_embeds(&mut full);
        let labels = texts(&["a cat", "a dog"]);
        let expected = full.scores(&embeds, &labels, &Template::default(), ScoreFilter::default()).unwrap();
        let scores = own(&mut bundle, None, None).unwrap();
        assert_eq!(scores.len(), 2, "each label once");
        for (score, expected) in scores.iter().zip(&expected) {
            assert_eq!((&score.label, &score.unknown), (&expected.label, &expected.unknown));
            assert!((score.logit - expected.logit).abs() <= 1e-6, "{precision:?}: {score:?}, {expected:?}");
        }
    }
}

#[test]
fn several_templates_are_averaged() {
    let templates = [TEMPLATE, "{}", "a drawing of {}"];
    let mut bundle = load(&bundle(labels_json(Precision::F32, &templates)), Precision::F32).unwrap();
    let mut full = full(Precision::F32);
    let mut mean = vec![0.0; 64];
    for template in templates {
        let text = template.replace("{}", "soup");
        let embedding = full.text_embeds(&[text]).unwrap().remove(0);
        mean.iter_mut().zip(&embedding).for_each(|(sum, value)| *sum += value);
    }
    let norm = mean.iter().map(|value| value * value).sum::<f32>().sqrt();
    mean.iter_mut().for_each(|value| *value /= norm);
    let embeds = image_embeds(&mut full);
    let expected = full.logits_per_image(&embeds, &mean)[0];
    let [score] = &own(&mut bundle, Some(&["soup"]), None).unwrap()[..] else { panic!("one score") };
    assert!((score.logit - expected).abs() < 1e-4, "{score:?}, {expected}");
}

#[test]
fn labels_are_chosen_by_name_or_by_set_and_others_are_refused_with_the_reason() {
    let mut siglip = load(&bundle(labels_json(Precision::Q8, &[TEMPLATE])), Precision::Q8).unwrap();
    let all = own(&mut siglip, None, None).unwrap();
    assert_eq!(names(&all), ["a cat", "a dog"]);
    assert_eq!(names(&own(&mut siglip, None, Some("food")).unwrap()), ["a dog", "bread", "soup"]);
    let chosen = own(&mut siglip, Some(&["soup", "a cat"]), None).unwrap();
    assert_eq!(names(&chosen), ["a cat", "soup"]);
    assert!(all.contains(chosen.iter().find(|score| score.label == "a cat").unwrap()));
    let embeds = image_embeds(&mut siglip);
    let filter = ScoreFilter { top_k: Some(1), ..ScoreFilter::default() };
    assert_eq!(siglip.own_scores(&embeds, None, None, filter).unwrap(), all[..1]);

    let mut refused = |labels: Option<&[&str]>, set| {
        let error = own(&mut siglip, labels, set).unwrap_err();
        assert_eq!(error.code(), "bad-input");
        error.to_string()
    };
    let message = refused(Some(&["a boat"]), None);
    assert!(
        message.contains("\"a boat\"") && message.contains("\"a cat\"") && message.contains("no text tower")
    );
    assert!(refused(Some(&["soup"]), Some("animals")).contains("\"soup\""));
    assert!(refused(None, Some("cars")).contains("there is \"animals\", \"food\""));
    assert!(refused(Some(&[]), None).contains("no labels"));
    assert!(refused(Some(&[&"x".repeat(10_000)]), None).len() < 400);
    let message = siglip.text_embeds(&texts(&["a boat"])).unwrap_err().to_string();
    assert!(message.contains("bundle"), "{message}");
    let options = LoadOptions { towers: Towers::Text, ..LoadOptions::default() };
    let file = bundle(labels_json(Precision::Q8, &[TEMPLATE]));
    assert_eq!(Siglip::from_gguf(&file[..], options).unwrap_err().code(), "bad-input");
}

#[test]
fn exported_labels_are_imported_bit_by_bit() {
    let json = labels_json(Precision::Q8, &[TEMPLATE]);
    let options = LoadOptions { towers: Towers::Image, ..LoadOptions::default() };
    let mut image_only = Siglip::from_gguf(&gguf(MatrixType::Q8_0)[..], options).unwrap();
    assert!(own(&mut image_only, None, None).unwrap_err().to_string().contains("no labels"));
    image_only.import_labels(&json).unwrap();
    assert_eq!(image_only.export_labels(image_only.label_sets(), "small").unwrap(), json);
    let mut bundle = load(&bundle(json.clone()), Precision::Q8).unwrap();
    assert_eq!(own(&mut image_only, None, None).unwrap(), own(&mut bundle, None, None).unwrap());

    // A whole model goes on to read other labels.
    let mut full = full(Precision::Q8);
    full.import_labels(&json).unwrap();
    full.import_labels(&json).unwrap();
    assert_eq!(full.label_sets().sets().len(), 2);
    assert!(!full.uses_label_sets(Some(&texts(&["a boat"])), None));
    assert!(full.uses_label_sets(None, None) && full.uses_label_sets(Some(&texts(&["soup"])), Some("food")));

    let mut other: Value = serde_json::from_str(&json).unwrap();
    other["logitScale"] = json!(other["logitScale"].as_f64().unwrap() * 1.01);
    let before = full.label_sets().clone();
    let message = full.import_labels(&other.to_string()).unwrap_err().to_string();
    assert!(message.contains("another model, \"small\""), "{message}");
    assert_eq!(*full.label_sets(), before);
}

/// What is wrong with the labels, and what the error has to say.
#[test]
fn hostile_labels_are_refused_with_the_reason() {
    let good: Value = serde_json::from_str(&labels_json(Precision::Q8, &[TEMPLATE])).unwrap();
    let with = |pointer: &str, value: Value| {
        let mut labels = good.clone();
        *labels.pointer_mut(pointer).unwrap() = value;
        labels
    };
    let without = |key: &str| {
        let mut labels = good.clone();
        labels["sets"][0].as_object_mut().unwrap().remove(key).unwrap();
        labels
    };
    let unknown = |words: Value| {
        let mut set = good["sets"][0].clone();
        set["unknown"] = words;
        with("/sets/0", set)
    };
    let numbers = |value: f32| json!(base64::encode(value.to_le_bytes().repeat(2 * 64)));
    let many: Vec<String> = (0..40_000).map(|at| at.to_string()).collect();
    let cases = [
        (json!([]), "the labels"),
        (json!({}), "format"),
        (with("/format", json!("other")), "\"other\""),
        (with("/version", json!(2)), "siglip-labels"),
        (with("/embeddingSize", json!(0)), "out of range"),
        (with("/embeddingSize", json!(1u64 << 40)), "out of range"),
        (with("/embeddingSize", json!(-1)), "embeddingSize"),
        (with("/logitScale", json!(1e300)), "out of range"),
        (with("/logitBias", json!(null)), "logitBias"),
        (with("/sets", json!([])), "0 label sets"),
        (with("/sets/1", good["sets"][0].clone()), "\"animals\" occurs twice"),
        (with("/sets/0/name", json!("")), "name of a label set"),
        (with("/sets/0/name", json!("n".repeat(10_000))), "10000"),
        (with("/sets/0/templates", json!([])), "0 templates"),
        (with("/sets/0/templates", json!(["no place"])), "no {}"),
        (with("/sets/0/labels", json!(["a cat", "a cat"])), "\"a cat\" occurs twice"),
        (with("/sets/0/labels", json!(["a cat", " "])), "a label is empty"),
        (with("/sets/0/labels", json!(["a cat", "x".repeat(10_000)])), "10000 characters"),
        (with("/sets/0/labels", json!([])), "no labels"),
        (with("/sets/0/labels", json!(many)), "40003 labels"),
        (with("/sets/0/labels", json!(many[..5000])), "5000 x 64 numbers"),
        (with("/sets/0/labels", json!(["a cat"])), "1 x 64 numbers"),
        (without("embeddings"), "embeddings"),
        (without("labels"), "labels"),
        (with("/sets/0/embeddings", json!("")), "2 x 64 numbers"),
        (with("/sets/0/embeddings", json!("!".repeat(684))), "2 x 64 numbers"),
        (with("/sets/0/embeddings", json!([0.5])), "embeddings"),
        (with("/sets/0/embeddings", numbers(f32::NAN)), "\"a cat\" has no L2 norm of 1"),
        (with("/sets/0/embeddings", numbers(f32::INFINITY)), "L2 norm"),
        (with("/sets/0/embeddings", numbers(1e30)), "L2 norm"),
        (with("/sets/0/embeddings", numbers(0.0)), "L2 norm"),
        (unknown(json!("words")), "unknown"),
        (unknown(json!({"a cat": "cat"})), "unknown"),
    ];
    let mut whole = full(Precision::Q8);
    for (labels, expected) in cases {
        let labels = labels.to_string();
        let error = whole.import_labels(&labels).unwrap_err();
        assert_eq!(error.code(), "bad-input");
        assert!(error.to_string().contains(expected), "{error} does not say {expected:?}");
        assert!(error.to_string().len() < 600, "{error}");
        let error = load(&bundle(labels), Precision::Q8).unwrap_err();
        assert_eq!(error.code(), "bad-weights");
        assert!(error.to_string().contains(expected), "{error} does not say {expected:?}");
    }
    for text in ["", "{", "null", "\u{feff}{}", "<html>"] {
        assert_eq!(whole.import_labels(text).unwrap_err().code(), "bad-input");
        assert_eq!(load(&bundle(text.into()), Precision::Q8).unwrap_err().code(), "bad-weights");
    }
    // Of another width than the model's embeddings.
    let narrow = |json: &str| json.replace("\"embeddingSize\":64", "\"embeddingSize\":32");
    let labels = with(
        "/sets",
        json!([{"name": "a", "templates": ["{}"], "labels": ["b"],
        "embeddings": base64::encode((1.0f32 / 32f32.sqrt()).to_le_bytes().repeat(32))}]),
    );
    let error = load(&bundle(narrow(&labels.to_string())), Precision::Q8).unwrap_err();
    assert!(error.to_string().contains("width 32"), "{error}");
}

#[test]
fn damaged_bundles_do_not_panic() {
    let file = bundle(labels_json(Precision::Q8, &[TEMPLATE]));
    let mut random = fastrand::Rng::with_seed(5);
    let header = file.windows(8).rposition(|window| window == b"mlp.fc2.").unwrap() + 100;
    let mut refused = 0;
    for _ in 0..1000 {
        let mut damaged = file.clone();
        damaged[random.usize(4..header)] = random.u8(..);
        match load(&damaged, Precision::Q8) {
            Ok(mut siglip) => drop(own(&mut siglip, None, None)),
            Err(Error::BadWeights(_) | Error::UnsupportedModel { .. }) => refused += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(refused > 300, "{refused} of 1000 refused");
}

#[test]
fn a_file_may_lack_a_tower_that_is_not_needed() {
    let bundled = bundle(labels_json(Precision::Q8, &[TEMPLATE]));
    // The same file without its labels is that of an image tower.
    let files = files();
    let lacks = |towers| {
        let checkpoint = siglip::Checkpoint::parse(&files).unwrap();
        let options = LoadOptions { towers, ..LoadOptions::default() };
        let mut loader = checkpoint.loader::<siglip::model::Model>(options).unwrap();
        let mut reader = siglip::weights::WeightReader::new();
        reader.push(&bundled, &mut loader).and_then(|()| reader.finish())
    };
    lacks(Towers::Image).unwrap();
    let message = lacks(Towers::Both).unwrap_err().to_string();
    assert!(message.contains("text_model") && message.contains("missing"), "{message}");
}
