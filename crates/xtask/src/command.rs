//! Running other programs.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Instant;

use crate::lanes::Step;

/// Why a task stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A program could not be started.
    #[error("{program} cannot be started: {source}")]
    Start {
        /// Its name.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// A program reported failure.
    #[error("{command} failed ({status})")]
    Failed {
        /// The command line.
        command: String,
        /// Its exit status.
        status: ExitStatus,
    },
    /// A step of the list beside this one has failed, so the next one here did not begin.
    #[error("a step that ran beside this list has failed")]
    OtherFailed,
    /// A file or folder could not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Something is missing that only the user can install.
    #[error("{what} is missing: {remedy}")]
    Missing {
        /// What it is.
        what: &'static str,
        /// How to get it.
        remedy: String,
    },
    /// wasm-bindgen cannot read a compiled module.
    #[error("wasm-bindgen cannot read {}: {source}", path.display())]
    Bindgen {
        /// The module.
        path: PathBuf,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The dependencies differ from the reviewed record.
    #[error("{differences}: review the crates, then run `cargo xtask audit --record`")]
    Unreviewed {
        /// The differences.
        differences: String,
    },
    /// npm's registry knows vulnerabilities of packages.
    #[error(
        "npm packages have known vulnerabilities of high severity: see `npm audit`, then `npm audit fix`"
    )]
    Vulnerable,
    /// A package that crates.io would refuse.
    #[error("{} has {bytes} bytes, and crates.io takes {most}", path.display())]
    TooLarge {
        /// The package.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// The limit.
        most: u64,
    },
    /// The server cannot listen.
    #[error("port {port}: {source}; choose another with --port")]
    Port {
        /// The port.
        port: u16,
        /// Why.
        source: io::Error,
    },
}

impl Error {
    /// Adds the path of the file to an I/O error.
    pub fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Error {
        let path = path.into();
        move |source| Error::File { path, source }
    }

    /// Adds the path of the module to an error of wasm-bindgen.
    pub fn bindgen<E>(path: impl Into<PathBuf>) -> impl FnOnce(E) -> Error
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let path = path.into();
        move |source| Error::Bindgen { path, source: source.into() }
    }
}

/// A program with its arguments, run in the repository's root.
pub fn command(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(crate::path("."));
    command
}

/// Announces a command, runs it, tells how long it took, and fails if it does. If others run beside it ([`crate::lanes`]),
/// its output is printed at its end.
pub fn run(command: &mut Command) -> crate::Result {
    let line = std::iter::once(command.get_program()).chain(command.get_args());
    let line = line.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
    let step = Step::begin(&line)?;
    let begun = Instant::now();
    let status = step.status(command).map_err(|source| start(command, source))?;
    step.end(begun.elapsed().as_secs_f32())?;
    if status.success() { Ok(()) } else { Err(Error::Failed { command: line, status }) }
}

/// The output of a command; `None` if it is missing or fails.
pub fn output(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok()
}

fn start(command: &Command, source: io::Error) -> Error {
    Error::Start { program: command.get_program().to_string_lossy().into_owned(), source }
}

/// Whether `newer` was written after `older`; `false` if either is missing.
pub fn is_newer(newer: &Path, older: &Path) -> bool {
    let written = |path: &Path| path.metadata().and_then(|metadata| metadata.modified()).ok();
    matches!((written(newer), written(older)), (Some(newer), Some(older)) if newer > older)
}
