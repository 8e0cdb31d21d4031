use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{ArgMatches, FromArgMatches};
use serde_json::json;

use crate::answers::Answers;
use crate::error::Error;
use crate::{ModelArgs, checkpoint};

/// Embeddings of pictures and texts, of L2 norm 1, in the order given.
#[derive(clap::Args)]
pub struct Embed {
    #[command(flatten)]
    inputs: Inputs,
    /// A JSON line an input.
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
            let (kind, name, embedding) = match input {
                Input::Image(path) => ("image", path.display().to_string(), image(&mut siglip, path)),
                Input::Text(text) => ("text", text.clone(), self::text(&mut siglip, text)),
            };
            let fields = |embedding: &Vec<f32>| json!({ "embedding": embedding });
            answers.answer(kind, &name, embedding, fields, |embedding| line(embedding))?;
        }
        Ok(answers.exit_code())
    }
}

fn image(siglip: &mut siglip::Siglip, path: &Path) -> Result<Vec<f32>, Error> {
    Ok(siglip.image_embeds(&checkpoint::picture(path)?)?)
}

fn text(siglip: &mut siglip::Siglip, text: &str) -> Result<Vec<f32>, Error> {
    Ok(siglip.text_embeds(&[text.to_string()])?.concat())
}

/// Numbers separated by spaces, as tools for vectors read them.
fn line(embedding: &[f32]) -> String {
    embedding.iter().map(f32::to_string).collect::<Vec<_>>().join(" ")
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
            .help("A picture; repeat for more");
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
