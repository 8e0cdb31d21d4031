//! Builds the modules for the browser: the engine, the decoders of rare picture formats, and what makes plans for a GPU.

use std::fs;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::{self, ScopedJoinHandle};

use wasm_bindgen_cli_support::Bindgen;

use crate::Result;
use crate::command::{Error, command, is_newer, run};
use crate::setup;

/// The browser's target triple.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// Cargo's profile of the modules: small, since every visitor downloads them.
pub const PROFILE: &str = "web";

/// A build of a module; `www/worker/wasm.js` chooses between those of the engine.
pub struct Build {
    /// Its folder in www/wasm/.
    pub name: &'static str,
    /// The crate.
    package: &'static str,
    /// Cargo's options for the crate.
    options: &'static [&'static str],
    /// Its folder in target/. Builds that share one share what is compiled for this machine, such as procedural macros, and those with
    /// the same flags also the dependencies.
    target: &'static str,
    /// The name that the engine reports.
    pub backend: &'static str,
    /// Flags for rustc.
    rustflags: &'static str,
    /// Flags for wasm-opt: the same features, what is to be left out, and another level than the usual one.
    wasm_opt: &'static [&'static str],
    /// Whether threads share its memory.
    threads: bool,
    /// Whether wasm-bindgen writes the script that loads it.
    script: bool,
}

/// The build that every browser runs. It is made first.
pub const SIMD128: Build = Build {
    name: "simd128",
    package: "siglip-web",
    options: &[],
    target: "wasm",
    backend: "simd",
    rustflags: "-C target-feature=+simd128",
    wasm_opt: &[],
    threads: false,
    script: true,
};

/// The build for browsers with relaxed SIMD. Other browsers refuse a module that contains a single relaxed opcode.
pub const RELAXED_SIMD: Build = Build {
    name: "relaxed-simd",
    package: "siglip-web",
    options: &[],
    target: "wasm",
    backend: "relaxed-simd",
    rustflags: "-C target-feature=+simd128,+relaxed-simd",
    wasm_opt: &["--enable-relaxed-simd"],
    threads: false,
    script: true,
};

/// The build whose threads share one memory, for cross-origin isolated pages. The linker flags export what wasm-bindgen
/// needs to start a thread, and let the memory grow to 4 GiB.
pub const THREADS: Build = Build {
    name: "threads",
    package: "siglip-web",
    options: &[],
    target: "threads",
    backend: "relaxed-simd",
    rustflags: "-C target-feature=+atomics,+bulk-memory,+simd128,+relaxed-simd \
        -C link-arg=--shared-memory -C link-arg=--import-memory -C link-arg=--max-memory=4294967296 \
        -C link-arg=--export=__wasm_init_tls -C link-arg=--export=__tls_size -C link-arg=--export=__tls_align \
        -C link-arg=--export=__tls_base -C link-arg=--export=__heap_base",
    wasm_opt: &["--enable-relaxed-simd", "--enable-threads"],
    threads: true,
    script: true,
};

/// The decoders that a page loads only for a picture of a rare format.
pub const RARE_FORMATS: Build = Build { name: "rare-formats", package: "siglip-rare", ..SIMD128 };

/// The engine on candle's towers, which a page loads only when it asks for it.
pub const CANDLE: Build = Build { name: "candle", options: &["--features", "candle"], ..SIMD128 };

/// What makes the plan that a GPU executes, which a page loads only where it has a GPU.
pub const GPU_PLAN: Build = Build {
    name: "gpu-plan",
    package: "siglip-gpu-plan",
    // Without the panics' messages, which nobody reads, it is a third smaller.
    options: &["--config", "profile.web.lto=true"],
    target: "wasm",
    backend: "",
    rustflags: "",
    // Small code, and without what wasm-bindgen leaves out of the others.
    wasm_opt: &["-Os", "--strip-debug", "--strip-producers", "--strip-target-features"],
    threads: false,
    script: false,
};

/// Every build. A page works with the first alone; the next two are faster, the fourth reads more formats, the fifth is for a GPU,
/// the last for comparison.
pub const BUILDS: [Build; 6] = [SIMD128, RELAXED_SIMD, THREADS, RARE_FORMATS, GPU_PLAN, CANDLE];

