//! Whether the crates can be published.

use std::fs;
use std::path::Path;

use crate::Result;
use crate::command::{Error, command, run};

/// The crates with `publish = false`, which `cargo package` does not skip by itself.
const UNPUBLISHED: [&str; 4] = ["siglip-gpu-plan", "siglip-rare", "siglip-train", "xtask"];
/// The largest package that crates.io accepts.
const MOST_BYTES: u64 = 10 << 20;

/// Packages every published crate and checks what the packages hold. That proves that no file is missing, and that the
/// dependencies on the other crates have versions.
pub fn check() -> Result {
    // Not target/package/, which `cargo xtask package` uses.
    let target = crate::path("target/crates");
    let packages = target.join("package");
    if packages.exists() {
        fs::remove_dir_all(&packages).map_err(Error::file(&packages))?;
    }
    // Cargo's own verification would compile each package and its dependencies anew, which takes ten minutes.
    let mut package =
        command("cargo", &["package", "--workspace", "--no-verify", "--allow-dirty", "--quiet"]);
    package.args(UNPUBLISHED.iter().flat_map(|name| ["--exclude", name]));
    // Offline: every dependency has been fetched by now, and the registry does not know these crates yet.
    run(package.arg("--offline").arg("--target-dir").arg(&target))?;
    let crates = unpack(&packages)?;
    write_workspace(&packages, &crates)?;
    let mut check = command("cargo", &["check", "--workspace", "--quiet", "--offline", "--manifest-path"]);
    // With the profile, the versions and the folder of `cargo clippy`: what that has compiled of the dependencies is ready.
    run(check.arg(packages.join("Cargo.toml")).arg("--target-dir").arg(crate::path("target")))
}

/// Unpacks the packages of a folder beside them. Returns the folders' names, such as `siglip-0.1.0`.
fn unpack(packages: &Path) -> Result<Vec<String>> {
    let mut crates = Vec::new();
    let entries = fs::read_dir(packages).map_err(Error::file(packages))?;
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.extension().is_none_or(|extension| extension != "crate") {
            continue;
        }
        let bytes = fs::metadata(&path).map_err(Error::file(&path))?.len();
        if bytes > MOST_BYTES {
            return Err(Error::TooLarge { path, bytes, most: MOST_BYTES });
        }
        run(command("tar", &["-xzf"]).arg(&path).arg("-C").arg(packages))?;
        crates.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
    }
    Ok(crates)
}

/// Makes the unpacked crates a workspace with this one's profiles and versions. Each depends on the others by version, as it
/// will from crates.io.
fn write_workspace(packages: &Path, crates: &[String]) -> Result {
    let (manifest, lock) = (crate::path("Cargo.toml"), crate::path("Cargo.lock"));
    let own = fs::read_to_string(&manifest).map_err(Error::file(&manifest))?;
    let profiles = own.find("[profile.").map_or("", |begin| &own[begin..]);
    let patches = crates.iter().filter_map(|folder| {
        let (name, _) = folder.rsplit_once('-')?;
        Some(format!("{name} = {{ path = {folder:?} }}\n"))
    });
    let patches: String = patches.collect();
    let workspace = format!(
        "[workspace]\nresolver = \"3\"\nmembers = {crates:?}\n\n[patch.crates-io]\n{patches}\n{profiles}"
    );
    let (manifest, copied) = (packages.join("Cargo.toml"), packages.join("Cargo.lock"));
    fs::write(&manifest, workspace).map_err(Error::file(&manifest))?;
    fs::copy(&lock, &copied).map_err(Error::file(&copied))?;
    Ok(())
}
