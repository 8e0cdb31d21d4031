//! Whether the crates can be published.

use std::path::PathBuf;
use std::{env, fs};

use crate::Result;
use crate::command::{Error, command, run};

/// The crates with `publish = false`, which `cargo package` does not skip by itself.
const UNPUBLISHED: [&str; 3] = ["siglip-rare", "siglip-train", "xtask"];
/// The largest package that crates.io accepts.
const MOST_BYTES: u64 = 10 << 20;

/// Packages every published crate. Cargo unpacks and compiles each package, which proves that no file is missing and
/// that its dependencies on the other crates have versions.
pub fn check() -> Result {
    // Not target/package/, which `cargo xtask package` uses.
    let target = crate::path("target/crates");
    let packages = target.join("package");
    if packages.exists() {
        fs::remove_dir_all(&packages).map_err(Error::file(&packages))?;
    }
    forget_unpacked()?;
    // Cargo takes what it has compiled of a crate in a registry for current, too.
    run(command("cargo", &["clean", "--workspace", "--quiet", "--offline", "--target-dir"]).arg(&target))?;
    let mut package = command("cargo", &["package", "--workspace", "--allow-dirty", "--quiet"]);
    package.args(UNPUBLISHED.iter().flat_map(|name| ["--exclude", name]));
    // Offline: every dependency has been fetched by now, and the registry does not know these crates yet.
    package.arg("--offline").arg("--target-dir").arg(&target);
    // The result is never run, so the fastest compilation is best.
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

/// Removes the crates that an earlier run has unpacked. Cargo verifies a package against those of its workspace in a registry
/// of its own, whose folders have no host in their names. It takes what it finds there under the same version for the same
/// source, though that has changed.
fn forget_unpacked() -> Result {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| Some(env::home_dir()?.join(".cargo")));
    let Some(home) = home else { return Ok(()) };
    for kind in ["src", "cache"] {
        let registries = fs::read_dir(home.join("registry").join(kind)).into_iter().flatten().flatten();
        let hostless = registries.filter(|registry| registry.file_name().to_string_lossy().starts_with('-'));
        let unpacked = hostless.flat_map(|registry| fs::read_dir(registry.path())).flatten().flatten();
        for path in unpacked.map(|entry| entry.path()) {
            if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("siglip")) {
                let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
                removed.map_err(Error::file(&path))?;
            }
        }
    }
    Ok(())
}