/// Builds the modules of these names into www/wasm/, or all if none is named.
pub fn build(names: &[String]) -> Result {
    let wanted = |build: &&Build| names.is_empty() || names.iter().any(|name| name == build.name);
    build_each(BUILDS.iter().filter(wanted))
}

/// Builds modules into www/wasm/. While one is optimised, which takes a minute of one core, the next is compiled.
pub fn build_each<'b>(builds: impl IntoIterator<Item = &'b Build>) -> Result {
    setup::wasm()?;
    thread::scope(|scope| {
        let mut publishing: Option<ScopedJoinHandle<Result>> = None;
        let mut wait_for = |next| match std::mem::replace(&mut publishing, next) {
            Some(publishing) => publishing.join().unwrap_or_else(|panic| resume_unwind(panic)),
            None => Ok(()),
        };
        for build in builds {
            build.compile()?;
            wait_for(Some(scope.spawn(|| build.publish())))?;
        }
        wait_for(None)
    })
}

/// Keeps LLVM from rewriting inner loops. Addresses stay a pointer plus constant offsets, which are free in
/// WebAssembly's loads. Instructions keep their order, and V8 keeps it too. LLVM's own order needs more registers than
/// there are, which makes inner loops a fifth slower.
const AS_WRITTEN: &str = "-C llvm-args=-disable-lsr -C llvm-args=-pre-RA-sched=source";

/// The prebuilt standard library for this target has no atomics, so it is compiled too. The option is unstable: stable
/// cargo accepts it only with RUSTC_BOOTSTRAP.
const BUILD_STD: &str = "-Zbuild-std=std,panic_abort";

/// WebAssembly features that the engine uses. Every browser with SIMD has them.
const FEATURES: [&str; 6] = [
    "--enable-simd",
    "--enable-bulk-memory",
    "--enable-multivalue",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-sign-ext",
];

impl Build {
    fn target_dir(&self) -> PathBuf {
        crate::path("target").join(self.target)
    }

    /// A file that cargo has built.
    pub fn compiled(&self, file: &str) -> PathBuf {
        self.target_dir().join(TARGET).join(PROFILE).join(file)
    }

    /// The folder that pages load it from.
    fn folder(&self) -> PathBuf {
        crate::path("www/wasm").join(self.name)
    }

    /// The folder where it is put together before pages can load it.
    fn aside(&self) -> PathBuf {
        self.target_dir().join("packed").join(self.name)
    }

    /// The name that cargo and wasm-bindgen give its files.
    fn stem(&self) -> String {
        self.package.replace('-', "_")
    }

    /// The module's file in its folder.
    fn module(&self) -> String {
        format!("{}{}.wasm", self.stem(), if self.script { "_bg" } else { "" })
    }

    /// Whether pages can load it.
    pub fn is_published(&self) -> bool {
        self.folder().join(self.module()).exists()
    }

    /// Whether it is newer than every source file.
    fn is_current(&self) -> bool {
        let module = self.folder().join(self.module());
        // Cargo writes "module: source source …" beside each module.
        let sources = fs::read_to_string(self.compiled(&format!("{}.d", self.stem()))).unwrap_or_default();
        let sources = sources.split_once(": ").map(|(_, sources)| sources.split_whitespace());
        let inputs = sources.map(|sources| sources.map(PathBuf::from).chain([crate::path("Cargo.lock")]));
        inputs.is_some_and(|mut inputs| inputs.all(|input| is_newer(&module, &input)))
    }

    /// Unless it is up to date, replaces it by an empty script, if it has a script. Pages then use another build, or no GPU, so no
    /// page mixes builds of different source versions.
    pub fn withdraw(&self) -> Result {
        if self.is_current() {
            return Ok(());
        }
        let (folder, script) = (self.folder(), self.folder().join(format!("{}.js", self.stem())));
        if folder.exists() {
            replace_folder(&folder, &self.aside())?;
        }
        fs::create_dir_all(&folder).map_err(Error::file(&folder))?;
        if !self.script {
            return Ok(());
        }
        fs::write(&script, "// This build is being made.\nexport {};\n").map_err(Error::file(&script))
    }

    /// Compiles the crate. Pages see it in one step, when it is complete.
    pub fn run(&self) -> Result {
        self.prepare()?;
        self.publish()
    }

