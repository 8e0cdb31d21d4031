//! The files for a static host, and the npm package.

use std::env::consts::EXE_SUFFIX;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{self, Error, command};
use crate::{Result, wasm};

/// What a static host needs beside www/.
const BESIDE_WWW: [&str; 6] =
    ["index.html", "privacy.html", "manifest.webmanifest", "sw.js", "LICENSE-APACHE", "LICENSE-MIT"];

/// What to make.
#[derive(clap::Args)]
pub struct Package {
    /// The npm package siglip-web, in target/npm/.
    #[arg(long)]
    npm: bool,
}

impl Package {
    /// Builds the engine, then makes the package.
    pub fn run(&self) -> Result {
        wasm::build(&[])?;
        if self.npm {
            println!("{} is ready to be published", npm()?.display());
            return Ok(());
        }
        let package = crate::path("target/package");
        page(package.clone())?;
        command::run(command("node", &["scripts/compress.js"]).arg(&package))?;
        println!("target/package/ is ready for any static host");
        Ok(())
    }
}

/// Copies the page, the element, every build of the engine and the embedded model to a folder; the scripts there are
/// bundled.
pub fn page(folder: PathBuf) -> Result {
    let package = emptied(folder)?;
    copy_folder(&crate::path("www"), &package.join("www"))?;
    // The embedded model's folder is also a crate.
    for file in ["Cargo.toml", "lib.rs"].map(|file| package.join("www/models/tiny").join(file)) {
        fs::remove_file(&file).map_err(Error::file(&file))?;
    }
    for file in BESIDE_WWW {
        copy_file(&crate::path(file), &package.join(file))?;
    }
    command::run(command("node", &["scripts/bundle.js"]).arg(package.join("www")))?;
    list_offline_files(&package)
}

/// Lists the files of a site that its service worker, sw.js, keeps for visits without a network.
pub fn list_offline_files(site: &Path) -> Result {
    command::run(command("node", &["scripts/offline-files.js"]).arg(site))
}

/// Makes the npm package of a built engine. Returns its folder; the packed file is beside it.
pub fn npm() -> Result<PathBuf> {
    let package = emptied(crate::path("target/npm"))?.join("siglip-web");
    let models = package.join("models");
    fs::create_dir_all(&models).map_err(Error::file(&models))?;
    // One file: a bundler cannot copy a folder. In 8 bits it has the fewest bytes.
    let mut siglip = Command::new(command_line()?);
    siglip.args(["convert", "--to", "q8"]).arg(crate::path("www/models/tiny"));
    command::run(siglip.arg(models.join("tiny.gguf")))?;
    command::run(command("node", &["scripts/package-npm.js"]).arg(&package))?;
    command::run(command("npm", &["pack", "--silent", "--pack-destination", ".."]).current_dir(&package))?;
    Ok(package)
}

/// Builds the program `siglip`.
fn command_line() -> Result<PathBuf> {
    // With the features of `cargo test --workspace --exclude xtask`, which has compiled it if it has run. With those of
    // siglip-cli alone, cargo would compile fifty crates anew.
    let build = ["build", "--workspace", "--exclude", "xtask", "--bin", "siglip"];
    command::run(&mut command("cargo", &build))?;
    Ok(crate::path("target/debug").join(format!("siglip{EXE_SUFFIX}")))
}

/// An empty folder.
fn emptied(folder: PathBuf) -> Result<PathBuf> {
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(Error::file(&folder))?;
    }
    fs::create_dir_all(&folder).map_err(Error::file(&folder))?;
    Ok(folder)
}

/// Copies what is in a folder into another.
pub fn copy_folder(from: &Path, to: &Path) -> Result {
    fs::create_dir_all(to).map_err(Error::file(to))?;
    for entry in fs::read_dir(from).map_err(Error::file(from))? {
        let entry = entry.map_err(Error::file(from))?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() { copy_folder(&from, &to)? } else { copy_file(&from, &to)? }
    }
    Ok(())
}

fn copy_file(from: &Path, to: &Path) -> Result {
    fs::copy(from, to).map(drop).map_err(Error::file(from))
}
