//! The documentation as a static site, target/docs/: docs/ by mdBook, with the page that its examples run on, the API
//! reference and the crates' documentation.

use std::path::PathBuf;

use crate::command::{command, run};
use crate::{Result, package, path, setup, wasm};

/// Where the site is made.
const SITE: &str = "target/docs";

/// How the site is made.
#[derive(clap::Args)]
pub struct Docs {
    /// Measure the sizes of engine, scripts and npm package, and write them to docs/sizes.md first.
    #[arg(long)]
    record: bool,
}

impl Docs {
    /// Builds the engine, then the site.
    pub fn run(&self) -> Result {
        wasm::build(&[])?;
        if self.record {
            package::npm()?;
            run(&mut command("node", &["scripts/docs/sizes.js", "--record"]))?;
        }
        println!("{} is ready for any static host", site()?.display());
        Ok(())
    }
}

/// Makes the site, of a built engine.
pub fn site() -> Result<PathBuf> {
    let mdbook = setup::mdbook()?;
    setup::docs_packages()?;
    let source = path("target/docs-source");
    run(command("node", &["scripts/docs/build.js", setup::DOCS_TOOLS]).arg(&source))?;
    let site = path(SITE);
    run(std::process::Command::new(mdbook).arg("build").arg(&source).arg("--dest-dir").arg(&site))?;
    // After mdBook, which empties the folder.
    package::page(site.join("page"))?;
    rustdoc()?;
    package::copy_folder(&path("target/doc"), &site.join("rust"))?;
    Ok(site)
}

/// Makes the crates' documentation in target/doc/.
pub fn rustdoc() -> Result {
    let doc = |of: &[&str]| {
        run(command("cargo", &["doc", "--no-deps"]).args(of).env("RUSTDOCFLAGS", "-D warnings"))
    };
    // Each with the features of its lint, so that no dependency is checked anew.
    doc(&["--workspace", "--exclude", "xtask"])?;
    doc(&["--package", "xtask"])
}
