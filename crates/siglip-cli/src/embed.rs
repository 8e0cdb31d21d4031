//! `siglip embed`: embeddings of images and texts.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgMatches, FromArgMatches};
use serde::Serialize;
use siglip::image::RgbImage;

use crate::ModelArgs;
use crate::answers::{Answers, Given, complain, unread};
use crate::device::Siglip;
use crate::error::Error;

/// Embeddings of images and texts, of L2 norm 1, in the order given.
#[derive(clap::Args)]
pub struct Embed {
    #[command(flatten)]
    inputs: Inputs,
    /// One JSON line per input.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    model: ModelArgs,
}

impl Embed {
    /// Loads the model, then answers input by input.
    pub fn run(self) -> Result<ExitCode, Error> {
        let mut siglip = self.model.load()?;
        let mut answers = Answers::new(self.json);
        for input in &self.inputs.0 {
            match input {
                Input::Image(path) => {
                    let name = path.display().to_string();
                    let image = answers.image(path).and_then(|image| embedding(&mut siglip, &image));
                    answers.answer(Given::Image(&name), image, Embedding::line)?;
                }
                Input::Text(text) => {
                    let embedded = self::text(&mut siglip, text);
                    if let (false, Ok(Embedding { unknown, .. })) = (self.json, &embedded)
                        && !unknown.is_empty()
                    {
                        complain(&format!("{text}: {}", unread(unknown)));
                    }
                    answers.answer(Given::Text(text), embedded, Embedding::line)?;
                }
            }
        }
        Ok(answers.exit_code())
    }
}

#[derive(Serialize)]
struct Embedding {
    embedding: Vec<f32>,
    /// Words of the text that the model cannot read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unknown: Vec<String>,
}

impl Embedding {
    /// Numbers separated by spaces, as tools for vectors read them.
    fn line(&self) -> String {
        self.embedding.iter().map(f32::to_string).collect::<Vec<_>>().join(" ")
    }
}

fn embedding(siglip: &mut Siglip, image: &RgbImage) -> Result<Embedding, Error> {
    let embedding = siglip.image_embeds(image)?;
    Ok(Embedding { embedding, unknown: Vec::new() })
}

fn text(siglip: &mut Siglip, text: &str) -> Result<Embedding, Error> {
    let embedding = siglip.text_embeds(&[text.to_string()])?.concat();
    let unknown = siglip.unknown_words(text)?;
    Ok(Embedding { embedding, unknown })
}

enum Input {
    Image(PathBuf),
    Text(String),
}

/// `--image` and `--text` in the order they were given, which clap's derive does not keep.
struct Inputs(Vec<Input>);

impl clap::Args for Inputs {
    fn augment_args(command: clap::Command) -> clap::Command {
        let image = clap::Arg::new("image")
            .long("image")
            .value_name("FILE")
            .action(clap::ArgAction::Append)
            .value_parser(clap::value_parser!(PathBuf))
            .help("An image; repeat for more");
        let text = clap::Arg::new("text")
            .long("text")
            .value_name("TEXT")
            .action(clap::ArgAction::Append)
            .help("A text, taken as it is, without a template; repeat for more");
        let inputs = clap::ArgGroup::new("inputs").args(["image", "text"]).multiple(true).required(true);
        command.arg(image).arg(text).group(inputs)
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Inputs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let images = matches.get_many::<PathBuf>("image").unwrap_or_default().cloned().map(Input::Image);
        let texts = matches.get_many::<String>("text").unwrap_or_default().cloned().map(Input::Text);
        let places = |id| matches.indices_of(id).unwrap_or_default();
        let mut inputs: Vec<(usize, Input)> =
            places("image").zip(images).chain(places("text").zip(texts)).collect();
        inputs.sort_by_key(|(place, _)| *place);
        Ok(Inputs(inputs.into_iter().map(|(_, input)| input).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
