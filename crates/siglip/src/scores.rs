//! From logits to ranked probabilities.

use serde::Serialize;

/// What a picture scores for one label.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Score {
    /// The label as it was given.
    pub label: String,
    /// The probability that the label fits: sigmoid(logit). Each label's own; they do not add up to one.
    pub score: f32,
    /// cosine x scale + bias.
    pub logit: f32,
    /// Words of the label that the model cannot read. Where there are any the cosine counts as 0: the score is what the
    /// model expects of a label before it has read it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<String>,
}

impl Score {
    /// The score of a label that was read.
    pub fn new(label: &str, logit: f32) -> Score {
        Score { label: label.into(), score: sigmoid(logit), logit, unknown: Vec::new() }
    }

    /// That of a label with these unknown words, by a model of this bias.
    pub fn unread(label: &str, unknown: Vec<String>, logit_bias: f32) -> Score {
        Score { unknown, ..Score::new(label, logit_bias) }
    }
}

/// Which scores to keep.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Keep {
    /// At most so many, the best ones.
    pub top_k: Option<usize>,
    /// Only probabilities of at least this much.
    pub threshold: Option<f32>,
}

/// 1 / (1 + e^-logit). SigLIP was trained with it and has no softmax anywhere (Zhai et al., 2303.15343).
///
/// ```
/// assert_eq!(siglip::sigmoid(0.0), 0.5);
/// assert_eq!(siglip::sigmoid(-200.0), 0.0);
/// ```
pub fn sigmoid(logit: f32) -> f32 {
    // In f64, where e^200 still is a number and what is left of the rounding disappears in the f32.
    (1.0 / (1.0 + (-f64::from(logit)).exp())) as f32
}

/// The scores best first, those that are asked for; equals keep their order.
pub fn rank(mut scores: Vec<Score>, keep: Keep) -> Vec<Score> {
    // By logit: probabilities near 0 and 1 round to equals.
    scores.sort_by(|a, b| b.logit.total_cmp(&a.logit));
    if let Some(threshold) = keep.threshold {
        scores.retain(|score| score.score >= threshold);
    }
    scores.truncate(keep.top_k.unwrap_or(usize::MAX));
    scores
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(keep: Keep) -> Vec<String> {
        let scores = [("a", -30.0), ("b", 2.0), ("c", -31.0), ("d", 2.0)];
        rank(scores.map(|(label, logit)| Score::new(label, logit)).to_vec(), keep)
            .into_iter()
            .map(|score| score.label)
            .collect()
    }

    #[test]
    fn ranks_by_logit_and_keeps_the_order_of_equals() {
        assert_eq!(labels(Keep::default()), ["b", "d", "a", "c"]);
    }

    #[test]
    fn keeps_what_is_asked_for() {
        assert_eq!(labels(Keep { top_k: Some(1), threshold: None }), ["b"]);
        assert_eq!(labels(Keep { top_k: None, threshold: Some(0.5) }), ["b", "d"]);
        assert!(labels(Keep { top_k: Some(0), threshold: None }).is_empty());
    }

    #[test]
    fn a_label_that_was_not_read_scores_the_bias_and_says_so() {
        let score = Score::unread("a blorp", vec!["blorp".into()], -3.0);
        let json = serde_json::to_value(&score).unwrap();
        assert_eq!(json["unknown"], serde_json::json!(["blorp"]));
        assert_eq!((score.logit, score.score), (-3.0, sigmoid(-3.0)));
        assert!(serde_json::to_value(Score::new("a cat", 0.5)).unwrap().get("unknown").is_none());
    }

    #[test]
    fn sigmoid_is_the_references() {
        // torch.sigmoid(torch.tensor([-12.93, -1.742, 0.5, 20.0]))
        let expected = [2.424_215e-6, 0.149_059_09, 0.622_459_35, 1.0];
        for (logit, expected) in [-12.93, -1.742, 0.5, 20.0].into_iter().zip(expected) {
            assert!((sigmoid(logit) - expected).abs() <= expected * 1e-6, "{logit}");
        }
    }
}
