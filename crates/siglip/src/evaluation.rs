//! How well a model does on images whose labels are known.

use serde::Serialize;

/// Labels that the true one is compared with in a "5-way" question.
const OTHERS: usize = 4;
/// Bins of a reliability diagram.
const BINS: usize = 10;
/// The k of recall at k.
const PLACES: [usize; 3] = [1, 5, 10];

/// Logits of images for labels, and the true label of each image.
///
/// 5-way accuracy is the mean over all draws of four other labels, so it does not depend on chance.
#[derive(Debug, Clone)]
pub struct Evaluation {
    logits: Vec<f32>,
    labels: usize,
    truths: Vec<usize>,
    /// Labels with words that the model cannot read.
    unreadable: Vec<usize>,
}

/// The results of an [`Evaluation`]; fractions from 0 to 1.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Number of images.
    pub images: usize,
    /// Number of labels.
    pub labels: usize,
    /// Images whose true label scores best.
    pub top1: f64,
    /// Images whose true label is among the best five; `None` with five labels or fewer.
    pub top5: Option<f64>,
    /// Images whose true label scores better than four others, averaged over all choices of four; `None` with fewer than
    /// five labels.
    pub five_way: Option<f64>,
    /// Labels that find one of their own images among the best images.
    pub text_to_image: Recall,
    /// Images that find their own label among the best labels.
    pub image_to_text: Recall,
    /// How well probabilities match outcomes, over the yes/no questions of the 5-way sets; `None` with fewer than five
    /// labels.
    pub calibration: Option<Calibration>,
}

/// The fraction that is found among the first k results.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Recall {
    /// k = 1.
    pub at1: f64,
    /// k = 5.
    pub at5: f64,
    /// k = 10.
    pub at10: f64,
}

/// How well probabilities match outcomes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Calibration {
    /// Expected calibration error (Naeini et al., 2015): the mean difference between a bin's probability and its fraction
    /// of yes.
    pub error: f64,
    /// The reliability diagram: ten bins of equal width from 0 to 1.
    pub bins: Vec<Bin>,
}

/// Questions of similar probability.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Bin {
    /// Fraction of all questions.
    pub share: f64,
    /// Their mean probability.
    pub predicted: f64,
    /// Their fraction of yes.
    pub observed: f64,
}

/// The yes/no question whether a label is true of an image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Question {
    /// The model's logit.
    pub logit: f32,
    /// The right answer.
    pub truth: bool,
    /// How often it is asked. The weights of all questions add up to one.
    pub weight: f64,
}

impl Evaluation {
    /// No images yet, for this number of labels.
    pub fn new(labels: usize) -> Evaluation {
        Evaluation { logits: Vec::new(), labels, truths: Vec::new(), unreadable: Vec::new() }
    }

    /// Marks a label with words that the model cannot read. Call it before the first image is added. The label is not
    /// scored: it never ranks above another label, and its own images count as wrong.
    pub fn mark_unreadable(&mut self, label: usize) {
        self.unreadable.push(label);
    }

    /// Adds an image: one logit per label, and the index of its true label. Returns whether the true label scores best.
    ///
    /// # Panics
    /// Unless there is one logit per label and `truth` is the index of a label.
    pub fn add(&mut self, logits: &[f32], truth: usize) -> bool {
        assert!(
            logits.len() == self.labels && truth < self.labels,
            "one logit per label, and the index of the true label"
        );
        let start = self.logits.len();
        self.logits.extend_from_slice(logits);
        self.truths.push(truth);
        let logits = &mut self.logits[start..];
        for &label in &self.unreadable {
            logits[label] = f32::NEG_INFINITY;
        }
        competitors(logits, truth) == 0
    }

    /// Computes all metrics. Without images they are zeros.
    pub fn report(&self) -> Report {
        let enough = self.labels > OTHERS && !self.truths.is_empty();
        Report {
            images: self.truths.len(),
            labels: self.labels,
            top1: self.top(1),
            top5: (self.labels > 5).then(|| self.top(5)),
            five_way: enough.then(|| self.five_way()),
            text_to_image: Recall::of(|places| self.found_by_text(places)),
            image_to_text: Recall::of(|places| self.top(places)),
            calibration: enough.then(|| Calibration::of(self.questions())),
        }
    }

