//! Classes taught by example: means, linear probes against scikit-learn, and their file.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};
use siglip::ScoreFilter;
use siglip::index::IndexModel;
use siglip::taught::{ClassesError, Examples, Kind, Probe, ProbeOptions, TaughtClasses};

#[derive(Deserialize)]
struct Recorded {
    embedding_size: usize,
    pictures: usize,
    training: usize,
    names: Vec<String>,
    levels: String,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    classes: Vec<usize>,
    c: f64,
    accuracy: f64,
    cross_validated: f64,
    predicted: Vec<usize>,
    share_of_right: Vec<f64>,
}

impl Recorded {
    fn read() -> Recorded {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/parity/probe.json");
        serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
    }

    /// The embeddings of a class, of L2 norm 1.
    fn of(&self, class: usize) -> Vec<Vec<f32>> {
        let levels = base64::decode(&self.levels).unwrap();
        let rows = levels.chunks_exact(self.embedding_size).skip(class * self.pictures).take(self.pictures);
        rows.map(|row| {
            let values: Vec<f64> = row.iter().map(|&level| f64::from(level as i8)).collect();
            let norm = values.iter().map(|value| value * value).sum::<f64>().sqrt();
            values.iter().map(|value| (value / norm) as f32).collect()
        })
        .collect()
    }

    fn model(&self) -> IndexModel {
        IndexModel {
            name: "tiny".into(),
            embedding_size: self.embedding_size,
            logit_scale: 20.24,
            logit_bias: -4.5,
        }
    }

    /// The classes with the first `count` pictures of each.
    fn examples(&self, classes: &[usize], count: usize) -> Vec<Examples> {
        let of = |&class: &usize| {
            let images = self.of(class)[..count].to_vec();
            Examples { name: self.names[class].clone(), text: None, images, not: Vec::new(), mix: 1.0 }
        };
        classes.iter().map(of).collect()
    }
}

fn probe_of(taught: &TaughtClasses) -> Probe {
    match taught.kind() {
        Kind::Probe(probe) => probe,
        Kind::Means => panic!("no probe"),
    }
}

/// The scores' labels with logits and scores, in the order of `names`.
fn in_order(taught: &TaughtClasses, embedding: &[f32]) -> Vec<(f64, f64)> {
    let scores = taught.scores(embedding, ScoreFilter::default()).unwrap();
    let of = |name: &str| {
        let score = scores.iter().find(|score| score.label == name).unwrap();
        (f64::from(score.logit), f64::from(score.score))
    };
    taught.classes().iter().map(|class| of(&class.name)).collect()
}

fn softmax(logits: impl Iterator<Item = f64> + Clone) -> Vec<f64> {
    let sum: f64 = logits.clone().map(f64::exp).sum();
    logits.map(|logit| logit.exp() / sum).collect()
}

#[test]
fn a_probe_answers_as_scikit_learns_logistic_regression() {
    let recorded = Recorded::read();
    assert!(recorded.cases.len() >= 5);
    for (number, case) in recorded.cases.iter().enumerate() {
        let examples = recorded.examples(&case.classes, recorded.training);
        let taught = TaughtClasses::probe(&recorded.model(), &examples, ProbeOptions { c: case.c }).unwrap();
        let probe = probe_of(&taught);
        assert!((probe.accuracy - case.cross_validated).abs() <= 1e-9, "case {number}: {}", probe.accuracy);
        assert_eq!(probe.folds, 5);
        let (mut right, mut at) = (0, 0);
        for (truth, &class) in case.classes.iter().enumerate() {
            for embedding in &recorded.of(class)[recorded.training..] {
                let answers = in_order(&taught, embedding);
                // Without the factor, which scikit-learn has not.
                let shares = softmax(answers.iter().map(|(logit, _)| logit / probe.factor));
                let best =
                    (0..shares.len()).fold(0, |best, at| if shares[at] > shares[best] { at } else { best });
                assert_eq!(best, case.predicted[at], "case {number}, picture {at}");
                let (found, expected) = (shares[truth], case.share_of_right[at]);
                assert!(
                    (found - expected).abs() <= 2e-5,
                    "case {number}, picture {at}: {found}, not {expected}"
                );
                let total: f64 = answers.iter().map(|(_, score)| score).sum();
                assert!((total - 1.0).abs() < 1e-4, "the shares add up to {total}");
                right += usize::from(best == truth);
                at += 1;
            }
        }
        assert!((right as f64 / at as f64 - case.accuracy).abs() <= 1e-9, "case {number}: {right} of {at}");
    }
}

