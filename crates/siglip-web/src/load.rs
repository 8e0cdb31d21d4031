//! From a source to a model that answers.

use js_sys::{Function, Uint8Array};
use serde::Deserialize;
use siglip::model::{Precision, Shard};
use siglip::weights::WeightReader;
use siglip::{Checkpoint, Siglip};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{AbortSignal, WorkerGlobalScope};

use crate::cache::{self, Notice, Store};
use crate::error::Error;
use crate::fetch::{Opener, Source, Stream};

const CONFIG: &str = "config.json";
const PREPROCESSOR: &str = "preprocessor_config.json";
const TOKENIZER: &str = "tokenizer.json";
const WEIGHTS: &str = "model.safetensors";

/// What to load and how.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Options {
    /// `q8` or `f32`.
    pub precision: String,
    /// Whether files are kept for the next visit.
    pub cache: bool,
    /// Workers that share the model.
    pub workers: usize,
}

impl Options {
    /// The precision by its name.
    pub fn precision(&self) -> Result<Precision, Error> {
        Precision::from_name(&self.precision).ok_or_else(|| {
            Error::BadInput(format!("precision {:?} is neither \"q8\" nor \"f32\"", self.precision))
        })
    }
}

/// What is told while a model loads; each a JavaScript function.
pub struct Listeners {
    /// `(file, loaded, total)`, in bytes of all files; the total is 0 where nobody knows it.
    pub progress: Function,
    /// `(code, message)`.
    pub notice: Function,
    /// `(config.json)`, before the first chunk: for the workers that hold the other shards.
    pub config: Function,
    /// `(chunk)`, every chunk of the weights.
    pub chunk: Function,
}

impl Listeners {
    fn tell(function: &Function, arguments: &[JsValue]) {
        // What a listener throws is its own affair.
        let _ = function.apply(&JsValue::NULL, &arguments.iter().collect());
    }

    fn notice(&self, notice: &Notice) {
        Self::tell(&self.notice, &[notice.code.into(), notice.message.as_str().into()]);
    }
}

/// Loads a whole checkpoint; `index` 0 of the workers that share it.
pub async fn load(
    source: Source,
    options: &Options,
    signal: Option<AbortSignal>,
    listeners: &Listeners,
) -> Result<Siglip, Error> {
    let scope: WorkerGlobalScope = js_sys::global().unchecked_into();
    let store = match options.cache && matches!(source, Source::Folder(_)) {
        false => Store::none(),
        true => Store::open(&scope).await.unwrap_or_else(|notice| {
            listeners.notice(&notice);
            Store::none()
        }),
    };
    let opener = Opener { scope: &scope, source: &source, store: &store, signal: signal.as_ref() };
    let mut loading = Loading { opener, options, listeners, loaded: 0, from_cache: false, told: 0 };
    match loading.run().await {
        Ok(siglip) => {
            if loading.from_cache {
                wasm_bindgen_futures::spawn_local(forget_outdated(scope.clone(), source, store.clone()));
            }
            Ok(siglip)
        }
        Err(Error::Aborted) => Err(Error::Aborted),
        Err(error) => {
            // What was kept may be what is broken: next time, and now if it came from there, it is fetched anew.
            forget(&source, &store).await;
            if !loading.from_cache {
                return Err(error);
            }
            loading.from_cache = false;
            loading.loaded = 0;
            let retried = loading.run().await;
            if retried.is_err() {
                forget(&source, &store).await;
            }
            retried
        }
    }
}

async fn forget(source: &Source, store: &Store) {
    for file in [CONFIG, PREPROCESSOR, TOKENIZER, WEIGHTS] {
        store.forget(&source.url(file)).await;
    }
}

/// After a load from the cache: where the server by now has other weights, the next load fetches them.
async fn forget_outdated(scope: WorkerGlobalScope, source: Source, store: Store) {
    let opener = Opener { scope: &scope, source: &source, store: &store, signal: None };
    if opener.is_outdated(&source.url(WEIGHTS)).await {
        forget(&source, &store).await;
    }
}

