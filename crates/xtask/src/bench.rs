//! Speed and memory in headless Chromium, and natively, on random weights of a published shape.

use std::path::{Path, PathBuf};

use crate::command::{Error, command, run};
use crate::serve::Server;
use crate::wasm::{PROFILE, RELAXED_SIMD, SIMD128, TARGET};
use crate::{Result, path, setup, wasm};

/// The shape that is measured.
const SHAPE: &str = "base-patch16-256";
/// A tiny model with the same image size: nearly all of its time is preprocessing.
const ONE_LAYER: &str = r#"{
  "model_type": "siglip",
  "text_config": {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 1},
  "vision_config": {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 1,
                    "image_size": 256}
}
"#;

/// A model whose embeddings have the length of base's, and that is made and loaded in a moment.
const WIDE: &str = r#"{
  "model_type": "siglip",
  "text_config": {"hidden_size": 768, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 12,
                  "vocab_size": 32000},
  "vision_config": {"hidden_size": 768, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 12,
                    "image_size": 32}
}
"#;

/// A rehearsal for adapters that are software, which take minutes for a picture of [`SHAPE`].
const SMALL: &str = r#"{
  "model_type": "siglip",
  "text_config": {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2},
  "vision_config": {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2,
                    "image_size": 64}
}
"#;

/// The labels of the bundle that is measured.
const LABELS: &str = "a cat\na dog\na horse\na boat\na cup\na tree\na house\na bird\na car\na hat\n";

/// What is measured.
#[derive(clap::Args)]
pub struct Bench {
    /// Measure other engines beside it, in the same run: transformers.js and LiteRT.js, or with --native onnxruntime, OpenVINO
    /// and LiteRT.
    #[arg(long)]
    peer: bool,
    /// Print the figures as JSON.
    #[arg(long)]
    json: bool,
    /// Write the figures to bench/records/ as well, named by processor and date.
    #[arg(long)]
    record: bool,
    /// Measure the GPU with bench/gpu.html in place of the CPU.
    #[arg(long)]
    gpu: bool,
    /// Rehearse that with a small model, on software that stands in for a GPU.
    #[arg(long, requires = "gpu", conflicts_with = "record")]
    small: bool,
    /// Measure the engine without a browser.
    #[arg(long, conflicts_with = "gpu")]
    native: bool,
    /// Measure the search in embeddings in place of the model.
    #[arg(long, conflicts_with_all = ["gpu", "native", "peer"])]
    search: bool,
    /// Time first visits over a line of 50 Mbit/s in place of the model.
    #[arg(long, conflicts_with_all = ["gpu", "native", "peer", "search"])]
    network: bool,
    /// Repetitions; the median counts. By default 7, natively 15, and 20 on the GPU.
    #[arg(long)]
    runs: Option<u32>,
    /// Measure only the configurations whose name contains this, such as "q8, 1".
    #[arg(long, default_value = "")]
    only: String,
}

impl Bench {
    /// Builds, makes the weights once, measures.
    pub fn run(self) -> Result {
        if self.search {
            return self.run_search();
        }
        if self.native {
            return self.run_native();
        }
        wasm::build(&[])?;
        setup::browsers()?;
        let folder = path("target/bench");
        std::fs::create_dir_all(&folder).map_err(Error::file(&folder))?;
        if self.small {
            random_checkpoint_of(SMALL, &folder.join("small"))?;
            return self.run_gpu(&folder, "small");
        }
        let model = random_checkpoint(Path::new(SHAPE), &folder.join(SHAPE))?;
        if self.gpu {
            return self.run_gpu(&folder, SHAPE);
        }
        if self.network {
            return self.run_network(&folder, &model);
        }
        random_checkpoint_of(ONE_LAYER, &folder.join("one-layer"))?;
        build_kernels("rate", &folder.join("kernels"))?;

        let (plain, isolated) = (Server::start(0, false)?, Server::start(0, true)?);
        let mut bench =
            command("node", &["bench/run.js", "--plain", &plain.address, "--isolated", &isolated.address]);
        bench.arg("--picture").arg(folder.join("picture.jpg")).arg("--model").arg(model);
        bench.args(["--runs", &self.runs.unwrap_or(7).to_string(), "--only", &self.only]);
        bench.args(self.peer.then_some("--peer")).args(self.json.then_some("--json"));
        bench.args(self.record.then_some("--record"));
        run(&mut bench)
    }