    fn rows(&self) -> impl Iterator<Item = (&[f32], usize)> {
        self.logits.chunks_exact(self.labels.max(1)).zip(self.truths.iter().copied())
    }

    fn mean(&self, of: impl Fn(&[f32], usize) -> f64) -> f64 {
        self.rows().map(|(logits, truth)| of(logits, truth)).sum::<f64>() / self.truths.len().max(1) as f64
    }

    /// Fraction of the images for which fewer than `places` other labels score as well as the true one.
    fn top(&self, places: usize) -> f64 {
        self.mean(|logits, truth| f64::from(u8::from(competitors(logits, truth) < places)))
    }

    /// If m of n - 1 other labels score worse than the true one, then C(m, 4) of C(n - 1, 4) draws are won.
    fn five_way(&self) -> f64 {
        self.mean(|logits, truth| {
            let others = logits.len() - 1;
            let worse = others - competitors(logits, truth);
            (0..OTHERS).map(|drawn| worse.saturating_sub(drawn) as f64 / (others - drawn) as f64).product()
        })
    }

    /// Fraction of the labels with images that have one of their own among their `places` best images.
    fn found_by_text(&self, places: usize) -> f64 {
        let (mut labels, mut found) = (0, 0);
        for label in (0..self.labels).filter(|label| self.truths.contains(label)) {
            let mut images: Vec<(f32, usize)> =
                self.rows().map(|(logits, truth)| (logits[label], truth)).collect();
            images.sort_by(|(a, _), (b, _)| b.total_cmp(a));
            labels += 1;
            let is_own = |&(logit, truth): &(f32, usize)| truth == label && logit.is_finite();
            found += usize::from(images.iter().take(places).any(is_own));
        }
        f64::from(found as u32) / f64::from(labels.max(1))
    }

    /// The yes/no questions of all 5-way sets. The true label is in every set, each other label in four of n - 1 sets.
    /// Labels that the model cannot read are not asked about.
    pub fn questions(&self) -> impl Iterator<Item = Question> {
        let other_weight = OTHERS as f64 / self.labels.saturating_sub(1).max(1) as f64;
        let weight = move |is_true: bool| if is_true { 1.0 } else { other_weight };
        let asked = |(logits, truth): (&[f32], usize)| {
            let labels = logits.iter().enumerate().filter(|(_, logit)| logit.is_finite());
            labels.map(|(label, _)| weight(label == truth)).sum::<f64>()
        };
        let whole: f64 = self.rows().map(asked).sum();
        self.rows().flat_map(move |(logits, truth)| {
            let labels = logits.iter().enumerate().filter(|(_, logit)| logit.is_finite());
            labels.map(move |(label, &logit)| {
                let truth = label == truth;
                Question { logit, truth, weight: weight(truth) / whole }
            })
        })
    }
}

impl Calibration {
    /// Of the questions' logits and answers. The weights of all questions add up to one.
    pub fn of(questions: impl IntoIterator<Item = Question>) -> Calibration {
        let mut bins = vec![Bin::default(); BINS];
        for Question { logit, truth, weight } in questions {
            let probability = f64::from(crate::sigmoid(logit));
            let bin = &mut bins[((probability * BINS as f64) as usize).min(BINS - 1)];
            bin.share += weight;
            bin.predicted += weight * probability;
            bin.observed += if truth { weight } else { 0.0 };
        }
        let error = bins.iter().map(|bin| (bin.predicted - bin.observed).abs()).sum();
        for bin in bins.iter_mut().filter(|bin| bin.share > 0.0) {
            bin.predicted /= bin.share;
            bin.observed /= bin.share;
        }
        Calibration { error, bins }
    }
}

impl Recall {
    fn of(share: impl Fn(usize) -> f64) -> Recall {
        let [at1, at5, at10] = PLACES.map(share);
        Recall { at1, at5, at10 }
    }
}

