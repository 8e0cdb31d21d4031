//! `siglip tokenize`: what the model sees of texts.

use serde_json::json;
use siglip::Checkpoint;

use crate::ModelArgs;
use crate::answers::{print, print_json};
use crate::error::Error;

/// The input_ids that a model sees of texts, for comparing pipelines.
#[derive(clap::Args)]
pub struct Tokenize {
    /// Texts, taken as they are, without a template.
    #[arg(value_name = "TEXT", required = true)]
    texts: Vec<String>,
    /// A JSON line a text.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    model: ModelArgs,
}

impl Tokenize {
    /// Prints a line a text: its ids, padded to the model's context length. The weights are not read.
    pub fn run(self) -> Result<(), Error> {
        let source = self.model.source()?;
        let tokenizer =
            Checkpoint::parse(&source.files()?).map_err(Error::checkpoint(source.name()))?.tokenizer;
        let missing = || Error::Usage(format!("{} has no tokenizer.json", source.name()));
        let tokenizer = tokenizer.ok_or_else(missing)?;
        for text in &self.texts {
            let input_ids = tokenizer.encode(text)?;
            if self.json {
                print_json(&json!({ "text": text, "input_ids": input_ids }))?;
            } else {
                print(&input_ids.iter().map(u32::to_string).collect::<Vec<_>>().join(" "))?;
            }
        }
        Ok(())
    }
}
