//! Fine-tuned classifiers against the Python reference: transformers' `SiglipForImageClassification` and
//! `Siglip2ForImageClassification`.

use std::io::{self, Read};

use serde::Deserialize;
use serde_json::{Value, json};
use siglip::image::RgbImage;
use siglip::model::{Model, memory_needed, packed_bytes};
use siglip::text::Template;
use siglip::weights::{Dtype, GgufWriter, MatrixType, header_bytes};
use siglip::{CheckpointFiles, Engine as _, Error, LoadOptions, Precision, ScoreFilter, Siglip, Towers};

use crate::support::checkpoints::{files, read, read_text, repository, whole};
use crate::support::reference::{largest_difference, pictures, recording};
use crate::support::weight_files::{Rows, rows_of};
use crate::support::workers::Workers;

const FIXED: &str = "tests/fixtures/random-classifier";
const NAFLEX: &str = "tests/fixtures/random-classifier-naflex";

#[derive(Deserialize)]
struct Recording {
    /// Height and width.
    pictures: Vec<(u32, u32)>,
    variants: Vec<Variant>,
    naflex: Variant,
}

#[derive(Deserialize)]
struct Variant {
    labels: Vec<String>,
    problem_type: Option<String>,
    /// [pictures, classes]; without classes [pictures, hidden size].
    logits: Vec<Vec<f32>>,
    /// Of the image-classification pipeline, in the order of the labels.
    scores: Vec<Vec<f32>>,
}

/// A checkpoint's files by name, without a tokenizer.
struct Folder {
    config: Value,
    preprocessor: String,
    rows: Vec<Rows>,
}

impl Folder {
    fn read(folder: &str) -> Folder {
        let path = repository(folder);
        Folder {
            config: serde_json::from_str(&read_text(&path.join("config.json"))).unwrap(),
            preprocessor: read_text(&path.join("preprocessor_config.json")),
            rows: rows_of(&read(&path.join("model.safetensors"))).unwrap(),
        }
    }

    /// The same with these classes and this problem type, as the script makes its variants.
    fn variant(folder: &str, variant: &Variant) -> Folder {
        let mut folder = Folder::read(folder);
        let labels: serde_json::Map<_, _> =
            variant.labels.iter().enumerate().map(|(id, label)| (id.to_string(), json!(label))).collect();
        folder.config["id2label"] = labels.into();
        folder.config["problem_type"] = json!(variant.problem_type);
        let classes = variant.labels.len();
        for Rows { tensor, values, .. } in &mut folder.rows {
            if tensor.name.starts_with("classifier.") {
                values.truncate(classes * tensor.row_len());
                tensor.shape[0] = classes;
            }
        }
        folder.rows.retain(|rows| !rows.tensor.is_empty());
        folder
    }

    fn weights(&self) -> Vec<u8> {
        let tensors: Vec<_> = self.rows.iter().map(|rows| rows.tensor.clone()).collect();
        let values = self.rows.iter().flat_map(|rows| &rows.values).flat_map(|value| value.to_le_bytes());
        header_bytes(&tensors, Dtype::F32).into_iter().chain(values).collect()
    }

    fn load(&self, options: LoadOptions) -> Result<Siglip, Error> {
        let open = |name: &str| {
            Ok(match name {
                "config.json" => Box::new(io::Cursor::new(self.config.to_string())) as Box<dyn Read>,
                "preprocessor_config.json" => Box::new(io::Cursor::new(self.preprocessor.clone())),
                "model.safetensors" => Box::new(io::Cursor::new(self.weights())),
                name => return Err(io::Error::new(io::ErrorKind::NotFound, name)),
            })
        };
        Siglip::from_files(open, options)
    }
}

fn load(folder: &str, precision: Precision) -> Siglip {
    Folder::read(folder).load(whole(precision)).unwrap()
}

/// Logits and scores in the order of the classes.
fn answer(siglip: &mut Siglip, picture: &RgbImage) -> (Vec<f32>, Vec<f32>) {
    let embedding = siglip.image_embeds(picture).unwrap();
    let scores = siglip.own_scores(&embedding, None, None, ScoreFilter::default()).unwrap();
    assert!(scores.is_sorted_by(|a, b| a.logit >= b.logit), "best first");
    let labels = &siglip.classifier().unwrap().labels;
    let of = |label: &String| scores.iter().find(|score| score.label == *label).unwrap();
    labels.iter().map(|label| (of(label).logit, of(label).score)).unzip()
}

