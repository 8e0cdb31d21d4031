//! Images and labels through the whole pipeline, against what `tests/parity/record_answers.py` recorded.

use serde::Deserialize;
use siglip::image::{RgbImage, decode};
use siglip::text::Template;
use siglip::{Precision, Score, ScoreFilter, Siglip};

use crate::quantized::LEAST_COSINE;
use crate::support::checkpoints::{TINY, read, repository, siglip};
use crate::support::reference::{cosine, recording};

/// `tests/parity/answers-tiny.json`.
#[derive(Deserialize)]
struct Recording {
    template: String,
    labels: Vec<String>,
    answers: Vec<Answer>,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "image")]
    file: String,
    logits: Vec<f32>,
    scores: Vec<f32>,
}

impl Recording {
    fn read() -> Recording {
        recording("answers-tiny")
    }

    /// What `siglip` answers, in the order of the labels.
    fn ask(&self, siglip: &mut Siglip, answer: &Answer) -> Vec<Score> {
        let template = Template::new(&self.template).unwrap();
        let scores =
            siglip.classify(&answer.image(), &self.labels, &template, ScoreFilter::default()).unwrap();
        assert_eq!(scores.len(), self.labels.len());
        assert!(scores.is_sorted_by(|a, b| a.logit >= b.logit), "{scores:?}");
        let of = |label: &String| scores.iter().find(|score| score.label == *label).unwrap().clone();
        self.labels.iter().map(of).collect()
    }
}

impl Answer {
    fn image(&self) -> RgbImage {
        decode(&read(&repository("www/samples").join(&self.file))).unwrap()
    }
}

fn tiny(precision: Precision) -> Siglip {
    siglip(&repository(TINY), precision)
}

#[test]
fn samples_get_the_references_scores() {
    let recording = Recording::read();
    let mut siglip = tiny(Precision::F32);
    assert!(recording.answers.len() >= 5);
    for answer in &recording.answers {
        let scores = recording.ask(&mut siglip, answer);
        for (found, (logit, score)) in scores.iter().zip(answer.logits.iter().zip(&answer.scores)) {
            let what = format!("{}, {}", answer.file, found.label);
            assert!((found.logit - logit).abs() <= 1e-4, "{what}: logit {} for {logit}", found.logit);
            assert!((found.score - score).abs() <= 1e-5, "{what}: score {} for {score}", found.score);
        }
    }
}

#[test]
fn samples_get_nearly_the_same_scores_in_q8() {
    let recording = Recording::read();
    let (mut exact, mut quantized) = (tiny(Precision::F32), tiny(Precision::Q8));
    for answer in &recording.answers {
        let image = answer.image();
        let cosine = cosine(&quantized.image_embeds(&image).unwrap(), &exact.image_embeds(&image).unwrap());
        assert!(cosine >= LEAST_COSINE, "{}: cosine {cosine:.6}", answer.file);
        let scores = recording.ask(&mut exact, answer).into_iter().zip(recording.ask(&mut quantized, answer));
        for (exact, found) in scores {
            let what = format!("{}, {}", answer.file, found.label);
            let change = (found.score - exact.score).abs();
            assert!(change < 0.008, "{what}: score {} for {}", found.score, exact.score);
        }
    }
}
