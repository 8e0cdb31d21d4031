//! Installs what a task needs and the machine lacks, or says in one line what to install.

use std::path::Path;

use crate::Result;
use crate::command::{Error, command, is_newer, output, run};

/// The versions everything is built and tested with.
const WASM_PACK: &str = "0.15.1";

/// The browsers the tests run in: program, Debian's package, the variable that names another.
const BROWSERS: [(&str, &str, &str); 4] = [
    ("/usr/bin/chromium", "chromium", "CHROMIUM"),
    ("/usr/bin/firefox-esr", "firefox-esr", "FIREFOX"),
    ("/usr/bin/WebKitWebDriver", "webkit2gtk-driver", "WEBKIT_DRIVER"),
    // WebKit has no headless mode: its window is on this screen.
    ("/usr/bin/Xvfb", "xvfb", "XVFB"),
];

/// What every task needs.
pub fn everything() -> Result {
    wasm_tools()?;
    node_packages()?;
    browsers()
}

/// What turns Rust into WebAssembly that a page can import.
pub fn wasm_tools() -> Result {
    let targets = output(&mut command("rustup", &["target", "list", "--installed"])).unwrap_or_default();
    if !targets.contains("wasm32-unknown-unknown") {
        run(&mut command("rustup", &["target", "add", "wasm32-unknown-unknown"]))?;
    }
    let components =
        output(&mut command("rustup", &["component", "list", "--installed"])).unwrap_or_default();
    if !components.contains("rust-src") {
        run(&mut command("rustup", &["component", "add", "rust-src"]))?;
    }
    cargo_program("wasm-bindgen", "wasm-bindgen-cli", &locked_version("wasm-bindgen")?)?;
    cargo_program("wasm-pack", "wasm-pack", WASM_PACK)
}

/// A program of this very version; without `--locked`, since a registry mirror may lack what a lock file names.
fn cargo_program(program: &str, package: &str, version: &str) -> Result {
    let installed = output(&mut command(program, &["--version"])).unwrap_or_default();
    if installed.split_whitespace().nth(1) == Some(version) {
        return Ok(());
    }
    run(&mut command("cargo", &["install", package, "--version", version]))
}

/// The version of a crate in Cargo.lock: the command has to be of the same.
fn locked_version(package: &str) -> Result<String> {
    let path = crate::path("Cargo.lock");
    let lock = std::fs::read_to_string(&path).map_err(Error::file(&path))?;
    let heading = format!("name = \"{package}\"\nversion = \"");
    let version = lock.split_once(&heading).and_then(|(_, rest)| rest.split('"').next()).map(String::from);
    version.ok_or(Error::Missing { what: "the crate in Cargo.lock", remedy: format!("cargo add {package}") })
}

/// The packages of package-lock.json.
pub fn node_packages() -> Result {
    if output(&mut command("node", &["--version"])).is_none() {
        return Err(Error::Missing { what: "Node.js", remedy: "install version 20 or later".into() });
    }
    let installed = crate::path("node_modules/.package-lock.json");
    if is_newer(&installed, &crate::path("package-lock.json")) {
        return Ok(());
    }
    run(&mut command("npm", &["ci", "--no-audit", "--no-fund"]))
}

/// The browsers of the tests.
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
