//! `siglip-train`: trains the small SigLIP that the page opens with.

mod captions;
mod checkpoint;
mod data;
mod error;
mod eval;
mod init;
mod look;
mod loss;
mod model;
mod ops;
mod optimizer;
mod shape;
mod train;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use error::Error;

/// Trains a small SigLIP from scratch with the pairwise sigmoid loss.
#[derive(Parser)]
#[command(name = "siglip-train", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Train(train::Train),
    Eval(eval::Eval),
    Calibrate(eval::Calibrate),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Train(command) => command.run(),
        Command::Eval(command) => command.run(),
        Command::Calibrate(command) => command.run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("siglip-train: {error}");
            ExitCode::FAILURE
        }
    }
}
