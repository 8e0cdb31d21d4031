//! A small checkpoint, its weight files, and sinks that look at what arrives.

use std::collections::BTreeSet;

use siglip::weights::{
    Dtype, GgufWriter, MatrixType, Metadata, TensorShape, TensorSink, WeightReader, header_bytes, tensors,
};
use siglip::{CheckpointFiles, Config, Error};

/// Every row is whole ggml blocks of 32; nothing else is a round number.
pub const CONFIG: &str = r#"{
  "model_type": "siglip",
  "text_config": {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
    "vocab_size": 90, "max_position_embeddings": 9},
  "vision_config": {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
    "image_size": 21, "patch_size": 7}
}"#;

pub fn files() -> CheckpointFiles {
    let config = config();
    let tokenizer = siglip::character_tokenizer(&config).unwrap();
    CheckpointFiles {
        config: CONFIG.into(),
        preprocessor: r#"{"size": {"height": 21, "width": 21}}"#.into(),
        tokenizer: String::from_utf8(tokenizer).unwrap(),
        labels: None,
    }
}

pub fn config() -> Config {
    Config::from_json(CONFIG).unwrap()
}

/// Random weights in safetensors.
pub fn safetensors(config: &Config, dtype: Dtype) -> Vec<u8> {
    let mut file = Vec::new();
    siglip::random_weights(config, dtype, 7, |bytes| {
        file.extend_from_slice(bytes);
        Ok::<(), Error>(())
    })
    .unwrap();
    file
}

/// The same weights as a GGUF.
pub fn gguf(matrices: MatrixType) -> Vec<u8> {
    gguf_of(&files(), matrices)
}

/// The same weights as a GGUF with these small files, which may be those of a bundle.
pub fn gguf_of(files: &CheckpointFiles, matrices: MatrixType) -> Vec<u8> {
    let plan = GgufWriter::new(files, "small", matrices).unwrap();
    let mut file = plan.header().to_vec();
    file.resize(plan.total_bytes() as usize, 0);
    let rows = rows_of(&safetensors(&config(), Dtype::F32)).unwrap();
    for Rows { tensor, first_row, values } in rows.into_iter().filter(|rows| plan.holds(&rows.tensor)) {
        let mut bytes = Vec::new();
        let place = plan.encode(&tensor, first_row, &values, &mut bytes).unwrap() as usize;
        file[place..place + bytes.len()].copy_from_slice(&bytes);
    }
    file
}

/// A safetensors file of these tensors, filled with the numbers 1, 2, 3 ...
pub fn counting(tensors: &[TensorShape]) -> Vec<u8> {
    let mut file = header_bytes(tensors, Dtype::F32);
    for tensor in tensors {
        file.extend((1..=tensor.len()).flat_map(|number| (number as f32).to_le_bytes()));
    }
    file
}

/// The tensors of the small model, each as `change` returns it; `None` leaves a tensor out.
pub fn changed(change: impl Fn(TensorShape) -> Option<TensorShape>) -> Vec<TensorShape> {
    tensors(&config()).into_iter().filter_map(change).collect()
}

#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    pub tensor: TensorShape,
    pub first_row: usize,
    pub values: Vec<f32>,
}

/// Collects all that arrives.
#[derive(Debug, Default)]
pub struct Collect {
    pub metadata: Option<Metadata>,
    pub rows: Vec<Rows>,
}

impl TensorSink for Collect {
    fn metadata(&mut self, metadata: Metadata) -> Result<(), Error> {
        self.metadata = Some(metadata);
        Ok(())
    }

    fn begin(&mut self, _: &[TensorShape]) -> Result<(), Error> {
        Ok(())
    }

    fn begin_named(&mut self, _: &BTreeSet<&str>) -> Result<(), Error> {
        Ok(())
    }

    fn rows(&mut self, tensor: &TensorShape, first_row: usize, values: &[f32]) -> Result<(), Error> {
        self.rows.push(Rows { tensor: tensor.clone(), first_row, values: values.to_vec() });
        Ok(())
    }
}

pub fn read(file: &[u8], sink: &mut dyn TensorSink) -> Result<(), Error> {
    read_chunks(std::iter::once(file), sink)
}

pub fn read_chunks<'c>(
    chunks: impl IntoIterator<Item = &'c [u8]>,
    sink: &mut dyn TensorSink,
) -> Result<(), Error> {
    let mut reader = WeightReader::new();
    let mut received = 0;
    for chunk in chunks {
        reader.push(chunk, sink)?;
        received += chunk.len() as u64;
        assert!(reader.total_bytes().is_none_or(|total| received <= total));
    }
    reader.finish()
}

/// Everything that a weight file holds.
pub fn rows_of(file: &[u8]) -> Result<Vec<Rows>, Error> {
    let mut sink = Collect::default();
    read(file, &mut sink).map(|()| sink.rows)
}

/// Joins the batches of every tensor.
pub fn joined(rows: Vec<Rows>) -> Vec<(String, Vec<f32>)> {
    let mut tensors: Vec<(String, Vec<f32>)> = Vec::new();
    for Rows { tensor, values, .. } in rows {
        match tensors.last_mut() {
            Some((name, all)) if *name == tensor.name => all.extend(values),
            _ => tensors.push((tensor.name, values)),
        }
    }
    tensors
}

/// `file` cut at random places, into chunks of very different lengths.
pub fn cut(file: &[u8], seed: u64) -> Vec<&[u8]> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut chunks = Vec::new();
    let mut rest = file;
    while !rest.is_empty() {
        let longest = 1 << random.usize(0..18);
        let (chunk, later) = rest.split_at(random.usize(0..=longest).min(rest.len()));
        chunks.push(chunk);
        rest = later;
    }
    chunks
}

/// The message of the error that a bad weight file gives.
#[track_caller]
pub fn message(result: Result<impl std::fmt::Debug, Error>) -> String {
    let error = result.unwrap_err();
    assert_eq!(error.code(), "bad-weights", "{error}");
    error.to_string()
}
