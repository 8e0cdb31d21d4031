//! `siglip info`: what a checkpoint is.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use siglip::weights::{Inventory, Logits, StoredTensor};
use siglip::{Checkpoint, Config, LabelSet, LoadOptions, Precision, Towers, model};

use crate::ModelArgs;
use crate::answers::{print, print_json};
use crate::checkpoint::Header;
use crate::error::Error;

/// What a checkpoint is: towers, dtypes, bytes, and the memory it needs.
#[derive(clap::Args)]
pub struct Info {
    /// The description as one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    model: ModelArgs,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Description {
    model: String,
    /// `zero-shot`, or `classifier` for a fine-tuned one.
    kind: &'static str,
    precision: &'static str,
    image_size: usize,
    /// Most patches of an image, where images keep their aspect.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_patches: Option<usize>,
    embedding_size: usize,
    vision_layers: usize,
    /// What a classifier lacks.
    #[serde(flatten)]
    text: Option<Text>,
    /// The classes of a classifier, in their order.
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem_type: Option<&'static str>,
    /// Bytes of the weights in memory, in the chosen precision.
    bytes: u64,
    towers: BTreeMap<&'static str, Stored>,
    dtypes: BTreeMap<&'static str, Stored>,
    /// Peak bytes that loading takes, by precision.
    memory_needed: BTreeMap<&'static str, u64>,
    /// Labels of each of a bundle's sets.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    label_sets: BTreeMap<String, usize>,
}

/// What a model that scores any labels reads them with.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Text {
    context_length: usize,
    text_layers: usize,
    vocabulary_size: usize,
    /// Missing in ONNX files of single towers.
    logit_scale: Option<f32>,
    logit_bias: Option<f32>,
}

/// Some of a file's tensors.
#[derive(Default, Serialize)]
struct Stored {
    tensors: usize,
    parameters: usize,
    bytes: u64,
}

impl Stored {
    fn add(&mut self, tensor: &StoredTensor) {
        self.tensors += 1;
        self.parameters += tensor.shape().len();
        self.bytes += tensor.bytes();
    }
}

impl Info {
    /// Checks the small files and the weight files' headers, and describes what they say.
    pub fn run(self) -> Result<(), Error> {
        let source = self.model.source()?;
        let wrong = Error::checkpoint(source.name());
        let files = source.files()?;
        let checkpoint = Checkpoint::parse(&files).and_then(|read| read.at(self.model.resolution()));
        let Checkpoint { config, processor, labels, .. } = checkpoint.map_err(&wrong)?;
        let weights = source.weights()?;
        let headers = weights.headers()?;

        let mut inventory = Inventory::of_towers(&config, files.towers());
        if let Some(index) = &weights.index {
            inventory.expect_files(index).map_err(&wrong)?;
        }
        for header in &headers {
            match &header.names {
                None => inventory.begin(&header.shapes),
                Some(names) => inventory.begin_named(&names.iter().map(String::as_str).collect()),
            }
            .map_err(&wrong)?;
        }

        let mut description =
            describe(source.name(), self.model.precision(), &config, files.towers(), &headers);
        description.max_patches = processor.max_patches();
        let count = |set: &LabelSet| (set.name().to_string(), set.labels().len());
        description.label_sets = labels.sets().iter().map(count).collect();
        if self.json {
            return print_json(&description);
        }
        let json = serde_json::to_value(&description).map_err(|error| Error::Output(error.into()))?;
        print(&lines(&json, 0).join("\n"))
    }
}

fn describe(
    model: String,
    precision: Precision,
    config: &Config,
    available: Towers,
    headers: &[Header],
) -> Description {
    let mut towers: BTreeMap<&'static str, Stored> = BTreeMap::new();
    let mut dtypes: BTreeMap<&'static str, Stored> = BTreeMap::new();
    for tensor in headers.iter().flat_map(|header| &header.tensors) {
        let tower = match tensor.shape().name.split_once('.') {
            Some(("vision_model", _)) => "image",
            Some(("text_model", _)) => "text",
            Some(("classifier", _)) => "classifier",
            _ => "logits",
        };
        towers.entry(tower).or_default().add(tensor);
        dtypes.entry(tensor.dtype()).or_default().add(tensor);
    }
    let options = |precision| LoadOptions { precision, towers: available, ..LoadOptions::default() };
    let memory = |precision: Precision| (precision.name(), model::memory_needed(config, options(precision)));
    // The files of a sharded checkpoint may have one each.
    let mut logits = Logits::default();
    for header in headers {
        logits.logit_scale = logits.logit_scale.or(header.logits.logit_scale);
        logits.logit_bias = logits.logit_bias.or(header.logits.logit_bias);
    }
    if !logits.is_complete() {
        logits = Logits::known(&model).unwrap_or_default();
    }
    let text = Text {
        context_length: config.text_config.max_position_embeddings,
        text_layers: config.text_config.num_hidden_layers,
        vocabulary_size: config.text_config.vocab_size,
        logit_scale: logits.logit_scale.map(f32::exp),
        logit_bias: logits.logit_bias,
    };
    let classifier = config.classifier.as_ref();
    Description {
        model,
        kind: if classifier.is_some() { "classifier" } else { "zero-shot" },
        precision: precision.name(),
        image_size: config.vision_config.image_size,
        max_patches: None,
        embedding_size: config.embedding_size(),
        vision_layers: config.vision_config.num_hidden_layers,
        text: classifier.is_none().then_some(text),
        labels: classifier.map(|classifier| classifier.labels.clone()),
        problem_type: classifier.map(|classifier| classifier.problem_type.name()),
        bytes: model::packed_bytes(config, options(precision)),
        towers,
        dtypes,
        memory_needed: [memory(Precision::Q8), memory(Precision::F32)].into(),
        label_sets: BTreeMap::new(),
    }
}

/// One line per value; nested values are indented.
fn lines(value: &Value, depth: usize) -> Vec<String> {
    let (indent, width) = ("  ".repeat(depth), 16 - 2 * depth);
    let line = |(name, value): (&String, &Value)| match value {
        Value::Object(_) => [vec![format!("{indent}{name}")], lines(value, depth + 1)].concat(),
        Value::String(text) => vec![format!("{indent}{name:width$} {text}")],
        value => vec![format!("{indent}{name:width$} {value}")],
    };
    value.as_object().into_iter().flatten().flat_map(line).collect()
}
