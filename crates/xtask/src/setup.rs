//! Installs what a task needs, or says in one line what to install. Programs for the tests go to target/tools/.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::command::{Error, command, is_newer, output, run};

/// The browsers of the tests: program, Debian package, and the variable that names another program.
const BROWSERS: [(&str, &str, &str); 4] = [
    ("/usr/bin/chromium", "chromium", "CHROMIUM"),
    ("/usr/bin/firefox-esr", "firefox-esr", "FIREFOX"),
    ("/usr/bin/WebKitWebDriver", "webkit2gtk-driver", "WEBKIT_DRIVER"),
    // WebKit has no headless mode, so its window needs this virtual screen.
    ("/usr/bin/Xvfb", "xvfb", "XVFB"),
];

/// The version of cargo-deny that deny.toml is written for.
const CARGO_DENY: &str = "0.20.2";

/// The version of mdBook that docs/site/book.toml is written for.
const MDBOOK: &str = "0.5.4";

/// The folder with the npm packages of docs/site/package.json.
pub const DOCS_TOOLS: &str = "target/docs-tools";

/// The version of Rust that everything is tested with: `rust-version` in Cargo.toml.
const TESTED_RUST: &str = env!("CARGO_PKG_RUST_VERSION");

/// Installs everything that any task needs.
pub fn everything() -> Result {
    wasm()?;
    wasm_test_runner()?;
    cargo_deny()?;
    mdbook()?;
    docs_packages()?;
    browsers()
}

/// Installs what the WebAssembly builds need.
pub fn wasm() -> Result {
    let rustc = output(&mut command("rustc", &["--version"])).unwrap_or_default();
    if let Some(note) = untested_rust(&rustc) {
        eprintln!("{note}");
    }
    rustup_has("target", "wasm32-unknown-unknown")?;
    // The build with threads compiles the standard library.
    rustup_has("component", "rust-src")?;
    node_packages()
}

/// A note for the user if this version of `rustc` is not the tested one. Another version is not an error: only the
/// build with threads uses unstable options (`RUSTC_BOOTSTRAP`), and most versions accept them.
fn untested_rust(rustc: &str) -> Option<String> {
    let version = rustc.split_whitespace().nth(1)?;
    let tested = version.strip_prefix(TESTED_RUST).is_some_and(|patch| patch.starts_with('.'));
    let note = format!(
        "This is Rust {version}; {TESTED_RUST} is tested. If a build fails: \
         `rustup toolchain install {TESTED_RUST}`, then `cargo +{TESTED_RUST} xtask ...`"
    );
    (!tested).then_some(note)
}

/// Adds a target or a component to the toolchain.
fn rustup_has(kind: &str, name: &str) -> Result {
    let installed = output(&mut command("rustup", &[kind, "list", "--installed"])).unwrap_or_default();
    if installed.contains(name) { Ok(()) } else { run(&mut command("rustup", &[kind, "add", name])) }
}

/// The program that runs WebAssembly tests in Node.js. Its version must be that of wasm-bindgen in Cargo.lock.
pub fn wasm_test_runner() -> Result<PathBuf> {
    // It talks to Node.js only, so it is built without its default feature TLS.
    tool("wasm-bindgen-cli", "wasm-bindgen-test-runner", &locked_version("wasm-bindgen")?, "")
}

/// The program that checks the licences and sources of dependencies.
pub fn cargo_deny() -> Result<PathBuf> {
    // Advisories need the network and are not checked, so the default features are left out.
    tool("cargo-deny", "cargo-deny", CARGO_DENY, "")
}

/// The program that makes a site of docs/.
pub fn mdbook() -> Result<PathBuf> {
    // Its server and its watching of files are left out.
    tool("mdbook", "mdbook", MDBOOK, "search")
}

