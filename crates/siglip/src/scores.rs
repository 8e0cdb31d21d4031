//! From logits to ranked probabilities.

use serde::{Deserialize, Serialize};

use crate::Error;

/// How well one label fits an image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// The label as it was given.
    pub label: String,
    /// The probability that the label fits: sigmoid(logit). Each label's own; they do not add up to one.
    pub score: f32,
    /// cosine x scale + bias.
    pub logit: f32,
    /// The cosine between the two embeddings; `None` of a label that was not read, and of a classifier's classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cosine: Option<f32>,
    /// The label's share of one among all labels of the call: a softmax of the logits, by which labels are compared with each
    /// other. Only if it was asked for, and of labels that were read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relative: Option<f32>,
    /// Whether scale or bias are a person's own, so that neither score nor logit are the model's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub adjusted: bool,
    /// Words of the label that the model cannot read. If there are any, the cosine is taken as 0, so that the logit is
    /// the model's bias.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<String>,
}

impl Score {
    /// The score of a label that the model can read.
    pub fn new(label: &str, logit: f32) -> Score {
        Score {
            label: label.into(),
            score: sigmoid(logit),
            logit,
            cosine: None,
            relative: None,
            adjusted: false,
            unknown: Vec::new(),
        }
    }

    /// The score of a label whose embedding has this cosine with the image's.
    pub fn of_cosine(label: &str, cosine: f32, logits: LogitScale) -> Score {
        let score = Score::new(label, logits.logit(cosine));
        Score { cosine: Some(cosine), adjusted: logits.adjustment.is_own(), ..score }
    }

    /// The score of a label with these unknown words: that of a cosine of 0.
    pub fn unread(label: &str, unknown: Vec<String>, logits: LogitScale) -> Score {
        Score { unknown, cosine: None, ..Score::of_cosine(label, 0.0, logits) }
    }
}

/// A person's own change of what turns a cosine into a probability. The default is none.
///
/// The model's probabilities follow from its training: mostly pairs that do not belong together. So they are low, and right
/// for a question that one text in thousands answers. For other questions one may move them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Adjustment {
    /// Factor of the model's `logit_scale`.
    pub scale: f32,
    /// Added to the model's `logit_bias`.
    pub bias: f32,
}

impl Default for Adjustment {
    fn default() -> Adjustment {
        Adjustment { scale: 1.0, bias: 0.0 }
    }
}

impl Adjustment {
    /// Checks that the scale is greater than 0 and that both are finite.
    ///
    /// # Errors
    /// [`Error::BadInput`] names the one that is not.
    pub fn new(scale: f32, bias: f32) -> Result<Adjustment, Error> {
        if !(scale > 0.0 && scale.is_finite()) {
            return Err(Error::BadInput(format!("scale is a number greater than 0, not {scale}")));
        }
        if !bias.is_finite() {
            return Err(Error::BadInput(format!("bias is a number, not {bias}")));
        }
        Ok(Adjustment { scale, bias })
    }

    /// Whether it changes anything.
    pub fn is_own(self) -> bool {
        self != Adjustment::default()
    }
}

/// What turns a cosine into a logit: the model's scale and bias, and a person's change of them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogitScale {
    /// The model's factor of every cosine.
    pub scale: f32,
    /// The model's summand.
    pub bias: f32,
    /// The person's change.
    pub adjustment: Adjustment,
}

impl LogitScale {
    /// The logit of a cosine. Without a change it is the model's to the last bit.
    pub fn logit(self, cosine: f32) -> f32 {
        cosine * (self.scale * self.adjustment.scale) + (self.bias + self.adjustment.bias)
    }
}

/// Which scores are returned, and how they are made. The default is all, as the model gives them.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ScoreFilter {
    /// At most this many, the best ones.
    pub top_k: Option<usize>,
    /// Only probabilities of at least this value.
    pub threshold: Option<f32>,
    /// Whether each score gets its share among all labels: [`Score::relative`].
    pub relative: bool,
    /// A person's own scale and bias.
    pub adjustment: Adjustment,
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

