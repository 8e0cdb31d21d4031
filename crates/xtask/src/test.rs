//! Every check and test, the quick ones first.

use crate::command::{command, run};
use crate::wasm::{BUILDS, Build, TARGET};
use crate::{Result, audit, install, wasm};

/// Runs them all; stops at the first that fails.
pub fn run_all() -> Result {
    install::everything()?;
    rust()?;
    kernels_on_wasm()?;
    wasm::build()?;
    run(&mut command("npm", &["run", "--silent", "check"]))?;
    run(&mut command("npm", &["run", "--silent", "test"]))
}

fn rust() -> Result {
    run(&mut command("cargo", &["fmt", "--all", "--check"]))?;
    audit::check()?;
    let lint = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
    run(&mut command("cargo", &lint))?;
    // The builds differ in the kernels alone.
    for build in &BUILDS {
        lint_on_wasm(build, "siglip-kernels")?;
    }
    lint_on_wasm(&BUILDS[0], "siglip-web")?;
    run(&mut command("cargo", &["test", "--workspace"]))?;
    // The loops that a processor without a file of its own runs.
    run(&mut command("cargo", &["test", "--package", "siglip-kernels", "--features", "portable"]))?;
    run(command("cargo", &["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))
}

fn lint_on_wasm(build: &Build, package: &str) -> Result {
    let lint = ["clippy", "--release", "--package", package, "--target", TARGET, "--", "-D", "warnings"];
    run(build.configure(&mut command("cargo", &lint)))
}

/// The kernels' tests in Node.js, in both builds.
fn kernels_on_wasm() -> Result {
    for build in &BUILDS {
        let mut test =
            command("cargo", &["test", "--package", "siglip-kernels", "--tests", "--target", TARGET]);
        build
            .configure(&mut test)
            .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER", "wasm-bindgen-test-runner");
        // Node.js 20 has relaxed SIMD behind this flag; later ones know it as well.
        run(test.env("NODE_ARGS", "--experimental-wasm-relaxed-simd"))?;
    }
    Ok(())
}
