//! Every check and test. The quick ones come first. Then Rust is compiled and tested in the processor time that the
//! suites in browsers leave: alone, they would leave a third of it idle.

use std::process::Command;
use std::sync::mpsc::{Receiver, Sender, channel};

use crate::command::{Error, command, run};
use crate::wasm::{Build, CANDLE, GPU_PLAN, PROFILE, RARE_FORMATS, RELAXED_SIMD, SIMD128, TARGET, THREADS};
use crate::{Result, audit, crates, docs, lanes, package, setup, wasm};

/// Runs every check and test; no further one begins after the first failure.
pub fn run_all() -> Result {
    setup::wasm()?;
    setup::browsers()?;
    run(&mut command("cargo", &["fmt", "--all", "--check"]))?;
    audit::check()?;
    let (made, candle) = channel();
    lanes::run(|| in_browsers(&candle), move || rust(made))
}

/// The engine for browsers, and what runs on it. `candle` tells that the build for comparison is made.
fn in_browsers(candle: &Receiver<()>) -> Result {
    wasm::build_each([&SIMD128, &RELAXED_SIMD, &THREADS, &RARE_FORMATS, &GPU_PLAN])?;
    for script in ["check", "test:unit", "test:firefox", "test:webkit"] {
        npm(script)?;
    }
    candle.recv().map_err(|_| Error::OtherFailed)?;
    // Between two suites: the files that a page keeps for visits without a network must not change during a test.
    CANDLE.publish()?;
    npm("test:browser")?;
    package::npm()?;
    npm("test:npm")?;
    docs::site()?;
    npm("test:docs")
}

fn npm(script: &str) -> Result {
    run(&mut command("npm", &["run", "--silent", script]))
}

/// What needs no browser, and the build for comparison. A failure drops `candle`, so nobody waits for that build.
fn rust(candle: Sender<()>) -> Result {
    deny()?;
    // Without xtask: cargo would give the features of its dependencies to the crates, and then compile these anew for the
    // other commands. With candle's engine here, and without it below for browsers.
    lint(&["--workspace", "--exclude", "xtask", "--all-targets", "--features", "siglip-web/candle"])?;
    lint(&["--package", "xtask", "--all-targets"])?;
    CANDLE.prepare()?;
    candle.send(()).map_err(|_| Error::OtherFailed)?;
    run(&mut command("cargo", &["test", "--workspace", "--exclude", "xtask"]))?;
    // The profile is that of the alias in .cargo/config.toml, so nothing is compiled again.
    run(&mut command("cargo", &["test", "--profile", "xtask", "--package", "xtask"]))?;
    // The fallback for processors without their own kernels. The whole workspace, so that its dependencies keep their features.
    let mut portable = command("cargo", &["test", "--workspace", "--exclude", "xtask"]);
    portable.args(["--features", "siglip-kernels/portable"]);
    run(portable.args(["--test", "attention", "--test", "elementwise", "--test", "linear"]))?;
    docs::rustdoc()?;
    crates::check()?;
    lint_on_wasm(&SIMD128, &["siglip-kernels", "siglip-web"])?;
    // In a command of its own: cargo would give its features to the engine too.
    lint_on_wasm(&RARE_FORMATS, &["siglip-rare"])?;
    lint_on_wasm(&GPU_PLAN, &["siglip-gpu-plan"])?;
    // This build differs from the one before only in the kernels.
    lint_on_wasm(&RELAXED_SIMD, &["siglip-kernels"])?;
    lint_on_wasm(&THREADS, &["siglip-kernels", "siglip-web"])?;
    kernels_on_wasm()?;
    // For docs::site.
    setup::mdbook().map(drop)
}

/// Checks licences, sources and bans of the dependencies against deny.toml.
fn deny() -> Result {
    let mut deny = Command::new(setup::cargo_deny()?);
    // Offline: audit::check has fetched every dependency.
    deny.current_dir(crate::path(".")).args(["--offline", "check", "--hide-inclusion-graph"]);
    run(deny.args(["bans", "licenses", "sources"]))
}

fn lint(targets: &[&str]) -> Result {
    run(command("cargo", &["clippy"]).args(targets).args(["--", "-D", "warnings"]))
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
