//! What config.json says of a fine-tuned classifier: transformers' `SiglipForImageClassification` and
//! `Siglip2ForImageClassification`.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{Error, json};

/// The `architectures` of classifiers.
const CLASSIFIERS: [&str; 2] = ["SiglipForImageClassification", "Siglip2ForImageClassification"];
/// Most classes: ImageNet-21k has 21,841.
const MOST_CLASSES: usize = 1 << 17;

/// The classes of a fine-tuned classifier, and what its logits mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassifierConfig {
    /// Names of the classes, in the order of the logits: `id2label`. Without classes the model has no last layer.
    pub labels: Vec<String>,
    /// What the logits mean.
    pub problem_type: ProblemType,
}

/// transformers' `problem_type`: what the logits mean, and so what a score is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProblemType {
    /// One class is right: the scores are a softmax.
    SingleLabel,
    /// Each class is right or not by itself: the scores are sigmoids.
    MultiLabel,
    /// Each output is a number: the scores are the logits.
    Regression,
}

impl ProblemType {
    /// As config.json writes it.
    pub const fn name(self) -> &'static str {
        match self {
            ProblemType::SingleLabel => "single_label_classification",
            ProblemType::MultiLabel => "multi_label_classification",
            ProblemType::Regression => "regression",
        }
    }

    /// As transformers' image-classification pipeline decides: one class alone has a sigmoid, and where nothing is said it
    /// is one class of several.
    fn new(name: Option<&str>, classes: usize) -> Result<ProblemType, Error> {
        let all = [ProblemType::SingleLabel, ProblemType::MultiLabel, ProblemType::Regression];
        let found = match name {
            None => ProblemType::SingleLabel,
            Some(name) => all.into_iter().find(|kind| kind.name() == name).ok_or_else(|| {
                let names = all.map(|kind| format!("{:?}", kind.name())).join(", ");
                Error::unsupported("problem_type", format!("{name:?} is none of {names}"))
            })?,
        };
        Ok(match found {
            ProblemType::SingleLabel if classes == 1 => ProblemType::MultiLabel,
            found => found,
        })
    }
}

/// Whether a config.json is a classifier's. Such a model reads no texts.
pub(super) fn names_classifier(config: &Value) -> bool {
    let named = config.get("architectures").and_then(Value::as_array).into_iter().flatten();
    named.filter_map(Value::as_str).any(|name| CLASSIFIERS.contains(&name))
}

impl ClassifierConfig {
    /// Reads it from a config.json; `None` if that is of another kind of model.
    ///
    /// # Errors
    /// [`Error::UnsupportedModel`] names the field that is wrong.
    pub(crate) fn from_json(config: &str) -> Result<Option<ClassifierConfig>, Error> {
        let config: Value = json::parse("config.json", config)?;
        if !names_classifier(&config) {
            return Ok(None);
        }
        let labels = match config.get("id2label").unwrap_or(&Value::Null) {
            // transformers' default is two classes.
            Value::Null => {
                let classes = config.get("num_labels").and_then(Value::as_u64).unwrap_or(2);
                (0..classes.min(MOST_CLASSES as u64 + 1)).map(|class| format!("LABEL_{class}")).collect()
            }
            labels => class_names(labels)?,
        };
        if labels.len() > MOST_CLASSES {
            let reason = format!("there are more than {MOST_CLASSES} classes");
            return Err(Error::unsupported("id2label", reason));
        }
        let problem_type = match config.get("problem_type").unwrap_or(&Value::Null) {
            Value::Null => None,
            Value::String(name) => Some(name.as_str()),
            other => return Err(Error::unsupported("problem_type", format!("{other} is not a string"))),
        };
        let problem_type = ProblemType::new(problem_type, labels.len())?;
        Ok(Some(ClassifierConfig { labels, problem_type }))
    }
}

/// The names in `id2label`, whose keys are the numbers 0, 1, 2 ... in any order.
fn class_names(id2label: &Value) -> Result<Vec<String>, Error> {
    let wrong = |reason: String| Error::unsupported("id2label", reason);
    let map = id2label.as_object().ok_or_else(|| wrong("is not an object".into()))?;
    let mut names = BTreeMap::new();
    for (id, name) in map {
        let id: usize = id.parse().map_err(|_| wrong(format!("the key {id:?} is not a number")))?;
        let name = match name {
            Value::String(name) => name.clone(),
            // Names of classes may be numbers.
            Value::Number(name) => name.to_string(),
            other => return Err(wrong(format!("the name of class {id} is {other}, not a string"))),
        };
        names.insert(id, name);
    }
    match (0..map.len()).find(|id| !names.contains_key(id)) {
        Some(missing) => {
            Err(wrong(format!("there are {} classes, but none has the key {missing}", map.len())))
        }
        None => Ok(names.into_values().collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(fields: &str) -> Result<ClassifierConfig, Error> {
        let json = format!(r#"{{"architectures": ["SiglipForImageClassification"]{fields}}}"#);
        ClassifierConfig::from_json(&json).map(Option::unwrap)
    }

    #[test]
    fn classes_are_in_the_order_of_their_numbers() {
        let numbered: Vec<String> = (0..12).rev().map(|id| format!(r#""{id}": "class {id}""#)).collect();
        let found = read(&format!(r#", "id2label": {{{}}}"#, numbered.join(", "))).unwrap();
        assert_eq!(found.labels[2], "class 2");
        assert_eq!(found.labels[11], "class 11");
        assert_eq!(read(r#", "id2label": {"0": 3, "1": 4.5}"#).unwrap().labels, ["3", "4.5"]);
    }

    #[test]
    fn what_is_missing_has_transformers_defaults() {
        let found = read("").unwrap();
        assert_eq!((found.labels.len(), found.problem_type), (2, ProblemType::SingleLabel));
        assert_eq!(found.labels[1], "LABEL_1");
        assert_eq!(read(r#", "num_labels": 3, "problem_type": null"#).unwrap().labels.len(), 3);
        assert!(read(r#", "id2label": {}"#).unwrap().labels.is_empty());
        assert_eq!(ClassifierConfig::from_json(r#"{"architectures": ["SiglipModel"]}"#).unwrap(), None);
        assert_eq!(ClassifierConfig::from_json(r#"{"architectures": 7}"#).unwrap(), None);
    }

    #[test]
    fn wrong_fields_are_named() {
        for (fields, field) in [
            (r#", "id2label": ["cat"]"#, "id2label"),
            (r#", "id2label": {"zero": "cat"}"#, "id2label"),
            (r#", "id2label": {"0": "cat", "2": "dog"}"#, "id2label"),
            (r#", "id2label": {"0": "cat", "00": "dog"}"#, "id2label"),
            (r#", "id2label": {"0": null}"#, "id2label"),
            (r#", "num_labels": 1000000000000"#, "id2label"),
            (r#", "problem_type": "ranking""#, "problem_type"),
            (r#", "problem_type": 3"#, "problem_type"),
        ] {
            match read(fields) {
                Err(Error::UnsupportedModel { field: found, .. }) => assert_eq!(found, field, "{fields}"),
                other => panic!("{fields}: {other:?}"),
            }
        }
    }
}