/// A program of a crate in this version: the one on the path, or else one that is installed in target/tools/ with these
/// features.
fn tool(package: &str, program: &str, version: &str, features: &str) -> Result<PathBuf> {
    let in_tools = crate::path("target/tools/bin").join(program);
    for program in [Path::new(program), &in_tools] {
        let found = output(Command::new(program).arg("--version")).unwrap_or_default();
        let found = found.split_whitespace().nth(1).map(|found| found.trim_start_matches('v'));
        if found == Some(version) {
            return Ok(program.into());
        }
    }
    // Unoptimised, because compiling takes longer than running. Without `--locked`, because a registry mirror may lack
    // versions that a lock file names.
    let mut install = command("cargo", &["install", package, "--version", version, "--bin", program]);
    install.args(["--no-default-features", "--features", features]);
    install.args(["--debug", "--root"]).arg(crate::path("target/tools"));
    install.env("CARGO_PROFILE_DEV_DEBUG", "0");
    run(install.env("CARGO_TARGET_DIR", crate::path("target/tools/build")))?;
    Ok(in_tools)
}

/// The version of a crate in Cargo.lock.
fn locked_version(package: &str) -> Result<String> {
    let path = crate::path("Cargo.lock");
    let lock = std::fs::read_to_string(&path).map_err(Error::file(&path))?;
    let heading = format!("name = \"{package}\"\nversion = \"");
    let version = lock.split_once(&heading).and_then(|(_, rest)| rest.split('"').next()).map(String::from);
    version.ok_or(Error::Missing { what: "the crate in Cargo.lock", remedy: format!("cargo add {package}") })
}

/// Installs the packages of package-lock.json.
pub fn node_packages() -> Result {
    has_node()?;
    packages(&crate::path("."))
}

/// Installs the packages of docs/site/package-lock.json. They have a folder of their own, since TypeDoc needs another
/// TypeScript than the rest.
pub fn docs_packages() -> Result {
    has_node()?;
    let folder = crate::path(DOCS_TOOLS);
    std::fs::create_dir_all(&folder).map_err(Error::file(&folder))?;
    for name in ["package.json", "package-lock.json"] {
        let (from, to) = (crate::path("docs/site").join(name), folder.join(name));
        if !is_newer(&to, &from) {
            std::fs::copy(&from, &to).map_err(Error::file(from))?;
        }
    }
    packages(&folder)
}

fn has_node() -> Result {
    if output(&mut command("node", &["--version"])).is_none() {
        return Err(Error::Missing { what: "Node.js", remedy: "install version 20 or later".into() });
    }
    Ok(())
}

/// Installs the packages of the package-lock.json in a folder.
fn packages(folder: &Path) -> Result {
    if is_newer(&folder.join("node_modules/.package-lock.json"), &folder.join("package-lock.json")) {
        return Ok(());
    }
    run(command("npm", &["ci", "--no-audit", "--no-fund"]).current_dir(folder))
}

/// Installs the browsers of the tests, if this is Debian and the user is root.
pub fn browsers() -> Result {
    let missing = BROWSERS.iter().filter(|(program, _, variable)| {
        let program = std::env::var(variable).unwrap_or_else(|_| (*program).into());
        !Path::new(&program).exists()
    });
    let missing: Vec<&str> = missing.map(|(_, package, _)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let debian_root = Path::new("/usr/bin/apt-get").exists()
        && output(&mut command("id", &["-u"])).is_some_and(|id| id.trim() == "0");
    if !debian_root {
        let remedy = format!(
            "install {} or name them in CHROMIUM, FIREFOX, WEBKIT_DRIVER and XVFB",
            missing.join(" and ")
        );
        return Err(Error::Missing { what: "a browser", remedy });
    }
    run(&mut command("apt-get", &["update", "-q"]))?;
    let mut install = command("apt-get", &["install", "-q", "-y", "--no-install-recommends"]);
    run(install.args(missing).env("DEBIAN_FRONTEND", "noninteractive"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_untested_version_of_rust_gets_a_note() {
        let version = |patch: &str| format!("rustc {TESTED_RUST}{patch} (59807616e 2026-04-14)\n");
        assert_eq!(untested_rust(&version(".0")), None);
        assert_eq!(untested_rust(&version(".1-beta.2")), None);
        let note = untested_rust(&version("0.0")).unwrap();
        assert!(note.contains(&format!("rustup toolchain install {TESTED_RUST}`")), "{note}");
        assert!(untested_rust("rustc 2.0.0-nightly (abc 2027-01-01)").is_some());
        // If rustc prints nothing, cargo has reported the reason.
        assert_eq!(untested_rust(""), None);
    }
}
