//! `siglip-train`: evaluates and calibrates the small SigLIP that the page opens with, and that `recipe/` trains.

mod data;
mod error;
mod eval;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use error::Error;

/// Evaluates and calibrates what the recipe trains, by the engine that visitors run.
#[derive(Parser)]
#[command(name = "siglip-train", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Eval(eval::Eval),
    Calibrate(eval::Calibrate),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
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