    /// Does everything but the last step, in which pages see it.
    pub fn prepare(&self) -> Result {
        self.compile()?;
        if self.is_published_as_compiled() { Ok(()) } else { self.pack_aside() }
    }

    /// Compiles it, and keeps the module under its own name: cargo gives those of the builds in one folder the same.
    fn compile(&self) -> Result {
        let compile = ["build", "--lib", "--profile", PROFILE, "--package", self.package, "--target", TARGET];
        run(self.configure(command("cargo", &compile).args(self.options).args(self.cargo_options())))?;
        let (made, kept) = (self.compiled(&format!("{}.wasm", self.stem())), self.compiled_module());
        if !is_newer(&kept, &made) {
            let folder = kept.parent().unwrap_or(&kept);
            fs::create_dir_all(folder).map_err(Error::file(folder))?;
            fs::copy(&made, &kept).map_err(Error::file(&made))?;
        }
        Ok(())
    }

    /// Puts what was compiled where pages load it from.
    pub fn publish(&self) -> Result {
        if self.is_published_as_compiled() {
            return Ok(());
        }
        self.pack_aside()?;
        replace_folder(&self.aside(), &self.folder())
    }

    /// The module as cargo has made it, under a name of its own.
    fn compiled_module(&self) -> PathBuf {
        self.target_dir().join("compiled").join(self.name).join(format!("{}.wasm", self.stem()))
    }

    fn is_published_as_compiled(&self) -> bool {
        is_newer(&self.folder().join(self.module()), &self.compiled_module())
    }

    /// Puts the compiled module together with its script, where pages do not load it yet.
    fn pack_aside(&self) -> Result {
        let (compiled, aside) = (self.compiled_module(), self.aside());
        if is_newer(&aside.join(self.module()), &compiled) { Ok(()) } else { self.pack(&compiled, &aside) }
    }

    /// Optimises a compiled module and writes the script that loads it, if it has one.
    fn pack(&self, compiled: &Path, folder: &Path) -> Result {
        let made = self.target_dir().join("unfinished").join(self.name);
        if self.script {
            self.bind(compiled, &made)?;
        } else {
            fs::create_dir_all(&made).map_err(Error::file(&made))?;
            fs::copy(compiled, made.join(self.module())).map_err(Error::file(compiled))?;
        }
        let (module, optimised) = (made.join(self.module()), made.join("optimised"));
        // LLVM has optimised it. `-O3` takes five times as long, and leaves a module that is no faster, and 2 % larger as compressed.
        let mut optimise = command("node", &["node_modules/binaryen/bin/wasm-opt", "-O1"]);
        run(optimise.args(FEATURES).args(self.wasm_opt).arg(&module).arg("-o").arg(&optimised))?;
        fs::rename(&optimised, &module).map_err(Error::file(&module))?;
        replace_folder(&made, folder)
    }

    /// Writes the module and the script that loads it.
    fn bind(&self, compiled: &Path, folder: &Path) -> Result {
        let mut bindgen = Bindgen::new();
        bindgen.input_path(compiled).typescript(true).omit_default_module_path(true);
        // Decoders that have failed begin anew for the next picture. An engine does so with its worker.
        bindgen.reset_state_function(self.name == RARE_FORMATS.name);
        bindgen.web(true).and_then(|bindgen| bindgen.generate(folder)).map_err(Error::bindgen(compiled))
    }

    /// Adds the flags of this build to a cargo command.
    pub fn configure<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        if self.threads {
            command.env("RUSTC_BOOTSTRAP", "1");
        }
        // Without SIMD there are no inner loops.
        let order = if self.rustflags.is_empty() { "" } else { AS_WRITTEN };
        command
            .env("RUSTFLAGS", format!("{} {order}", self.rustflags).trim())
            .env("CARGO_TARGET_DIR", self.target_dir())
    }

    /// Extra options for cargo.
    pub fn cargo_options(&self) -> &'static [&'static str] {
        if self.threads { &[BUILD_STD] } else { &[] }
    }
}

/// Moves a folder, replacing the target.
fn replace_folder(from: &Path, to: &Path) -> Result {
    if to.exists() {
        fs::remove_dir_all(to).map_err(Error::file(to))?;
    }
    let parent = to.parent().unwrap_or(to);
    fs::create_dir_all(parent).map_err(Error::file(parent))?;
    fs::rename(from, to).map_err(Error::file(from))
}
