//! `siglip embed`: embeddings of images and texts.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgMatches, FromArgMatches, ValueEnum};
use serde::Serialize;
use siglip::Engine;
use siglip::model::Pooling;

use crate::ModelArgs;
use crate::answers::{Answers, Given, complain, unread};
use crate::engine::Siglip;
use crate::error::Error;

/// Embeddings of images and texts, of L2 norm 1 unless asked for otherwise, in the order given.
#[derive(clap::Args)]
pub struct Embed {
    #[command(flatten)]
    inputs: Inputs,
    /// What an image's vector is: the pooling head's, as it is compared with texts; the mean over the patches; or every patch
    /// by itself, from the top left in rows. Default: head, of a fine-tuned classifier mean.
    #[arg(long, value_enum)]
    pooling: Option<PoolingArg>,
    /// Images' vectors as they are, without an L2 norm of 1: for a classifier of your own.
    #[arg(long)]
    no_normalize: bool,
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
        let is_classifier = siglip.classifier().is_some();
        let own = Pooling::scored(siglip.engine().config());
        let pooling = self.pooling.map_or(own, Pooling::from);
        // A classifier's last layer takes the mean as it is.
        let is_own_mean = is_classifier && self.pooling.is_none();
        let normalize = !(self.no_normalize || is_own_mean);
        let mut answers = Answers::new(self.json);
        for input in &self.inputs.0 {
            match input {
                Input::Image(path) => {
                    let name = path.display().to_string();
                    let vectors = answers
                        .image(path)
                        .and_then(|image| Ok(siglip.image_vectors(&image, pooling, normalize)?));
                    if pooling == Pooling::Patches {
                        let size = siglip.engine().config().embedding_size();
                        let patches = vectors.map(|vectors| Patches::new(&vectors, size));
                        answers.answer(Given::Image(&name), patches, Patches::lines)?;
                    } else {
                        let image = vectors.map(|embedding| Embedding { embedding, unknown: Vec::new() });
                        answers.answer(Given::Image(&name), image, Embedding::line)?;
                    }
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
        line(&self.embedding)
    }
}

fn line(vector: &[f32]) -> String {
    vector.iter().map(f32::to_string).collect::<Vec<_>>().join(" ")
}

/// A vector of each patch of an image.
#[derive(Serialize)]
struct Patches {
    patches: Vec<Vec<f32>>,
}

impl Patches {
    fn new(vectors: &[f32], size: usize) -> Patches {
        Patches { patches: vectors.chunks_exact(size).map(<[f32]>::to_vec).collect() }
    }

    /// A line of numbers per patch.
    fn lines(&self) -> String {
        self.patches.iter().map(|patch| line(patch)).collect::<Vec<_>>().join("\n")
    }
}

/// What a vector is made of, as an argument.
#[derive(Clone, Copy, ValueEnum)]
enum PoolingArg {
    Head,
    Mean,
    Patches,
}

impl From<PoolingArg> for Pooling {
    fn from(argument: PoolingArg) -> Pooling {
        match argument {
            PoolingArg::Head => Pooling::Head,
            PoolingArg::Mean => Pooling::Mean,
            PoolingArg::Patches => Pooling::Patches,
        }
    }
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