    /// Measures the search kernel natively and in WebAssembly, and an index in a page, each on one thread.
    fn run_search(&self) -> Result {
        wasm::build(&[])?;
        setup::browsers()?;
        let folder = path("target/bench");
        std::fs::create_dir_all(&folder).map_err(Error::file(&folder))?;
        random_checkpoint_of(WIDE, &folder.join("wide"))?;
        let kernels = folder.join("search");
        build_kernels("search", &kernels)?;
        run(&mut command(
            "cargo",
            &["bench", "--package", "siglip-kernels", "--bench", "kernels", "--", "search"],
        ))?;
        let mut bench = command("node", &["bench/search.js", "--model", "target/bench/wide", "--kernels"]);
        bench.arg(kernels).args(["--runs", &self.runs.unwrap_or(15).to_string()]);
        bench.args(self.json.then_some("--json")).args(self.record.then_some("--record"));
        run(&mut bench)
    }

    /// Times one pass of each native engine after another, on one thread and on all.
    fn run_native(&self) -> Result {
        let folder = path("target/bench");
        std::fs::create_dir_all(&folder).map_err(Error::file(&folder))?;
        let model = random_checkpoint(Path::new(SHAPE), &folder.join(SHAPE))?;
        run(&mut command("cargo", &["build", "--release", "--package", "siglip", "--example", "contender"]))?;
        let mut bench = command(
            "node",
            &["bench/native.js", "--program", "target/release/examples/contender", "--model"],
        );
        bench.arg(&model).args(["--runs", &self.runs.unwrap_or(15).to_string(), "--only", &self.only]);
        bench.args(self.peer.then_some("--peer")).args(self.json.then_some("--json"));
        bench.args(self.record.then_some("--record"));
        run(&mut bench)
    }

    /// Opens a page with the model, and one with a bundle of it, over a limited line.
    fn run_network(&self, folder: &Path, model: &Path) -> Result {
        let (labels, bundle) = (folder.join("labels.txt"), folder.join("labels.gguf"));
        std::fs::write(&labels, LABELS).map_err(Error::file(&labels))?;
        let mut bundled = command("cargo", &["run", "--release", "--package", "siglip-cli", "--", "bundle"]);
        run(bundled.arg(model).arg(&bundle).arg("--labels").arg(&labels))?;
        let mut bench = command("node", &["bench/network.js", "--model"]);
        bench.arg(model).arg("--bundle").arg(&bundle).args(["--only", &self.only]);
        bench.args(self.json.then_some("--json")).args(self.record.then_some("--record"));
        run(&mut bench)
    }

    /// Runs bench/gpu.html on the machine's GPU, with the model of this name.
    fn run_gpu(&self, folder: &Path, name: &str) -> Result {
        let server = Server::start(0, true)?;
        let model = format!("target/bench/{name}");
        let mut bench =
            command("node", &["bench/run-gpu.js", "--address", &server.address, "--model", &model]);
        if self.peer {
            let files = folder.join("peer");
            std::fs::create_dir_all(&files).map_err(Error::file(&files))?;
            run(command("bench/peer/run.sh", &[]).arg(folder.join(name)).arg("--gpu-files").arg(files))?;
            bench.args(["--peer", "target/bench/peer"]);
        }
        bench.args(["--runs", &self.runs.unwrap_or(20).to_string(), "--only", &self.only]);
        bench.args(self.json.then_some("--json")).args(self.record.then_some("--record"));
        run(&mut bench)
    }
}

/// The folder of a random checkpoint of this shape. Makes it once.
fn random_checkpoint(config: &Path, folder: &Path) -> Result<PathBuf> {
    if !folder.exists() {
        let mut random = command("cargo", &["run", "--release", "--package", "siglip-cli", "--", "random"]);
        run(random.args(["--seed", "1", "--config"]).arg(config).arg(folder))?;
    }
    Ok(folder.into())
}

/// The same of a shape's JSON, which is put beside the folder.
fn random_checkpoint_of(json: &str, folder: &Path) -> Result<PathBuf> {
    let config = folder.with_extension("json");
    std::fs::write(&config, json).map_err(Error::file(&config))?;
    random_checkpoint(&config, folder)
}

/// Compiles a kernel by itself, an example of siglip-kernels, once per build.
fn build_kernels(name: &str, folder: &Path) -> Result {
    std::fs::create_dir_all(folder).map_err(Error::file(folder))?;
    for build in [SIMD128, RELAXED_SIMD] {
        let mut example = command("cargo", &["build", "--profile", PROFILE, "--target", TARGET]);
        example.args(["--package", "siglip-kernels", "--example", name]);
        run(build.configure(&mut example))?;
        let (made, kept) = (
            build.compiled(&format!("examples/{name}.wasm")),
            folder.join(build.backend).with_extension("wasm"),
        );
        std::fs::copy(&made, &kept).map_err(Error::file(&made))?;
    }
    Ok(())
}