#[test]
fn the_factor_makes_held_out_answers_more_likely() {
    let recorded = Recorded::read();
    let classes: Vec<usize> = (0..recorded.names.len()).collect();
    let examples = recorded.examples(&classes, recorded.training);
    let taught = TaughtClasses::probe(&recorded.model(), &examples, ProbeOptions::default()).unwrap();
    let factor = probe_of(&taught).factor;
    assert!(factor > 1.5, "with C = 1 the probabilities are near each other, and the factor is {factor}");
    let (mut own, mut plain) = (0.0, 0.0);
    for (truth, &class) in classes.iter().enumerate() {
        for embedding in &recorded.of(class)[recorded.training..] {
            let answers = in_order(&taught, embedding);
            own -= answers[truth].1.ln();
            plain -= softmax(answers.iter().map(|(logit, _)| logit / factor))[truth].ln();
        }
    }
    assert!(own < 0.85 * plain, "log loss {own} with the factor, {plain} without");
}

#[test]
fn means_are_the_means_and_tell_classes_apart_by_three_pictures() {
    let recorded = Recorded::read();
    let classes = [0, 5, 13, 27, 33];
    let taught = TaughtClasses::means(&recorded.model(), &recorded.examples(&classes, 3)).unwrap();
    let (mut right, mut total) = (0, 0u32);
    let (mut of_right, mut of_wrong) = (0.0, 0.0);
    for (truth, &class) in classes.iter().enumerate() {
        for embedding in &recorded.of(class)[3..] {
            let answers = in_order(&taught, embedding);
            // The order is that of the cosines with the plain means.
            let cosine = |class: usize| {
                let mut mean = vec![0.0f64; recorded.embedding_size];
                for image in &recorded.of(class)[..3] {
                    mean.iter_mut().zip(image).for_each(|(sum, value)| *sum += f64::from(*value));
                }
                let norm = mean.iter().map(|value| value * value).sum::<f64>().sqrt();
                mean.iter().zip(embedding).map(|(a, b)| a * f64::from(*b)).sum::<f64>() / norm
            };
            let cosines: Vec<f64> = classes.iter().map(|&class| cosine(class)).collect();
            for a in 0..classes.len() {
                for b in 0..classes.len() {
                    let is_plain = (answers[a].0 > answers[b].0) == (cosines[a] > cosines[b]);
                    assert!(is_plain || (cosines[a] - cosines[b]).abs() < 1e-5);
                }
            }
            right += u32::from(answers.iter().all(|answer| answer.0 <= answers[truth].0));
            total += 1;
            of_right += answers[truth].1;
            of_wrong += (answers.iter().map(|answer| answer.1).sum::<f64>() - answers[truth].1) / 4.0;
        }
    }
    let (of_right, of_wrong) = (of_right / f64::from(total), of_wrong / f64::from(total));
    assert!(right * 10 >= total * 8, "{right} of {total}");
    assert!(of_right > 0.65 && of_wrong < 0.35, "{of_right} for the right class, {of_wrong} for others");
}

#[test]
fn the_mixture_goes_from_the_text_to_the_pictures() {
    let recorded = Recorded::read();
    let model = recorded.model();
    let text = recorded.of(7)[0].clone();
    let at = |mix: f32| {
        let mut examples = recorded.examples(&[0, 1], 3);
        examples[0].text = Some(text.clone());
        examples[0].mix = mix;
        let taught = TaughtClasses::means(&model, &examples).unwrap();
        in_order(&taught, &recorded.of(2)[4])[0].0
    };
    // The text alone has the model's own logit.
    let cosine: f32 = text.iter().zip(&recorded.of(2)[4]).map(|(a, b)| a * b).sum();
    assert!((at(0.0) - f64::from(cosine * model.logit_scale + model.logit_bias)).abs() < 1e-4);
    let half = (at(0.0) + at(1.0)) / 2.0;
    assert!((at(0.5) - half).abs() < 1e-4, "{} is not in the middle, {half}", at(0.5));
    // A class without pictures is its text, whatever the mixture.
    let alone =
        Examples { name: "text".into(), text: Some(text.clone()), images: vec![], not: vec![], mix: 0.9 };
    let mut examples = recorded.examples(&[0], 3);
    examples.push(alone);
    let taught = TaughtClasses::means(&model, &examples).unwrap();
    assert!((in_order(&taught, &recorded.of(2)[4])[1].0 - at(0.0)).abs() < 1e-4);
}

