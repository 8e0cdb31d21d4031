//! What `tests/parity/record_model.py` recorded.

use serde::Deserialize;

use crate::common::{read, repository};
use crate::outputs::Outputs;

/// `tests/parity/model-*.json`.
#[derive(Deserialize)]
pub struct Recording {
    /// Name of the weight file.
    pub weights: String,
    pub weights_sha256: String,
    images: usize,
    input_ids: Vec<Vec<u32>>,
    #[serde(flatten)]
    pub outputs: Outputs,
}

impl Recording {
    pub fn read(name: &str) -> Recording {
        let path = repository(&format!("tests/parity/model-{name}.json"));
        let recording: Recording = serde_json::from_slice(&read(&path)).unwrap();
        let Outputs { image_embeds, text_embeds, logits_per_image } = &recording.outputs;
        assert!(recording.images > 0 && !recording.input_ids.is_empty());
        assert_eq!((image_embeds.len(), logits_per_image.len()), (recording.images, recording.images));
        assert_eq!(text_embeds.len(), recording.input_ids.len());
        recording
    }

    /// Its pictures, as pixel values [3, side, side].
    pub fn pictures(&self, side: usize) -> impl Iterator<Item = Vec<f32>> {
        (0..self.images).map(move |image| {
            let frequency = 0.37 + 0.11 * image as f64;
            (0..3 * side * side).map(|at| (0.9 * (frequency * at as f64).sin()) as f32).collect()
        })
    }

    /// Its texts' ids, all in one: [texts, context length].
    pub fn input_ids(&self) -> Vec<u32> {
        self.input_ids.concat()
    }
}
