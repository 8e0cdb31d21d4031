//! The engine in its two builds.

use std::path::PathBuf;
use std::process::Command;

use crate::Result;
use crate::command::{Error, command, is_newer, run};
use crate::install;

/// What Rust calls the browser's machine.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// A build of the engine; `www/wasm.js` chooses between them.
pub struct Build {
    /// Its folder in www/wasm/.
    pub name: &'static str,
    /// What the engine calls it.
    pub backend: &'static str,
    /// What rustc is told.
    rustflags: &'static str,
    /// What wasm-opt is told of the same.
    wasm_opt: &'static [&'static str],
}

/// Every build. A module that contains one relaxed opcode does not load where the browser lacks it.
pub const BUILDS: [Build; 2] = [
    Build { name: "simd128", backend: "simd", rustflags: "-C target-feature=+simd128", wasm_opt: &[] },
    Build {
        name: "relaxed-simd",
        backend: "relaxed-simd",
        rustflags: "-C target-feature=+simd128,+relaxed-simd",
        wasm_opt: &["--enable-relaxed-simd"],
    },
];

/// Builds both engines into www/wasm/.
pub fn build() -> Result {
    install::wasm_tools()?;
    install::node_packages()?;
    BUILDS.iter().try_for_each(Build::run)
}

/// What the engine's code may use, besides what every browser with SIMD has had from the start.
const FEATURES: [&str; 6] = [
    "--enable-simd",
    "--enable-bulk-memory",
    "--enable-multivalue",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-sign-ext",
];

impl Build {
    /// A folder of its own for what cargo makes: flags that change would make it start afresh.
    fn target_dir(&self) -> PathBuf {
        crate::path("target").join(self.name)
    }

    /// Where cargo leaves what it makes.
    pub fn release(&self, file: &str) -> PathBuf {
        self.target_dir().join(TARGET).join("release").join(file)
    }

    fn run(&self) -> Result {
        let mut compile = command("cargo", &["build", "--lib", "--release", "--target", TARGET]);
        run(self.configure(compile.args(["--package", "siglip-web"])))?;
        let folder = crate::path("www/wasm").join(self.name);
        let module = folder.join("siglip_web_bg.wasm");
        if is_newer(&module, &self.release("siglip_web.wasm")) {
            return Ok(());
        }
        let mut pack = command("wasm-pack", &["build", "crates/siglip-web", "--release", "--target", "web"]);
        run(self.configure(pack.arg("--no-pack").arg("--out-dir").arg(&folder)))?;
        let mut optimise = command("node_modules/.bin/wasm-opt", &["-O3"]);
        let optimised = module.with_extension("opt");
        run(optimise.args(FEATURES).args(self.wasm_opt).arg(&module).arg("-o").arg(&optimised))?;
        std::fs::rename(&optimised, &module).map_err(Error::file(&module))
    }

    /// Has cargo, under whichever command, make this build.
    pub fn configure<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        command.env("RUSTFLAGS", self.rustflags).env("CARGO_TARGET_DIR", self.target_dir())
    }
}
