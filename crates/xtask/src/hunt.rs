//! Decodes pictures here and with Pillow, and compares the pixels.

use std::path::PathBuf;

use crate::Result;
use crate::command::{command, run};

/// The packages of tests/parity/requirements.txt that the comparison needs.
const PACKAGES: [&str; 2] = ["pillow==", "numpy=="];

/// The pictures to compare.
#[derive(clap::Args)]
pub struct Hunt {
    /// Folders of pictures, or single files.
    #[arg(value_name = "DIR", required = true)]
    paths: Vec<PathBuf>,
}

impl Hunt {
    /// Prints every difference, then counts by format. Fails if a picture that Pillow shows is refused or differs here.
    pub fn run(self) -> Result {
        let python = environment()?;
        let example = "picture_checksums";
        let build = ["build", "--release", "--package", "siglip", "--features", "avif", "--example", example];
        run(&mut command("cargo", &build))?;
        let decoder = crate::path("target/release/examples").join(example);
        let mut hunt = command(&python.to_string_lossy(), &["tests/parity/image/hunt.py"]);
        run(hunt.arg(decoder).args(self.paths))
    }
}

/// The Python of a virtual environment that has Pillow.
fn environment() -> Result<PathBuf> {
    let folder = crate::path("target/hunt-venv");
    let python = folder.join("bin/python");
    if !python.exists() {
        run(command("python3", &["-m", "venv"]).arg(&folder))?;
    }
    let requirements = crate::path("tests/parity/requirements.txt");
    let pinned =
        std::fs::read_to_string(&requirements).map_err(crate::command::Error::file(&requirements))?;
    let pinned = pinned.lines().filter(|line| PACKAGES.iter().any(|package| line.starts_with(package)));
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    run(command(&python.to_string_lossy(), &install).args(pinned))?;
    Ok(python)
}
