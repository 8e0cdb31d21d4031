//! `siglip`: the command line.

mod answers;
mod bundle;
mod calibrate;
mod checkpoint;
mod classify;
mod convert;
#[cfg_attr(not(feature = "gpu"), path = "cpu.rs")]
mod device;
mod embed;
mod engine;
mod error;
mod eval;
mod explain;
mod importance;
mod index;
mod info;
mod loss;
mod npy;
mod pictures;
mod preprocess;
mod probe;
mod random;
mod search;
mod tokenize;

use std::io;
use std::num::NonZeroUsize;
use std::process::ExitCode;

use checkpoint::Source;
use clap::{Parser, Subcommand, ValueEnum};
use device::Device;
use engine::EngineArg;
use error::Error;
use siglip::{LoadOptions, Precision, Resolution};

const EXAMPLE: &str = "Example:
  siglip classify cat.jpg --label \"a cat\" --label \"a dog\" --model siglip-base-patch16-256";

/// Google's SigLIP: probabilities of labels for images, embeddings, search.
#[derive(Parser)]
#[command(name = "siglip", version, after_help = EXAMPLE)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Classify(classify::Classify),
    Embed(embed::Embed),
    Index(index::MakeIndex),
    Search(search::Search),
    Eval(eval::Eval),
    Explain(explain::Explain),
    Calibrate(calibrate::Calibrate),
    Probe(probe::Probe),
    Convert(convert::Convert),
    Bundle(bundle::Bundle),
    Info(info::Info),
    Random(random::Random),
    Preprocess(preprocess::Preprocess),
    Tokenize(tokenize::Tokenize),
}

/// Which model to load.
#[derive(clap::Args)]
struct ModelArgs {
    /// Folder with config.json, preprocessor_config.json, tokenizer.json (unless it is a fine-tuned classifier) and
    /// model.safetensors (or several files with an index, or a folder onnx), a file that `siglip convert` wrote, or an ONNX for transformers.js in such a folder.
    /// Default: the small demonstration model.
    #[arg(long, value_name = "DIR|FILE.gguf|FILE.onnx")]
    model: Option<std::path::PathBuf>,
    /// How matrices are stored and multiplied: in 8 bits, as fast as the processor can; in 8 bits with the same integer
    /// sums on every processor; in single precision; or so with products of bfloat16, where the processor has them.
    /// Default: q8, and f32 with --engine candle.
    #[arg(long, value_enum)]
    precision: Option<PrecisionArg>,
    /// Side of the images that a model of fixed resolution sees, in pixels: a multiple of its patches' side. The position
    /// embeddings are interpolated. Default: the model's own.
    #[arg(long, value_name = "PIXELS")]
    image_size: Option<usize>,
    /// Most patches of an image, of a model that keeps the aspect (NaFlex): up to 1024. Default: the model's own.
    #[arg(long, value_name = "N")]
    max_patches: Option<usize>,
    /// Number of threads that compute. Results do not depend on it. Default: as many as the processor runs at a time.
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// Where the towers' blocks run. If the GPU cannot be used, the CPU answers, and standard error says why.
    #[arg(long, value_enum, default_value_t = Device::Cpu)]
    device: Device,
    /// Which implementation of the model computes.
    #[arg(long, value_enum, default_value_t = EngineArg::Auto)]
    engine: EngineArg,
}

impl ModelArgs {
    fn source(&self) -> Result<Source, Error> {
        Source::new(self.model.as_deref())
    }

    fn precision(&self) -> Precision {
        match self.precision {
            Some(precision) => precision.into(),
            None if self.engine == EngineArg::Candle => Precision::F32,
            None => Precision::Q8,
        }
    }

    fn options(&self) -> LoadOptions {
        LoadOptions { precision: self.precision(), resolution: self.resolution(), ..LoadOptions::default() }
    }

    fn resolution(&self) -> Resolution {
        Resolution { image_size: self.image_size, max_patches: self.max_patches }
    }

    /// Starts the threads of our own engine.
    fn start_threads(&self) {
        let available = std::thread::available_parallelism();
        let threads = self.threads.or(available.ok()).map_or(1, NonZeroUsize::get);
        // This thread computes, too.
        for _ in 1..threads {
            std::thread::spawn(|| siglip::model::join_thread_pool());
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum PrecisionArg {
    F32,
    Bf16,
    Q8,
    Q8Exact,
}

impl From<PrecisionArg> for Precision {
    fn from(argument: PrecisionArg) -> Precision {
        match argument {
            PrecisionArg::F32 => Precision::F32,
            PrecisionArg::Bf16 => Precision::Bf16,
            PrecisionArg::Q8 => Precision::Q8,
            PrecisionArg::Q8Exact => Precision::Q8Exact,
        }
    }
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Classify(command) => command.run(),
        Command::Embed(command) => command.run(),
        Command::Index(command) => command.run(),
        Command::Search(command) => command.run(),
        Command::Eval(command) => command.run(),
        Command::Explain(command) => command.run(),
        Command::Probe(command) => command.run(),
        Command::Calibrate(command) => command.run().map(|()| ExitCode::SUCCESS),
        Command::Convert(command) => command.run().map(|()| ExitCode::SUCCESS),
        Command::Bundle(command) => command.run().map(|()| ExitCode::SUCCESS),
        Command::Info(command) => command.run().map(|()| ExitCode::SUCCESS),
        Command::Random(command) => command.run().map(|()| ExitCode::SUCCESS),
        Command::Preprocess(command) => command.run().map(|()| ExitCode::SUCCESS),
        Command::Tokenize(command) => command.run().map(|()| ExitCode::SUCCESS),
    };
    match result {
        Ok(code) => code,
        // The reader of the output has closed it.
        Err(Error::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            answers::complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}