#[test]
fn scores_equal_the_references_for_every_problem_type() {
    let recording: Recording = recording("classifiers");
    assert_eq!(recording.variants.len(), 8);
    for variant in &recording.variants {
        let mut siglip = Folder::variant(FIXED, variant).load(whole(Precision::F32)).unwrap();
        for (at, picture) in pictures(&recording.pictures).iter().enumerate() {
            let of = format!("{:?} of {} classes", variant.problem_type, variant.labels.len());
            if variant.labels.is_empty() {
                let pooled = siglip.image_embeds(picture).unwrap();
                assert!(largest_difference(&pooled, &variant.logits[at]) < 1e-5, "{of}");
                continue;
            }
            let (logits, scores) = answer(&mut siglip, picture);
            assert!(largest_difference(&logits, &variant.logits[at]) < 1e-5, "{of}, picture {at}");
            assert!(largest_difference(&scores, &variant.scores[at]) < 3e-6, "{of}, picture {at}");
        }
    }
}

#[test]
fn naflex_takes_the_mean_over_the_pictures_own_patches() {
    let recording: Recording = recording("classifiers");
    let (mut siglip, mut rounded) = (load(NAFLEX, Precision::F32), load(NAFLEX, Precision::Q8));
    let Variant { labels, logits, scores, .. } = &recording.naflex;
    assert_eq!(siglip.classifier().unwrap().labels, *labels);
    for (at, picture) in pictures(&recording.pictures).iter().enumerate() {
        let (found_logits, found_scores) = answer(&mut siglip, picture);
        assert!(largest_difference(&found_logits, &logits[at]) < 1e-5, "picture {at}");
        assert!(largest_difference(&found_scores, &scores[at]) < 3e-6, "picture {at}");
        // The logits are of the order of 3.
        assert!(largest_difference(&answer(&mut rounded, picture).0, &logits[at]) < 0.2, "picture {at}");
    }
}

#[test]
fn workers_share_a_classifier() {
    let recording: Recording = recording("classifiers");
    for folder in [FIXED, NAFLEX] {
        let mut siglip = load(folder, Precision::F32);
        let mut workers = Workers::load(folder, Precision::F32, 2);
        for picture in pictures(&recording.pictures) {
            let pooled = workers.run(|worker| worker.begin_image(siglip.pixel_values(&picture).unwrap()));
            let logits = workers.0[0].class_logits(&pooled);
            assert!(largest_difference(&logits, &answer(&mut siglip, &picture).0) < 1e-5);
        }
        assert!(workers.0[1].class_logits(&[0.0; 24]).is_empty(), "only the first worker has the last layer");
    }
}

#[test]
fn memory_is_known_beforehand() {
    for precision in [Precision::F32, Precision::Q8] {
        // Whatever towers are asked for.
        for towers in [Towers::Image, Towers::Both] {
            let options = LoadOptions { towers, ..whole(precision) };
            let siglip = Folder::read(FIXED).load(options).unwrap();
            let model: &Model = siglip.engine();
            assert_eq!(model.bytes() as u64, packed_bytes(model.config(), options));
            assert_eq!(memory_needed(model.config(), options), packed_bytes(model.config(), options));
            assert_eq!(model.towers(), Towers::Image);
        }
    }
}

#[test]
fn a_gguf_has_no_pooling_head_and_the_same_scores() {
    let recording: Recording = recording("classifiers");
    let picture = &pictures(&recording.pictures)[1];
    let small = files(FIXED);
    assert!(small.tokenizer.is_empty(), "it is not asked for");
    let expected = answer(&mut load(FIXED, Precision::F32), picture).0;
    for (matrices, tolerance) in [(MatrixType::F32, 1e-6), (MatrixType::F16, 0.02), (MatrixType::Q8, 0.2)] {
        let plan = GgufWriter::new(&small, "small", matrices).unwrap();
        let mut file = plan.header().to_vec();
        file.resize(plan.total_bytes() as usize, 0);
        for Rows { tensor, first_row, values } in Folder::read(FIXED).rows {
            assert_eq!(plan.holds(&tensor), !tensor.name.starts_with("vision_model.head."));
            if plan.holds(&tensor) {
                let mut bytes = Vec::new();
                let place = plan.encode(&tensor, first_row, &values, &mut bytes).unwrap() as usize;
                file[place..place + bytes.len()].copy_from_slice(&bytes);
            }
        }
        let mut siglip = Siglip::from_gguf(&file[..], whole(Precision::F32)).unwrap();
        let found = answer(&mut siglip, picture).0;
        assert!(largest_difference(&found, &expected) < tolerance, "{matrices:?}");
    }
}

