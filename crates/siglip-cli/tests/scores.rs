//! Scores of one's own on the command line: bias, relative scores, calibration, several templates.

use std::fs;

use serde_json::Value;
use support::{answer, refusal, repository};

mod support;

/// The scores of the cat for three labels.
fn scores(more: &[&str]) -> Vec<Value> {
    let given = [
        "classify",
        "www/samples/cat.jpg",
        "--label",
        "a cat",
        "--label",
        "a dog",
        "--label",
        "a boat",
        "--json",
    ];
    let line: Value = serde_json::from_str(&answer(&[&given[..], more].concat())).unwrap();
    line["scores"].as_array().unwrap().clone()
}

fn number(score: &Value, field: &str) -> f64 {
    score[field].as_f64().unwrap_or_else(|| panic!("{score} has no {field}"))
}

#[test]
fn an_own_bias_and_scale_move_every_logit_and_keep_the_cosines() {
    let info: Value = serde_json::from_str(&answer(&["info", "--json"])).unwrap();
    let (scale, bias) = (number(&info, "logitScale"), number(&info, "logitBias"));
    let own = scores(&["--bias", "-2.5", "--scale", "0.5"]);
    for (given, own) in scores(&[]).iter().zip(&own) {
        let cosine = number(given, "cosine");
        assert!((number(given, "logit") - (cosine * scale + bias)).abs() < 1e-3);
        assert!((number(own, "logit") - (cosine * scale * 0.5 + bias - 2.5)).abs() < 1e-3);
        assert_eq!((&given["cosine"], &given["label"]), (&own["cosine"], &own["label"]));
        assert!(given.get("adjusted").is_none() && own["adjusted"] == true);
    }
    assert!(
        refusal(&["classify", "www/samples/cat.jpg", "--label", "a cat", "--scale", "0"])
            .contains("greater than 0")
    );
}

#[test]
fn relative_scores_add_up_to_one_beside_the_probabilities() {
    let (given, relative) = (scores(&[]), scores(&["--relative"]));
    let sum: f64 = relative.iter().map(|score| number(score, "relative")).sum();
    assert!((sum - 1.0).abs() < 1e-5, "{sum}");
    for (given, relative) in given.iter().zip(&relative) {
        assert_eq!((&given["score"], given.get("relative")), (&relative["score"], None));
    }
}

#[test]
fn the_mean_of_several_templates_is_scored() {
    let one = scores(&["--template", "a photo of {}"]);
    let twice = scores(&["--template", "a photo of {}", "--template", "a photo of {}"]);
    for (one, twice) in one.iter().zip(&twice) {
        assert!((number(one, "logit") - number(twice, "logit")).abs() < 1e-4, "the mean of the same");
    }
    let several = scores(&["--template", "a photo of {}", "--template", "{}"]);
    assert_ne!(one[0]["logit"], several[0]["logit"]);
    assert_eq!(scores(&["--template", "imagenet"]).len(), 3);
    let message =
        refusal(&["classify", "www/samples/cat.jpg", "--label", "a cat", "--template", "imagenet80"]);
    assert!(message.contains("\"default\" or \"imagenet\""), "{message}");
}

#[test]
fn calibration_fits_judged_examples_and_says_how_well() {
    let folder = tempfile::tempdir().unwrap();
    let names = ["cat", "dog", "boat", "insect", "coffee"];
    let mut lines = vec!["# picture, label, truth".to_string()];
    for (at, name) in names.iter().enumerate() {
        fs::copy(
            repository().join(format!("www/samples/{name}.jpg")),
            folder.path().join(format!("{name}.jpg")),
        )
        .unwrap();
        for (other, label) in ["a cat", "a dog", "a boat", "an insect", "a coffee cup"].iter().enumerate() {
            lines.push(format!("{name}.jpg\t{label}\t{}", if at == other { "yes" } else { "no" }));
        }
    }
    let judged = folder.path().join("judged.tsv");
    fs::write(&judged, lines.join("\n")).unwrap();
    let judged = judged.to_str().unwrap();
    let fitted: Value = serde_json::from_str(&answer(&["calibrate", judged, "--json"])).unwrap();
    assert_eq!(fitted["examples"], 25);
    let loss = |when: &str| number(&fitted[when], "logLoss");
    assert!(loss("after") < loss("before") && number(&fitted, "scale") > 0.0, "{fitted}");
    assert_eq!(fitted["after"]["bins"].as_array().unwrap().len(), 10);
    let shown = answer(&["calibrate", judged]);
    let line = shown.lines().find(|line| line.contains("--scale")).unwrap();
    // What it shows is what `classify` takes.
    let own = scores(&line.split_whitespace().collect::<Vec<_>>());
    assert_eq!(own[0]["adjusted"], true);

    for (content, part) in [
        ("cat.jpg\ta cat", "line 1: it is not a picture"),
        ("cat.jpg\ta cat\tmaybe", "line 1"),
        ("cat.jpg\ta cat\tyes", "at least one of each kind"),
        ("none.jpg\ta cat\tyes", "none.jpg"),
        ("cat.jpg\ta cat\tno\ncat.jpg\ta boat\tyes", "fit no better"),
    ] {
        fs::write(judged, content).unwrap();
        let message = refusal(&["calibrate", judged]);
        assert!(message.contains(part), "{message}");
    }
}
