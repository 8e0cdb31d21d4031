//! `cargo xtask`: builds the WebAssembly, serves the page, runs the tests and the benchmark.

mod audit;
mod bench;
mod command;
mod crates;
mod docs;
mod hunt;
mod lanes;
mod package;
mod serve;
mod setup;
mod soak;
mod test;
mod wasm;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use command::Error;

/// The project's commands.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build the engine into www/wasm/, for every kind of browser and page.
    Build {
        /// Only these folders of www/wasm/, for example relaxed-simd.
        #[arg(value_parser = wasm::BUILDS.map(|build| build.name))]
        names: Vec<String>,
    },
    /// Build, and serve the page with the embedded model.
    Serve(serve::Serve),
    /// Install what the other commands need; on Debian as root also the browsers of the tests.
    Setup,
    /// Run every check and test.
    Test,
    /// Compare the dependencies with the reviewed record.
    Audit(audit::Audit),
    /// Build, then inject network, storage and process faults for a given time.
    Soak(soak::Soak),
    /// Measure speed and memory in headless Chromium.
    Bench(bench::Bench),
    /// Decode pictures here and with Pillow, and compare the pixels.
    Hunt(hunt::Hunt),
    /// Build, then make the documentation a static site in target/docs/.
    Docs(docs::Docs),
    /// Build, then copy the files for a static host to target/package/, or make the npm package.
    Package(package::Package),
}

fn main() -> ExitCode {
    let result = match Cli::parse().task {
        Task::Build { names } => wasm::build(&names).and_then(|()| package::list_offline_files(&path("."))),
        Task::Serve(serve) => serve.run(),
        Task::Setup => setup::everything(),
        Task::Test => test::run_all(),
        Task::Audit(audit) => audit.run(),
        Task::Soak(soak) => soak.run(),
        Task::Bench(bench) => bench.run(),
        Task::Hunt(hunt) => hunt.run(),
        Task::Docs(docs) => docs.run(),
        Task::Package(package) => package.run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A path inside the repository.
fn path(inside: &str) -> std::path::PathBuf {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("crates/xtask is two deep");
    root.join(inside)
}

type Result<T = (), E = Error> = std::result::Result<T, E>;
