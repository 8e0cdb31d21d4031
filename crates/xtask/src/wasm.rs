//! The engine in its builds.

use std::path::PathBuf;
use std::process::Command;

use crate::Result;
use crate::command::{Error, command, is_newer, run};
use crate::install;

/// What Rust calls the browser's machine.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// A build of the engine; `www/worker/wasm.js` chooses between them.
pub struct Build {
    /// Its folder in www/wasm/.
    pub name: &'static str,
    /// What the engine calls it.
    pub backend: &'static str,
    /// What rustc is told.
    rustflags: &'static str,
    /// What wasm-opt is told of the same.
    wasm_opt: &'static [&'static str],
    /// Whether threads share its memory.
    threads: bool,
}

/// Every build. A module that contains one relaxed opcode does not load where the browser lacks it.
pub const BUILDS: [Build; 2] = [
    Build {
        name: "simd128",
        backend: "simd",
        rustflags: "-C target-feature=+simd128",
        wasm_opt: &[],
        threads: false,
    },
    Build {
        name: "relaxed-simd",
        backend: "relaxed-simd",
        rustflags: "-C target-feature=+simd128,+relaxed-simd",
        wasm_opt: &["--enable-relaxed-simd"],
        threads: false,
    },
];

/// The build whose memory threads share, for pages that are cross-origin isolated. The linker is asked for what
/// wasm-bindgen needs to start a thread; the memory may grow to all that 32 bits address.
const THREADS: Build = Build {
    name: "threads",
    backend: "relaxed-simd",
    rustflags: "-C target-feature=+atomics,+bulk-memory,+simd128,+relaxed-simd \
        -C link-arg=--shared-memory -C link-arg=--import-memory -C link-arg=--max-memory=4294967296 \
        -C link-arg=--export=__wasm_init_tls -C link-arg=--export=__tls_size -C link-arg=--export=__tls_align \
        -C link-arg=--export=__tls_base -C link-arg=--export=__heap_base",
    wasm_opt: &["--enable-relaxed-simd", "--enable-threads"],
    threads: true,
};

/// Builds all engines into www/wasm/.
pub fn build() -> Result {
    install::wasm_tools()?;
    install::node_packages()?;
    BUILDS.iter().chain([&THREADS]).try_for_each(Build::run)
}

/// Has LLVM leave loops as they are written: addresses as a pointer and constant offsets, which a load of WebAssembly
/// takes for nothing, and instructions in their order, which V8 keeps. In orders of LLVM's own, inner loops need more
/// registers than there are and are a fifth slower.
const AS_WRITTEN: &str = "-C llvm-args=-disable-lsr -C llvm-args=-pre-RA-sched=source";

/// The standard library comes without atomics for this target, so it is compiled along, which stable Rust's cargo does
/// only when told to behave as on nightly.
const BUILD_STD: &str = "-Zbuild-std=std,panic_abort";

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
        run(self.configure(compile.args(["--package", "siglip-web"]).args(self.cargo_options())))?;
        let folder = crate::path("www/wasm").join(self.name);
        let module = folder.join("siglip_web_bg.wasm");
        if is_newer(&module, &self.release("siglip_web.wasm")) {
            return Ok(());
        }
        let mut pack = command("wasm-pack", &["build", "crates/siglip-web", "--release", "--target", "web"]);
        pack.arg("--no-pack").arg("--out-dir").arg(&folder).arg("--").args(self.cargo_options());
        run(self.configure(&mut pack))?;
        let mut optimise = command("node_modules/.bin/wasm-opt", &["-O3"]);
        let optimised = module.with_extension("opt");
        run(optimise.args(FEATURES).args(self.wasm_opt).arg(&module).arg("-o").arg(&optimised))?;
        std::fs::rename(&optimised, &module).map_err(Error::file(&module))
    }

    /// Has cargo, under whichever command, make this build.
    pub fn configure<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        if self.threads {
            command.env("RUSTC_BOOTSTRAP", "1");
        }
        let rustflags = format!("{} {AS_WRITTEN}", self.rustflags);
        command.env("RUSTFLAGS", rustflags).env("CARGO_TARGET_DIR", self.target_dir())
    }

    fn cargo_options(&self) -> &'static [&'static str] {
        if self.threads { &[BUILD_STD] } else { &[] }
    }
}