struct Loading<'l> {
    opener: Opener<'l>,
    options: &'l Options,
    listeners: &'l Listeners,
    /// Bytes of all files so far.
    loaded: u64,
    /// The most that was told, so that progress never goes back, not even where a file is fetched anew.
    told: u64,
    from_cache: bool,
}

impl Loading<'_> {
    async fn run(&mut self) -> Result<Siglip, Error> {
        let config = self.small_file(CONFIG).await?;
        let preprocessor = self.small_file(PREPROCESSOR).await?;
        let tokenizer = self.small_file(TOKENIZER).await?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let checkpoint = Checkpoint::parse(&text(&config), &text(&preprocessor), &tokenizer)?;
        Listeners::tell(&self.listeners.config, &[text(&config).into()]);

        let mut loader =
            checkpoint.loader(self.options.precision()?, Shard::new(0, self.options.workers)?)?;
        let mut reader = WeightReader::new();
        let mut stream = self.opener.open(WEIGHTS).await?;
        self.from_cache |= stream.from_cache;
        let url = self.opener.source.url(WEIGHTS);
        let wrong = |source| Error::File { url: url.clone(), source };
        let before = self.loaded;
        let mut bytes = Vec::new();
        while let Some(chunk) = stream.next().await? {
            bytes.resize(chunk.length() as usize, 0);
            chunk.copy_to(&mut bytes);
            Listeners::tell(&self.listeners.chunk, &[chunk.into()]);
            reader.push(&bytes, &mut loader).map_err(wrong)?;
            self.loaded += bytes.len() as u64;
            if let Some(total) = reader.total_bytes() {
                self.progress(WEIGHTS, before + total);
            }
        }
        reader.finish().map_err(wrong)?;
        self.keep(stream).await;
        Ok(Siglip::new(checkpoint, loader.finish().map_err(wrong)?))
    }

    async fn small_file(&mut self, file: &str) -> Result<Vec<u8>, Error> {
        let mut stream = self.opener.open(file).await?;
        self.from_cache |= stream.from_cache;
        let bytes = stream.read_to_end().await?;
        self.loaded += bytes.len() as u64;
        self.keep(stream).await;
        Ok(bytes)
    }

    async fn keep(&self, mut stream: Stream) {
        if let Some(put) = stream.put.take()
            && let Err(notice) = cache::kept(put).await
        {
            self.listeners.notice(&notice);
        }
    }

    fn progress(&mut self, file: &str, total: u64) {
        if self.loaded > self.told {
            self.told = self.loaded;
            let figures = [file.into(), (self.loaded as f64).into(), (total as f64).into()];
            Listeners::tell(&self.listeners.progress, &figures);
        }
    }
}

/// One worker's part of a model, from chunks that the first worker passes on.
pub struct ShardLoading {
    reader: WeightReader,
    loader: siglip::model::ModelLoader,
}

impl ShardLoading {
    /// The shard `index` of the model that `config.json` describes.
    pub fn new(config: &str, options: &Options, index: usize) -> Result<ShardLoading, Error> {
        let config = siglip::Config::from_json(config)?;
        let shard = Shard::new(index, options.workers)?;
        let loader = siglip::model::ModelLoader::new(config, options.precision()?, shard)?;
        Ok(ShardLoading { reader: WeightReader::new(), loader })
    }

    /// Takes the next chunk.
    pub fn push(&mut self, chunk: &Uint8Array) -> Result<(), Error> {
        Ok(self.reader.push(&chunk.to_vec(), &mut self.loader)?)
    }

    /// The part, when all chunks have arrived.
    pub fn finish(self) -> Result<siglip::model::Model, Error> {
        self.reader.finish()?;
        Ok(self.loader.finish()?)
    }
}
