use serde_json::json;

use crate::answers::print;
use crate::error::Error;
use crate::{ModelArgs, checkpoint};

/// What a checkpoint is: sizes, scale and bias, memory.
#[derive(clap::Args)]
pub struct Info {
    /// As one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    model: ModelArgs,
}

impl Info {
    /// Loads the model, which proves it sound, and describes it.
    pub fn run(self) -> Result<(), Error> {
        let siglip = checkpoint::load(self.model.model.as_deref(), self.model.precision.into())?;
        let (model, config) = (siglip.model(), siglip.model().config());
        let info = json!({
            "model": self.model.model.as_ref().map_or("tiny".into(), |folder| folder.display().to_string()),
            "precision": model.precision().name(),
            "imageSize": config.vision_config.image_size,
            "contextLength": config.text_config.max_position_embeddings,
            "embeddingSize": config.embedding_size(),
            "visionLayers": config.vision_config.num_hidden_layers,
            "textLayers": config.text_config.num_hidden_layers,
            "vocabularySize": config.text_config.vocab_size,
            "logitScale": model.logit_scale(),
            "logitBias": model.logit_bias(),
            "bytes": model.bytes(),
        });
        if self.json {
            return print(&info.to_string());
        }
        for (name, value) in info.as_object().into_iter().flatten() {
            print(&format!("{name:16} {}", value.as_str().map_or_else(|| value.to_string(), String::from)))?;
        }
        Ok(())
    }
}
