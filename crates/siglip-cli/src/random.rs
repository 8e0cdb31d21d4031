//! `siglip random`: a checkpoint with random weights.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use serde_json::json;
use siglip::weights::Dtype;

use crate::error::Error;

/// A checkpoint of a published shape with random weights, the same for the same seed.
#[derive(clap::Args)]
pub struct Random {
    /// A published shape by name, such as base-patch16-256, or a config.json.
    #[arg(long, value_name = "NAME|FILE")]
    config: String,
    /// Seed of the random numbers.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Folder to write to; created if it is missing.
    dir: PathBuf,
}

impl Random {
    /// Writes the four files of a checkpoint.
    pub fn run(self) -> Result<(), Error> {
        let config = self.config()?;
        fs::create_dir_all(&self.dir).map_err(Error::file(&self.dir))?;
        let pretty = |value: &serde_json::Value| format!("{value:#}\n").into_bytes();
        self.write("config.json", &pretty(&json!(config)))?;
        self.write("preprocessor_config.json", &pretty(&self.preprocessor(&config)))?;
        self.write("tokenizer.json", &siglip::character_tokenizer(&config)?)?;

        let path = self.dir.join("model.safetensors");
        let mut file = BufWriter::new(File::create(&path).map_err(Error::file(&path))?);
        siglip::random_weights(&config, Dtype::F32, self.seed, |bytes| file.write_all(bytes))
            .and_then(|()| file.flush())
            .map_err(Error::file(&path))
    }

    /// As published: SigLIP 2 resizes bilinearly, and NaFlex resizes to whole patches.
    fn preprocessor(&self, config: &siglip::Config) -> serde_json::Value {
        let vision = &config.vision_config;
        let mut preprocessor = json!({
            "do_resize": true, "resample": if self.config.starts_with("siglip2") { 2 } else { 3 },
            "do_rescale": true, "rescale_factor": 1.0 / 255.0,
            "do_normalize": true, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5],
        });
        match vision.num_patches {
            Some(max_num_patches) => {
                preprocessor["image_processor_type"] = "Siglip2ImageProcessor".into();
                preprocessor["patch_size"] = vision.patch_size.into();
                preprocessor["max_num_patches"] = max_num_patches.into();
            }
            None => {
                preprocessor["image_processor_type"] = "SiglipImageProcessor".into();
                preprocessor["size"] = json!({"height": vision.image_size, "width": vision.image_size});
            }
        }
        preprocessor
    }

    fn config(&self) -> Result<siglip::Config, Error> {
        let name = self.config.strip_prefix("siglip-").unwrap_or(&self.config);
        if let Some(config) = siglip::preset(name) {
            return Ok(config);
        }
        if !self.config.ends_with(".json") {
            let known = siglip::PRESETS.join(", ");
            return Err(Error::Usage(format!(
                "no published shape is called {:?}; known: {known}",
                self.config
            )));
        }
        let json = fs::read_to_string(&self.config).map_err(Error::file(&self.config))?;
        siglip::Config::from_json(&json).map_err(Error::checkpoint(&self.config))
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let path = self.dir.join(name);
        fs::write(&path, bytes).map_err(Error::file(path))
    }
}
