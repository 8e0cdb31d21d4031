//! The files that a static host needs.

use std::fs;
use std::path::Path;

use crate::command::{self, Error, command};
use crate::{Result, wasm};

/// Builds, then copies the page, the element, every build of the engine and the embedded model to target/package/; its
/// scripts are bundled.
pub fn run() -> Result {
    wasm::build()?;
    let package = crate::path("target/package");
    if package.exists() {
        fs::remove_dir_all(&package).map_err(Error::file(&package))?;
    }
    copy_folder(&crate::path("www"), &package.join("www"))?;
    // The embedded model's folder is also a crate.
    for file in ["Cargo.toml", "lib.rs"].map(|file| package.join("www/models/tiny").join(file)) {
        fs::remove_file(&file).map_err(Error::file(&file))?;
    }
    for file in ["index.html", "LICENSE-APACHE", "LICENSE-MIT"] {
        copy_file(&crate::path(file), &package.join(file))?;
    }
    command::run(command("node", &["scripts/bundle.js"]).arg(package.join("www")))?;
    println!("target/package/ is ready for any static host");
    Ok(())
}

fn copy_folder(from: &Path, to: &Path) -> Result {
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