#[test]
fn what_is_not_this_is_less_likely() {
    let recorded = Recorded::read();
    let mut examples = recorded.examples(&[3, 30], 3);
    let score = |examples: &[Examples], picture: &[f32]| {
        in_order(&TaughtClasses::means(&recorded.model(), examples).unwrap(), picture)[0].1
    };
    let other = recorded.of(4);
    let before: f64 = other[3..].iter().map(|picture| score(&examples, picture)).sum();
    examples[0].not = other[..3].to_vec();
    let after: f64 = other[3..].iter().map(|picture| score(&examples, picture)).sum();
    assert!(after < 0.8 * before, "{after} after {before}");
}

#[test]
fn few_examples_are_enough_and_make_nothing_certain() {
    let recorded = Recorded::read();
    for count in [1, 2, 3] {
        for classes in [&[0][..], &[0, 1]] {
            let taught = TaughtClasses::means(&recorded.model(), &recorded.examples(classes, count)).unwrap();
            for class in [0, 1, 2] {
                for picture in &recorded.of(class)[3..] {
                    let (logit, score) = in_order(&taught, picture)[0];
                    assert!(logit.abs() < 20.0 && score > 0.0 && score < 1.0, "{count}: {logit}");
                }
            }
        }
    }
    // Copies of one picture.
    let mut examples = recorded.examples(&[0], 1);
    examples[0].images = vec![examples[0].images[0].clone(); 3];
    let taught = TaughtClasses::means(&recorded.model(), &examples).unwrap();
    assert!(in_order(&taught, &recorded.of(0)[5])[0].0.is_finite());
}

#[test]
fn a_file_goes_out_and_comes_in() {
    let recorded = Recorded::read();
    let model = recorded.model();
    let examples = recorded.examples(&[0, 1, 2], 4);
    let means = TaughtClasses::means(&model, &examples).unwrap();
    let probe = TaughtClasses::probe(&model, &examples, ProbeOptions::default()).unwrap();
    for taught in [means, probe] {
        let json = taught.to_json();
        assert_eq!(TaughtClasses::from_json(&json).unwrap(), taught);
        assert!(taught.check_model(&model).is_ok());
        let refused = |name: &str| {
            let other = IndexModel { logit_bias: -16.0, name: name.into(), ..model.clone() };
            taught.check_model(&other).unwrap_err().to_string()
        };
        assert!(refused("other").contains(&format!("the model {}, not with other", model.name)));
        assert!(refused(&model.name).contains(&format!("other weights of the model {}", model.name)));
        // The numbers are written as they are read: as floats or whole numbers, after a mark of the byte order.
        assert_eq!(TaughtClasses::from_json(&format!("\u{feff}{json}\n")).unwrap(), taught);
    }
}

