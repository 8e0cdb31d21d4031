//! Every check and test, the quick ones first.

use std::process::Command;

use crate::command::{command, run};
use crate::wasm::{Build, PROFILE, RARE_FORMATS, RELAXED_SIMD, SIMD128, TARGET, THREADS};
use crate::{Result, audit, crates, docs, package, setup, wasm};

/// Runs every check and test; stops at the first failure.
pub fn run_all() -> Result {
    setup::everything()?;
    rust()?;
    kernels_on_wasm()?;
    wasm::build(&[])?;
    run(&mut command("npm", &["run", "--silent", "check"]))?;
    run(&mut command("npm", &["run", "--silent", "test"]))?;
    package::npm()?;
    run(&mut command("npm", &["run", "--silent", "test:npm"]))?;
    docs::site()?;
    run(&mut command("npm", &["run", "--silent", "test:docs"]))
}

fn rust() -> Result {
    run(&mut command("cargo", &["fmt", "--all", "--check"]))?;
    audit::check()?;
    deny()?;
    // With candle's engine here, and without it below for browsers.
    let mut lint = command("cargo", &["clippy", "--workspace", "--all-targets"]);
    run(lint.args(["--features", "siglip-web/candle", "--", "-D", "warnings"]))?;
    lint_on_wasm(&SIMD128, &["siglip-kernels", "siglip-web"])?;
    // In a command of its own: cargo would give its features to the engine too.
    lint_on_wasm(&RARE_FORMATS, &["siglip-rare"])?;
    // This build differs from the one before only in the kernels.
    lint_on_wasm(&RELAXED_SIMD, &["siglip-kernels"])?;
    lint_on_wasm(&THREADS, &["siglip-kernels", "siglip-web"])?;
    run(&mut command("cargo", &["test", "--workspace", "--exclude", "xtask"]))?;
    // The profile is that of the alias in .cargo/config.toml, so nothing is compiled again.
    run(&mut command("cargo", &["test", "--profile", "xtask", "--package", "xtask"]))?;
    // The fallback for processors without their own kernels.
    run(&mut command("cargo", &["test", "--package", "siglip-kernels", "--features", "portable"]))?;
    docs::rustdoc()?;
    crates::check()
}

/// Checks licences, sources and bans of the dependencies against deny.toml.
fn deny() -> Result {
    let mut deny = Command::new(setup::cargo_deny()?);
    // Offline: audit::check has fetched every dependency.
    deny.current_dir(crate::path(".")).args(["--offline", "check", "--hide-inclusion-graph"]);
    run(deny.args(["bans", "licenses", "sources"]))
}

fn lint_on_wasm(build: &Build, packages: &[&str]) -> Result {
    let mut lint = command("cargo", &["clippy", "--profile", PROFILE, "--target", TARGET]);
    lint.args(packages.iter().flat_map(|package| ["--package", package]));
    run(build.configure(lint.args(["--", "-D", "warnings"])))
}

/// Runs the kernels' tests in Node.js, with each set of SIMD instructions.
fn kernels_on_wasm() -> Result {
    let runner = setup::wasm_test_runner()?;
    for build in [SIMD128, RELAXED_SIMD] {
        let mut test =
            command("cargo", &["test", "--package", "siglip-kernels", "--tests", "--target", TARGET]);
        build.configure(&mut test).env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER", &runner);
        // Node.js 20 needs this flag for relaxed SIMD; later versions accept it.
        run(test.env("NODE_ARGS", "--experimental-wasm-relaxed-simd"))?;
    }
    Ok(())
}
