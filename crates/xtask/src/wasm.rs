//! The engine in its builds.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use wasm_bindgen_cli_support::Bindgen;

use crate::Result;
use crate::command::{Error, command, is_newer, run};
use crate::setup;

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

/// The build that every browser runs, so the first to be made.
pub const SIMD128: Build = Build {
    name: "simd128",
    backend: "simd",
    rustflags: "-C target-feature=+simd128",
    wasm_opt: &[],
    threads: false,
};

/// The build for browsers with relaxed SIMD. A module that contains one relaxed opcode does not load where the browser
/// lacks it.
pub const RELAXED_SIMD: Build = Build {
    name: "relaxed-simd",
    backend: "relaxed-simd",
    rustflags: "-C target-feature=+simd128,+relaxed-simd",
    wasm_opt: &["--enable-relaxed-simd"],
    threads: false,
};

/// The build whose memory threads share, for pages that are cross-origin isolated. The linker is asked for what
/// wasm-bindgen needs to start a thread; the memory may grow to all that 32 bits address.
pub const THREADS: Build = Build {
    name: "threads",
    backend: "relaxed-simd",
    rustflags: "-C target-feature=+atomics,+bulk-memory,+simd128,+relaxed-simd \
        -C link-arg=--shared-memory -C link-arg=--import-memory -C link-arg=--max-memory=4294967296 \
        -C link-arg=--export=__wasm_init_tls -C link-arg=--export=__tls_size -C link-arg=--export=__tls_align \
        -C link-arg=--export=__tls_base -C link-arg=--export=__heap_base",
    wasm_opt: &["--enable-relaxed-simd", "--enable-threads"],
    threads: true,
};

/// Every build, in the order in which a page can do without the next.
pub const BUILDS: [Build; 3] = [SIMD128, RELAXED_SIMD, THREADS];

/// Builds all engines into www/wasm/.
pub fn build() -> Result {
    setup::wasm()?;
    BUILDS.iter().try_for_each(Build::run)
}

/// Has LLVM leave loops as they are written: addresses as a pointer and constant offsets, which a load of WebAssembly
/// takes for nothing, and instructions in their order, which V8 keeps. In orders of LLVM's own, inner loops need more
/// registers than there are and are a fifth slower.
const AS_WRITTEN: &str = "-C llvm-args=-disable-lsr -C llvm-args=-pre-RA-sched=source";

/// The standard library comes without atomics for this target, so it is compiled along. That is unstable: stable Rust's
/// cargo does it only when told to behave as on nightly.
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

/// The module's file in a build's folder.
const MODULE: &str = "siglip_web_bg.wasm";

impl Build {
    /// A folder of its own for what cargo makes: flags that change would make it start afresh.
    fn target_dir(&self) -> PathBuf {
        crate::path("target").join(self.name)
    }

    /// Where cargo leaves what it makes.
    pub fn release(&self, file: &str) -> PathBuf {
        self.target_dir().join(TARGET).join("release").join(file)
    }

    /// Where pages find it.
    fn folder(&self) -> PathBuf {
        crate::path("www/wasm").join(self.name)
    }

    /// Where it waits until pages may find it.
    fn aside(&self) -> PathBuf {
        self.target_dir().join("packed")
    }

    /// Whether pages find it.
    pub fn is_published(&self) -> bool {
        self.folder().join(MODULE).exists()
    }

    /// Whether no source file has changed since it was made.
    fn is_current(&self) -> bool {
        let module = self.folder().join(MODULE);
        // What cargo writes beside a module: "module: source source …".
        let sources = fs::read_to_string(self.release("siglip_web.d")).unwrap_or_default();
        let sources = sources.split_once(": ").map(|(_, sources)| sources.split_whitespace());
        let inputs = sources.map(|sources| sources.map(PathBuf::from).chain([crate::path("Cargo.lock")]));
        inputs.is_some_and(|mut inputs| inputs.all(|input| is_newer(&module, &input)))
    }

    /// Puts an empty script in its place unless it is up to date: pages then take another build, and none loads builds
    /// of two states of the source.
    pub fn withdraw(&self) -> Result {
        if self.is_current() {
            return Ok(());
        }
        let (folder, script) = (self.folder(), self.folder().join("siglip_web.js"));
        if folder.exists() {
            replace_folder(&folder, &self.aside())?;
        }
        fs::create_dir_all(&folder).map_err(Error::file(&folder))?;
        fs::write(&script, "// This build is being made.\nexport {};\n").map_err(Error::file(&script))
    }

    /// Compiles the engine, and publishes it in one step once all of it is there.
    pub fn run(&self) -> Result {
        let compile = ["build", "--lib", "--release", "--package", "siglip-web", "--target", TARGET];
        run(self.configure(command("cargo", &compile).args(self.cargo_options())))?;
        let (compiled, aside, folder) = (self.release("siglip_web.wasm"), self.aside(), self.folder());
        if is_newer(&folder.join(MODULE), &compiled) {
            return Ok(());
        }
        if !is_newer(&aside.join(MODULE), &compiled) {
            self.pack(&compiled, &aside)?;
        }
        replace_folder(&aside, &folder)
    }

    /// Makes of a compiled module the optimised one and the script that loads it.
    fn pack(&self, compiled: &Path, folder: &Path) -> Result {
        let made = self.target_dir().join("unfinished");
        let mut bindgen = Bindgen::new();
        bindgen.input_path(compiled).typescript(true).omit_default_module_path(false);
        bindgen.web(true).and_then(|bindgen| bindgen.generate(&made)).map_err(Error::bindgen(compiled))?;
        let (module, optimised) = (made.join(MODULE), made.join("optimised"));
        let mut optimise = command("node", &["node_modules/binaryen/bin/wasm-opt", "-O3"]);
        run(optimise.args(FEATURES).args(self.wasm_opt).arg(&module).arg("-o").arg(&optimised))?;
        fs::rename(&optimised, &module).map_err(Error::file(&module))?;
        replace_folder(&made, folder)
    }

    /// Has cargo, under whichever command, make this build.
    pub fn configure<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        if self.threads {
            command.env("RUSTC_BOOTSTRAP", "1");
        }
        let rustflags = format!("{} {AS_WRITTEN}", self.rustflags);
        command.env("RUSTFLAGS", rustflags).env("CARGO_TARGET_DIR", self.target_dir())
    }

    /// What cargo's commands for this build need in addition.
    pub fn cargo_options(&self) -> &'static [&'static str] {
        if self.threads { &[BUILD_STD] } else { &[] }
    }
}

/// Moves a folder to where another may be.
fn replace_folder(from: &Path, to: &Path) -> Result {
    if to.exists() {
        fs::remove_dir_all(to).map_err(Error::file(to))?;
    }
    let parent = to.parent().unwrap_or(to);
    fs::create_dir_all(parent).map_err(Error::file(parent))?;
    fs::rename(from, to).map_err(Error::file(from))
}