/// Number of other labels that score as well as the true one, or better. A tie counts as a wrong answer.
fn competitors(logits: &[f32], truth: usize) -> usize {
    logits.iter().filter(|&&logit| logit >= logits[truth]).count() - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Six labels. The second image's true label is beaten by one other label, the third's by all.
    fn evaluation() -> Evaluation {
        let mut evaluation = Evaluation::new(6);
        evaluation.add(&[5.0, 1.0, 0.0, 0.0, 0.0, 0.0], 0);
        evaluation.add(&[1.0, 2.0, 3.0, 0.0, 0.0, 0.0], 1);
        evaluation.add(&[2.0, 1.0, 1.0, 1.0, 1.0, -9.0], 5);
        evaluation
    }

    #[test]
    fn accuracies_count_the_rank_of_the_true_label() {
        let report = evaluation().report();
        assert_eq!((report.images, report.labels), (3, 6));
        assert_eq!(report.top1, 1.0 / 3.0);
        assert_eq!(report.top5, Some(2.0 / 3.0));
        assert_eq!(report.image_to_text, Recall { at1: 1.0 / 3.0, at5: 2.0 / 3.0, at10: 1.0 });
        // One of the second image's five other labels is better. It is not drawn in C(4, 4) of C(5, 4) draws.
        assert!((report.five_way.unwrap() - (1.0 + 0.2 + 0.0) / 3.0).abs() < 1e-12);
    }

    #[test]
    fn an_unreadable_label_is_not_scored() {
        let mut evaluation = Evaluation::new(6);
        evaluation.mark_unreadable(2);
        let logits = [1.0, 0.0, 9.0, 0.5, 0.2, 0.1];
        assert!(evaluation.add(&logits, 0), "the label does not compete");
        assert!(!evaluation.add(&logits, 2), "its own image counts as wrong");
        let report = evaluation.report();
        assert_eq!((report.images, report.top1, report.five_way), (2, 0.5, Some(0.5)));
        assert_eq!(report.text_to_image.at10, 0.5);
        assert_eq!(evaluation.questions().count(), 2 * 5);
        assert!((evaluation.questions().map(|question| question.weight).sum::<f64>() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn five_way_is_the_mean_over_draws() {
        let logits = [0.3, -1.0, 2.0, 0.9, -0.4, 0.1, 1.4, -2.0];
        let mut evaluation = Evaluation::new(8);
        evaluation.add(&logits, 3);
        let (mut draws, mut right) = (0, 0);
        for set in 0u32..256 {
            if set.count_ones() == 4 && set & 1 << 3 == 0 {
                draws += 1;
                right += u32::from((0..8).all(|label| set & 1 << label == 0 || logits[label] < logits[3]));
            }
        }
        assert!((evaluation.report().five_way.unwrap() - f64::from(right) / f64::from(draws)).abs() < 1e-12);
    }

    #[test]
    fn a_label_with_images_finds_its_own() {
        // Label 0 finds its own first, label 1 second, label 5 last.
        let Recall { at1, at5, .. } = evaluation().report().text_to_image;
        assert_eq!((at1, at5), (2.0 / 3.0, 1.0));
    }

    #[test]
    fn right_and_certain_probabilities_have_no_calibration_error() {
        let mut evaluation = Evaluation::new(5);
        evaluation.add(&[40.0, -40.0, -40.0, -40.0, -40.0], 0);
        let calibration = evaluation.report().calibration.unwrap();
        assert!(calibration.error < 1e-9);
        assert!((calibration.bins[9].share - 0.2).abs() < 1e-12 && calibration.bins[9].observed == 1.0);
    }

    #[test]
    fn probabilities_of_one_half_have_a_calibration_error_of_three_tenths() {
        let mut evaluation = Evaluation::new(9);
        evaluation.add(&[0.0; 9], 4);
        let calibration = evaluation.report().calibration.unwrap();
        assert!((calibration.error - 0.3).abs() < 1e-9);
        assert!((calibration.bins[5].observed - 0.2).abs() < 1e-12);
    }

    #[test]
    fn metrics_that_need_more_labels_or_images_are_left_out() {
        let report = Evaluation::new(3).report();
        assert_eq!((report.top1, report.five_way, report.top5), (0.0, None, None));
    }
}
