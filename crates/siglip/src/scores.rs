//! From logits to ranked probabilities.

use serde::Serialize;

/// How well one label fits an image.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Score {
    /// The label as it was given.
    pub label: String,
    /// The probability that the label fits: sigmoid(logit). Each label's own; they do not add up to one.
    pub score: f32,
    /// cosine x scale + bias.
    pub logit: f32,
    /// Words of the label that the model cannot read. If there are any, the cosine is taken as 0, so that the logit is
    /// the model's bias.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<String>,
}

impl Score {
    /// The score of a label that the model can read.
    pub fn new(label: &str, logit: f32) -> Score {
        Score { label: label.into(), score: sigmoid(logit), logit, unknown: Vec::new() }
    }

    /// The score of a label with these unknown words; `logit_bias` is the model's.
    pub fn unread(label: &str, unknown: Vec<String>, logit_bias: f32) -> Score {
        Score { unknown, ..Score::new(label, logit_bias) }
    }
}

/// Which scores are returned. The default is all.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ScoreFilter {
    /// At most this many, the best ones.
    pub top_k: Option<usize>,
    /// Only probabilities of at least this value.
    pub threshold: Option<f32>,
}

/// 1 / (1 + e^-logit). SigLIP was trained with it and has no softmax anywhere (Zhai et al., 2303.15343).
///
/// ```
/// assert_eq!(siglip::sigmoid(0.0), 0.5);
/// assert_eq!(siglip::sigmoid(-200.0), 0.0);
/// ```
pub fn sigmoid(logit: f32) -> f32 {
    // In f64 e^200 is finite, and the rounding errors vanish in the f32.
    (1.0 / (1.0 + (-f64::from(logit)).exp())) as f32
}

/// The logits of one image for every text: cosine x `logit_scale` + `logit_bias`. Embeddings have L2 norm 1;
/// `text_embeds` is [texts, embedding size].
pub fn logits_per_image(
    image_embeds: &[f32],
    text_embeds: &[f32],
    logit_scale: f32,
    logit_bias: f32,
) -> Vec<f32> {
    let texts = text_embeds.chunks_exact(image_embeds.len());
    texts.map(|text| siglip_kernels::dot(image_embeds, text) * logit_scale + logit_bias).collect()
}

/// Sorts the scores best first and applies the filter. Labels with unknown words come last. Equal scores keep their
/// order.
pub fn rank(mut scores: Vec<Score>, filter: ScoreFilter) -> Vec<Score> {
    // By logit, since different logits far from 0 round to the same probability.
    let is_read = |score: &Score| score.unknown.is_empty();
    scores.sort_by(|a, b| is_read(b).cmp(&is_read(a)).then(b.logit.total_cmp(&a.logit)));
    if let Some(threshold) = filter.threshold {
        scores.retain(|score| score.score >= threshold);
    }
    scores.truncate(filter.top_k.unwrap_or(usize::MAX));
    scores
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(filter: ScoreFilter) -> Vec<String> {
        let scores = [("a", -30.0), ("b", 2.0), ("c", -31.0), ("d", 2.0)];
        rank(scores.map(|(label, logit)| Score::new(label, logit)).to_vec(), filter)
            .into_iter()
            .map(|score| score.label)
            .collect()
    }

    #[test]
    fn ranks_by_logit_and_leaves_equals_in_order() {
        assert_eq!(labels(ScoreFilter::default()), ["b", "d", "a", "c"]);
    }

    #[test]
    fn the_filter_drops_what_is_not_asked_for() {
        assert_eq!(labels(ScoreFilter { top_k: Some(1), threshold: None }), ["b"]);
        assert_eq!(labels(ScoreFilter { top_k: None, threshold: Some(0.5) }), ["b", "d"]);
        assert!(labels(ScoreFilter { top_k: Some(0), threshold: None }).is_empty());
    }

    #[test]
    fn a_label_with_unknown_words_never_ranks_above_one_that_was_read() {
        let unread = |label: &str| Score::unread(label, vec![label.into()], 9.0);
        let scores = vec![unread("x"), Score::new("a", -30.0), unread("y"), Score::new("b", 2.0)];
        let ranked = rank(scores, ScoreFilter::default());
        let labels: Vec<&str> = ranked.iter().map(|score| score.label.as_str()).collect();
        assert_eq!(labels, ["b", "a", "x", "y"]);
    }

    #[test]
    fn an_unreadable_label_scores_the_bias_and_names_the_words() {
        let score = Score::unread("a blorp", vec!["blorp".into()], -3.0);
        let json = serde_json::to_value(&score).unwrap();
        assert_eq!(json["unknown"], serde_json::json!(["blorp"]));
        assert_eq!((score.logit, score.score), (-3.0, sigmoid(-3.0)));
        assert!(serde_json::to_value(Score::new("a cat", 0.5)).unwrap().get("unknown").is_none());
    }

    #[test]
    fn sigmoid_equals_torchs() {
        // torch.sigmoid(torch.tensor([-12.93, -1.742, 0.5, 20.0]))
        let expected = [2.424_215e-6, 0.149_059_09, 0.622_459_35, 1.0];
        for (logit, expected) in [-12.93, -1.742, 0.5, 20.0].into_iter().zip(expected) {
            assert!((sigmoid(logit) - expected).abs() <= expected * 1e-6, "{logit}");
        }
    }
}
