//! Whether the crates can be published.

use std::fs;

use crate::Result;
use crate::command::{Error, command, run};

/// What `publish = false` says of a crate, `cargo package` does not heed.
const UNPUBLISHED: [&str; 2] = ["siglip-train", "xtask"];
/// The largest package that crates.io takes.
const MOST_BYTES: u64 = 10 << 20;

/// Packages every crate that is published, and has cargo unpack and compile each: so a package lacks nothing, and its
/// dependencies on the others name versions.
pub fn check() -> Result {
    // Not target/package/, where the page is put together.
    let target = crate::path("target/crates");
    let packages = target.join("package");
    if packages.exists() {
        fs::remove_dir_all(&packages).map_err(Error::file(&packages))?;
    }
    let mut package = command("cargo", &["package", "--workspace", "--allow-dirty", "--quiet"]);
    package.args(UNPUBLISHED.iter().flat_map(|name| ["--exclude", name]));
    // Offline: the tasks before this one have fetched every dependency.
    package.arg("--offline").arg("--target-dir").arg(&target);
    // Nothing of it is run: what is compiled soonest serves best.
    run(package.env("CARGO_PROFILE_DEV_OPT_LEVEL", "0").env("CARGO_PROFILE_DEV_DEBUG", "0"))?;
    let entries = fs::read_dir(&packages).map_err(Error::file(&packages))?;
    for path in entries.flatten().map(|entry| entry.path()) {
        let bytes = fs::metadata(&path).map_err(Error::file(&path))?.len();
        if path.extension().is_some_and(|extension| extension == "crate") && bytes > MOST_BYTES {
            return Err(Error::TooLarge { path, bytes, most: MOST_BYTES });
        }
    }
    Ok(())
}