#[track_caller]
fn refusal<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    let error = result.unwrap_err();
    assert_eq!(error.code(), "bad-input", "{error}");
    error.to_string()
}

#[test]
fn labels_and_texts_are_refused_with_the_reason() {
    let mut siglip = load(FIXED, Precision::F32);
    let labels = ["a cat".to_string()];
    let embedding = siglip.image_embeds(&RgbImage::from_rgb(2, 2, vec![9; 12]).unwrap()).unwrap();
    assert!(siglip.uses_label_sets(Some(&labels), None));
    let classes = r#"its own classes ("cat", "dog", "a red boat" and 2 more)"#;
    for message in [
        refusal(siglip.check_own_labels(Some(&labels), None)),
        refusal(siglip.check_own_labels(None, Some("animals"))),
        refusal(siglip.own_scores(&embedding, Some(&labels), None, ScoreFilter::default())),
        refusal(siglip.scores(&embedding, &labels, &Template::default(), ScoreFilter::default())),
        refusal(siglip.text_embeds(&labels)),
        refusal(siglip.unknown_words("cat")),
        refusal(siglip.label_set("animals", &labels, &["{}".into()])),
        refusal(siglip.import_labels("{}")),
        refusal(siglip.check_logits()),
    ] {
        assert!(message.contains(classes), "{message}");
    }
    let options = LoadOptions { towers: Towers::Text, ..whole(Precision::F32) };
    assert!(refusal(Folder::read(FIXED).load(options)).contains("reads no text"));

    let mut folder = Folder::read(FIXED);
    folder.config["id2label"] = json!({});
    folder.rows.retain(|rows| !rows.tensor.name.starts_with("classifier."));
    let siglip = folder.load(whole(Precision::F32)).unwrap();
    assert!(refusal(siglip.check_own_labels(None, None)).contains("has no classes"));
}

#[test]
fn the_filter_leaves_out_classes() {
    let recording: Recording = recording("classifiers");
    let mut siglip = load(FIXED, Precision::F32);
    let embedding = siglip.image_embeds(&pictures(&recording.pictures)[0]).unwrap();
    let count = |filter| siglip.own_scores(&embedding, None, None, filter).unwrap().len();
    assert_eq!(count(ScoreFilter { top_k: Some(2), ..ScoreFilter::default() }), 2);
    assert_eq!(count(ScoreFilter { threshold: Some(0.15), ..ScoreFilter::default() }), 3);
}

/// A file may have the pooling head or not; everything else has to be as config.json says.
#[test]
fn the_weights_are_checked() {
    let load = |change: fn(&mut Vec<Rows>)| {
        let mut folder = Folder::read(FIXED);
        change(&mut folder.rows);
        folder.load(whole(Precision::Q8)).map(drop).map_err(|error| error.to_string())
    };
    assert_eq!(load(|rows| rows.retain(|rows| !rows.tensor.name.contains(".head."))), Ok(()));
    // It is not looked at.
    assert_eq!(load(|rows| named(rows, "vision_model.head.probe").values[3] = f32::NAN), Ok(()));
    for (change, tensor) in [
        (
            (|rows: &mut Vec<Rows>| rows.retain(|rows| rows.tensor.name != "classifier.bias"))
                as fn(&mut Vec<Rows>),
            "classifier.bias",
        ),
        (|rows| named(rows, "classifier.weight").tensor.shape = vec![4, 30], "classifier.weight"),
        (|rows| named(rows, "classifier.weight").values[7] = f32::INFINITY, "classifier.weight"),
        (|rows| named(rows, "classifier.bias").tensor.name = "classifier.out.bias".into(), "classifier.bias"),
        (
            |rows| named(rows, "vision_model.head.probe").tensor.name = "text_model.head.bias".into(),
            "text_model.head.bias",
        ),
    ] {
        let message = load(change).unwrap_err();
        assert!(message.contains(tensor), "{message}");
    }
}

fn named<'r>(rows: &'r mut [Rows], name: &str) -> &'r mut Rows {
    rows.iter_mut().find(|rows| rows.tensor.name == name).unwrap()
}

#[test]
fn a_tokenizer_beside_a_classifier_is_not_read() {
    let small = CheckpointFiles::read(|name| match name {
        "tokenizer.json" => panic!("it is read"),
        name => Ok::<_, Error>(read_text(&repository(FIXED).join(name))),
    });
    assert_eq!(small.unwrap().towers(), Towers::Image);
}