/// e^logit, as a share of the sum over all logits.
pub(crate) fn softmax(logits: &[f32]) -> Vec<f32> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f64> = logits.iter().map(|&logit| f64::from(logit - largest).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| (power / sum) as f32).collect()
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
    if filter.relative {
        let (logits, read): (Vec<f32>, Vec<&mut Score>) = scores
            .iter_mut()
            .filter(|score| score.unknown.is_empty())
            .map(|score| (score.logit, score))
            .unzip();
        for (score, share) in read.into_iter().zip(softmax(&logits)) {
            score.relative = Some(share);
        }
    }
    if let Some(threshold) = filter.threshold {
        scores.retain(|score| score.score >= threshold);
    }
    scores.truncate(filter.top_k.unwrap_or(usize::MAX));
    scores
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_bias(bias: f32) -> LogitScale {
        LogitScale { scale: 100.0, bias, adjustment: Adjustment::default() }
    }

    #[test]
    fn an_own_scale_and_bias_move_the_logit_and_mark_the_score() {
        let own = LogitScale { adjustment: Adjustment { scale: 0.5, bias: 4.0 }, ..of_bias(-10.0) };
        let (given, moved) = (Score::of_cosine("a", 0.1, of_bias(-10.0)), Score::of_cosine("a", 0.1, own));
        assert_eq!((given.logit, given.adjusted, given.cosine), (0.0, false, Some(0.1)));
        assert_eq!((moved.logit, moved.adjusted, moved.cosine), (-1.0, true, Some(0.1)));
        assert_eq!(Score::unread("b", vec!["b".into()], own).logit, -6.0);
        for (scale, bias) in [(0.0, 0.0), (-1.0, 0.0), (f32::NAN, 0.0), (f32::INFINITY, 0.0), (1.0, f32::NAN)]
        {
            assert_eq!(Adjustment::new(scale, bias).unwrap_err().code(), "bad-input");
        }
    }

    #[test]
    fn relative_scores_are_a_softmax_over_all_labels_that_were_read() {
        let mut scores: Vec<Score> =
            [("a", 0.5), ("b", -1.25), ("c", 3.0)].map(|(label, logit)| Score::new(label, logit)).to_vec();
        scores.push(Score::unread("x", vec!["x".into()], of_bias(9.0)));
        let filter = ScoreFilter { relative: true, top_k: Some(2), ..ScoreFilter::default() };
        let ranked = rank(scores.clone(), filter);
        // torch.tensor([0.5, -1.25, 3.0]).softmax(0); labels that are left out count nevertheless.
        let shares: Vec<f32> = ranked.iter().map(|score| score.relative.unwrap()).collect();
        assert!(
            (shares[0] - 0.912_118_14).abs() < 1e-6 && (shares[1] - 0.074_871_21).abs() < 1e-6,
            "{shares:?}"
        );
        assert_eq!(ranked[0].score, sigmoid(3.0), "the probability stays the sigmoid");
        let all = rank(scores, ScoreFilter { relative: true, ..ScoreFilter::default() });
        assert_eq!(all[3].relative, None);
        assert_eq!(softmax(&[1000.0, 1000.0]), [0.5, 0.5]);
        assert_eq!(softmax(&[-1000.0, 0.0]), [0.0, 1.0]);
    }

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
        assert_eq!(labels(ScoreFilter { top_k: Some(1), ..ScoreFilter::default() }), ["b"]);
        assert_eq!(labels(ScoreFilter { threshold: Some(0.5), ..ScoreFilter::default() }), ["b", "d"]);
        assert!(labels(ScoreFilter { top_k: Some(0), ..ScoreFilter::default() }).is_empty());
    }

    #[test]
    fn a_label_with_unknown_words_never_ranks_above_one_that_was_read() {
        let unread = |label: &str| Score::unread(label, vec![label.into()], of_bias(9.0));
        let scores = vec![unread("x"), Score::new("a", -30.0), unread("y"), Score::new("b", 2.0)];
        let ranked = rank(scores, ScoreFilter::default());
        let labels: Vec<&str> = ranked.iter().map(|score| score.label.as_str()).collect();
        assert_eq!(labels, ["b", "a", "x", "y"]);
    }

    #[test]
    fn an_unreadable_label_scores_the_bias_and_names_the_words() {
        let score = Score::unread("a blorp", vec!["blorp".into()], of_bias(-3.0));
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