#[test]
fn hostile_files_are_refused_by_name() {
    let recorded = Recorded::read();
    let taught =
        TaughtClasses::probe(&recorded.model(), &recorded.examples(&[0, 1], 3), ProbeOptions::default())
            .unwrap();
    let json: Value = serde_json::from_str(&taught.to_json()).unwrap();
    let with = |pointer: &str, value: Value| {
        let mut json = json.clone();
        *json.pointer_mut(pointer).unwrap() = value;
        TaughtClasses::from_json(&json.to_string()).unwrap_err()
    };
    for text in ["", "[]", "{}", "GIF89a", "{\"format\":\"siglip-labels\",\"version\":1}", "null"] {
        assert_eq!(TaughtClasses::from_json(text).unwrap_err(), ClassesError::NotClasses, "{text}");
    }
    assert_eq!(with("/version", json!(2)), ClassesError::Version(2));
    let weights = json["weights"].as_str().unwrap();
    let nan = base64::encode(f32::NAN.to_le_bytes().repeat(2 * recorded.embedding_size));
    for (pointer, value) in [
        ("/kind", json!("forest")),
        ("/weights", json!(&weights[4..])),
        ("/weights", json!("!".repeat(weights.len()))),
        ("/weights", json!(nan)),
        ("/embeddingSize", json!(64)),
        ("/embeddingSize", json!(0)),
        ("/embeddingSize", json!(1u64 << 40)),
        ("/embeddingSize", json!(-1)),
        ("/biases", json!([0.0])),
        ("/biases", json!([0.0, 1e300])),
        ("/accuracy", json!(1.5)),
        ("/accuracy", Value::Null),
        ("/classes/0/images", json!(1u64 << 60)),
        ("/classes/0/mix", json!(7)),
        ("/model", json!("m".repeat(10_000))),
    ] {
        let error = with(pointer, value);
        assert!(matches!(error, ClassesError::Damaged(_)), "{pointer}: {error}");
    }
    assert!(matches!(with("/classes", json!([])), ClassesError::Count { found: 0, .. }));
    let one = json!([json["classes"][0]]);
    assert!(matches!(with("/classes", one), ClassesError::Damaged(_)));
    for (pointer, name) in
        [("/classes/0/name", ""), ("/classes/0/name", "Chihuahua"), ("/classes/1/name", " ")]
    {
        assert!(matches!(with(pointer, json!(name)), ClassesError::BadClass { .. }), "{name}");
    }
    assert!(matches!(with("/classes/1/name", json!("n".repeat(201))), ClassesError::BadClass { .. }));
    // Cut anywhere, it is refused and nothing panics.
    let text = taught.to_json();
    for end in (0..text.len()).step_by(41) {
        assert!(TaughtClasses::from_json(&text[..end]).is_err());
    }
}

#[test]
fn examples_that_teach_nothing_are_refused_by_the_classs_name() {
    let recorded = Recorded::read();
    let model = recorded.model();
    let good = recorded.examples(&[0, 1], 3);
    let with = |change: &dyn Fn(&mut Vec<Examples>)| {
        let mut examples = good.clone();
        change(&mut examples);
        examples
    };
    let means = |change: &dyn Fn(&mut Vec<Examples>)| {
        TaughtClasses::means(&model, &with(change)).unwrap_err().to_string()
    };
    assert!(means(&|list| list.clear()).contains("there are 0 classes"));
    assert!(means(&|list| list[1].name = list[0].name.clone()).contains("\"African elephant\" occurs twice"));
    assert!(means(&|list| list[0].name.clear()).contains("has a name that is empty"));
    assert!(means(&|list| list[1].images.clear()).contains("\"Chihuahua\" has neither a text nor a picture"));
    assert!(means(&|list| list[1].images[2].truncate(5)).contains("an embedding of 5 values"));
    assert!(means(&|list| list[1].not.push(vec![0.0; 128])).contains("no positive number"));
    assert!(means(&|list| list[1].not.push(vec![f32::NAN; 128])).contains("no positive number"));
    assert!(means(&|list| list[1].mix = f32::NAN).contains("has a mix of NaN"));
    let probe = |change: &dyn Fn(&mut Vec<Examples>), c: f64| {
        TaughtClasses::probe(&model, &with(change), ProbeOptions { c }).unwrap_err().to_string()
    };
    assert!(probe(&|list| list.truncate(1), 1.0).contains("tells at least two apart"));
    assert!(probe(&|list| list[1].images.truncate(1), 1.0).contains("\"Chihuahua\" has 1 pictures"));
    assert!(probe(&|_| (), 0.0).contains("C is a number greater than 0"));
    let taught = TaughtClasses::probe(&model, &good, ProbeOptions::default()).unwrap();
    assert_eq!(taught.scores(&[0.0; 3], ScoreFilter::default()).unwrap_err().code(), "bad-input");
    let relative = ScoreFilter { relative: true, ..ScoreFilter::default() };
    assert!(
        taught
            .scores(&recorded.of(0)[0], relative)
            .unwrap_err()
            .to_string()
            .contains("shares of one already")
    );
}
