//! SigLIP for web pages: the engine that `worker.js` calls.
//!
//! An [`Engine`] holds a model, or one worker's shard of it. JavaScript drives each pass through a tower step by step.
//! Between two steps the worker can receive an abort, and exchange partial sums with the other workers.
#![deny(missing_docs)]

#[cfg(not(feature = "candle"))]
mod all_reduce;
mod allocator;
mod backend;
mod body;
mod error;
mod fetch;
#[cfg(not(feature = "candle"))]
mod gpu;
mod integrity;
mod label_sets;
mod later_text;
mod loading;
mod options;
mod patches;
mod search_index;
mod step;
mod store;
mod taught_classes;

use js_sys::{Float32Array, Map};
use serde::{Deserialize, Serialize};
use siglip::image::{self, RgbImage};
use siglip::scores::rank;
use siglip::text::Template;
use siglip::{Adjustment, Judged, LabelSet, PixelValues, Score, ScoreFilter, Towers};
use wasm_bindgen::prelude::*;
use web_sys::AbortSignal;

use backend::{Model, Pass, Siglip};
use error::Error;
use loading::{Callbacks, FileDigest, LaterText, Loaded, LocalFiles, ShardBuilder};
use options::Options;
use patches::pooling_of;
use step::Step;
use store::{KnownLabels, Source};

/// A model in a worker.
#[wasm_bindgen]
pub struct Engine {
    role: Role,
    pass: Option<Pass>,
    /// The texts of the current pass.
    texts: Vec<String>,
    /// The label set that is being made.
    label_set: Option<LabelSet>,
    /// Where the text tower is.
    text: LaterText,
    /// Where the weights come from.
    sources: Vec<Source>,
    /// The labels that were embedded, if the model is cached.
    known_labels: Option<KnownLabels>,
}

/// What a worker holds.
enum Role {
    /// The first worker: tokenizer, image processor, pooling heads, and the first shard of the towers.
    Leader(Box<Siglip>),
    /// Another shard of the towers whose weights are still arriving; `None` after they could not be used.
    Loading(Option<Box<ShardBuilder>>),
    /// Another shard of the towers.
    Follower(Box<Model>),
}

/// The result of [`Engine::info`].
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Info<'m> {
    kind: &'static str,
    backend: &'static str,
    image_size: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_patches: Option<usize>,
    embedding_size: usize,
    bytes: usize,
    towers: &'static str,
    ready: &'static str,
    #[serde(flatten)]
    task: Task<'m>,
}

/// What a model scores.
#[derive(Serialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
enum Task<'m> {
    /// Any labels.
    Zeroshot { context_length: usize, logit_scale: f32, logit_bias: f32 },
    /// The classes of a fine-tuned classifier.
    Classes { labels: &'m [String], problem_type: &'static str },
}

#[wasm_bindgen]
impl Engine {
    /// Loads a checkpoint from `source`: the URL of a folder, with its slash, of a `.gguf` or of an `.onnx`, or a
    /// Map from name to File.
    pub async fn load(
        source: JsValue,
        options: JsValue,
        signal: Option<AbortSignal>,
        callbacks: Callbacks,
    ) -> Result<Engine, JsValue> {
        let options = parse_options(options)?;
        if let Some(notice) = options.notice().filter(|_| !options.later) {
            callbacks.notice(&notice);
        }
        let Loaded { siglip, text, sources, labels } = match source.as_string() {
            Some(address) => loading::load(address, &options, signal, &callbacks).await?,
            None => LocalFiles(source.unchecked_into::<Map>()).load(&options, &callbacks).await?,
        };
        let engine = Engine::new(Role::Leader(Box::new(siglip)));
        Ok(Engine { text, sources, known_labels: labels, ..engine })
    }

    /// Starts shard `index` of the model that `config` describes. Its weights follow with [`Engine::push_weights`].
    pub fn follow(config: &str, options: JsValue, index: usize) -> Result<Engine, JsValue> {
        let builder = ShardBuilder::new(config, &parse_options(options)?, index)?;
        Ok(Engine::new(Role::Loading(Some(Box::new(builder)))))
    }

    /// The digests of a file that another worker reads, from these states on.
    pub fn resume_digest(all: &str, settled: &str) -> Option<FileDigest> {
        FileDigest::resume(all, settled)
    }

    /// Takes packed weights.
    pub fn push_weights(&mut self, batches: &[u8]) -> Result<(), JsValue> {
        match &mut self.role {
            Role::Loading(Some(builder)) => Ok(builder.add(batches)?),
            _ => Err(misused("no weights are expected")),
        }
    }

    /// Completes the shard after its last weights.
    pub fn finish_weights(&mut self) -> Result<(), JsValue> {
        let Role::Loading(builder) = &mut self.role else { return Err(misused("no weights are expected")) };
        let builder = builder.take().ok_or_else(|| misused("the weights were finished before"))?;
        self.role = Role::Follower(Box::new(builder.finish()?));
        Ok(())
    }

    /// Kind and sizes of the model, its scale and bias or its classes, and the instruction set it runs on.
    pub fn info(&self) -> Result<JsValue, JsValue> {
        let model = self.model()?;
        let config = model.config();
        let task = match &config.classifier {
            Some(classifier) => {
                Task::Classes { labels: &classifier.labels, problem_type: classifier.problem_type.name() }
            }
            None => Task::Zeroshot {
                context_length: config.text_config.max_position_embeddings,
                logit_scale: model.logit_scale(),
                logit_bias: model.logit_bias(),
            },
        };
        let towers = if self.expects_text() { Towers::Both } else { model.towers() }.name();
        let info = Info {
            kind: if config.classifier.is_some() { "classifier" } else { "zero-shot" },
            backend: backend::backend(),
            image_size: config.vision_config.image_size,
            max_patches: self.siglip().ok().and_then(Siglip::max_patches),
            embedding_size: config.embedding_size(),
            bytes: model.bytes(),
            towers,
            ready: if self.text == LaterText::OnServer { Towers::Image.name() } else { towers },
            task,
        };
        // As an object, not as a Map, which flattened fields would make of it.
        Ok(info.serialize(&serde_wasm_bindgen::Serializer::json_compatible())?)
    }

    /// `{values, height}` of an encoded image: pixel values [3, height, width].
    pub fn pixel_values(&self, bytes: &[u8]) -> Result<JsValue, JsValue> {
        let decoded = image::read(bytes).map_err(siglip::Error::from).map_err(Error::from)?;
        let pixels = self.preprocess(&decoded.image)?;
        js_sys::Reflect::set(&pixels, &"damage".into(), &decoded.damage.into())?;
        Ok(pixels)
    }

    /// As [`Engine::pixel_values`], of RGBA bytes.
    pub fn pixel_values_from_rgba(&self, width: u32, height: u32, rgba: &[u8]) -> Result<JsValue, JsValue> {
        let image =
            RgbImage::from_rgba(width, height, rgba).map_err(siglip::Error::from).map_err(Error::from)?;
        self.preprocess(&image)
    }

    /// The labels, each put into every sentence of the template.
    pub fn prompts(&self, labels: Vec<String>, template: Vec<String>) -> Result<Vec<String>, JsValue> {
        let template = Template::of(&template).map_err(Error::from)?;
        Ok(siglip::prompts(&labels, &template).map_err(Error::from)?)
    }

    /// The input ids of texts that have no embedding yet, at most as many as fit into a pass; empty if none is left.
    pub fn next_input_ids(&mut self, texts: Vec<String>) -> Result<Vec<u32>, JsValue> {
        let siglip = self.siglip()?;
        let missing = siglip.uncached_texts(&texts);
        let input_ids = siglip.input_ids(&missing).map_err(Error::from)?;
        self.texts = missing;
        Ok(input_ids)
    }

    /// The input ids of texts, [texts, context length].
    pub fn input_ids(&self, texts: Vec<String>) -> Result<Vec<u32>, JsValue> {
        Ok(self.siglip()?.input_ids(&texts).map_err(Error::from)?)
    }

    /// Starts the pass of an image: pixel values [3, height, width]. `pooling` and `normalize` ask for other vectors than the
    /// one that is scored.
    pub fn begin_image(
        &mut self,
        pixel_values: Vec<f32>,
        height: usize,
        pooling: Option<String>,
        normalize: Option<bool>,
    ) -> Result<(), JsValue> {
        let image = PixelValues::new(pixel_values, height);
        let model = self.model()?;
        let pass = match (pooling, normalize) {
            (None, None) => model.begin_image(image),
            (pooling, normalize) => {
                let pooling = pooling_of(pooling.as_deref(), model.config())?;
                model.begin_image_for(image, pooling, normalize.unwrap_or(true))
            }
        };
        self.pass = Some(pass.map_err(Error::from)?);
        Ok(())
    }

    /// Starts the pass of texts: input ids [texts, context length]. `normalize` is as in [`Engine::begin_image`].
    pub fn begin_texts(&mut self, input_ids: Vec<u32>, normalize: Option<bool>) -> Result<(), JsValue> {
        let pass = self.model()?.begin_texts(input_ids, normalize.unwrap_or(true));
        self.pass = Some(pass.map_err(Error::from)?);
        Ok(())
    }

    /// Runs the next step of the pass.
    pub fn step(&mut self) -> Result<Step, JsValue> {
        let mut pass = self.take_pass()?;
        let step = self.model_mut()?.step(&mut pass);
        self.pass = Some(pass);
        Ok(step.into())
    }

    /// Ends a pass. Returns its vectors, or nothing in a follower.
    pub fn finish(&mut self) -> Result<Vec<f32>, JsValue> {
        Ok(self.take_pass()?.into_embeddings())
    }

    /// Ends the pass of texts from [`Engine::next_input_ids`]. Their embeddings are memoised.
    pub fn finish_texts(&mut self) -> Result<(), JsValue> {
        let pass = self.take_pass()?;
        let texts = std::mem::take(&mut self.texts);
        self.siglip_mut()?.cache_texts(&texts, &pass.into_embeddings());
        Ok(())
    }

    /// The memoised embedding of a text.
    pub fn text_embedding(&self, text: &str) -> Result<Vec<f32>, JsValue> {
        let embedding = self.siglip()?.cached_text(text);
        Ok(embedding.ok_or_else(|| misused("the text has no embedding yet"))?.to_vec())
    }

    /// `[{label, score, logit}]`, best first, of an image embedding. The labels must have been embedded before.
    pub fn scores(
        &mut self,
        image_embeds: &[f32],
        labels: Vec<String>,
        template: Vec<String>,
        options: JsValue,
    ) -> Result<JsValue, JsValue> {
        self.check_image_embeds(image_embeds)?;
        let filter = score_filter(options)?;
        let siglip = self.siglip_mut()?;
        let template = Template::of(&template).map_err(Error::from)?;
        let scores = siglip.scores(image_embeds, &labels, &template, filter).map_err(Error::from)?;
        Ok(serde_wasm_bindgen::to_value(&scores)?)
    }

    /// Several results of [`Engine::scores`] as one.
    pub fn rank(&self, scores: JsValue, options: JsValue) -> Result<JsValue, JsValue> {
        let scores: Vec<Score> = serde_wasm_bindgen::from_value(scores)?;
        Ok(serde_wasm_bindgen::to_value(&rank(scores, score_filter(options)?))?)
    }

    /// What scale and bias fit judged answers: `logits` of pairs of an image and a label, and whether the label is true.
    pub fn calibrate(&self, logits: &[f32], truths: Vec<u8>) -> Result<JsValue, JsValue> {
        let examples: Vec<Judged> =
            logits.iter().zip(truths).map(|(&logit, truth)| Judged { logit, truth: truth != 0 }).collect();
        let fitted = self.siglip()?.calibrate(&examples).map_err(Error::from)?;
        Ok(fitted.serialize(&serde_wasm_bindgen::Serializer::json_compatible())?)
    }
}

impl Engine {
    fn new(role: Role) -> Engine {
        let (text, sources, known_labels) = (LaterText::Loaded, Vec::new(), None);
        Engine { role, pass: None, texts: Vec::new(), label_set: None, text, sources, known_labels }
    }

    fn preprocess(&self, image: &RgbImage) -> Result<JsValue, JsValue> {
        let siglip = self.siglip()?;
        let PixelValues { values, height } = siglip.pixel_values(image).map_err(Error::from)?;
        let values = Float32Array::from(&values[..]);
        let pixels = js_sys::Object::new();
        js_sys::Reflect::set(&pixels, &"values".into(), &values)?;
        js_sys::Reflect::set(&pixels, &"height".into(), &height.into())?;
        Ok(pixels.into())
    }

    pub(crate) fn check_image_embeds(&self, image_embeds: &[f32]) -> Result<(), JsValue> {
        let (found, expected) = (image_embeds.len(), self.model()?.config().embedding_size());
        match found == expected {
            true => Ok(()),
            false => {
                let reason = format!("an image embedding of {found}; this model's have {expected}");
                Err(Error::BadInput(reason).into())
            }
        }
    }

    pub(crate) fn siglip(&self) -> Result<&Siglip, JsValue> {
        match &self.role {
            Role::Leader(siglip) => Ok(siglip),
            _ => Err(misused("this worker has one shard of the model only")),
        }
    }

    pub(crate) fn siglip_mut(&mut self) -> Result<&mut Siglip, JsValue> {
        match &mut self.role {
            Role::Leader(siglip) => Ok(siglip),
            _ => Err(misused("this worker has one shard of the model only")),
        }
    }

    fn take_pass(&mut self) -> Result<Pass, JsValue> {
        self.pass.take().ok_or_else(no_pass)
    }

    fn model(&self) -> Result<&Model, JsValue> {
        match &self.role {
            Role::Leader(siglip) => Ok(siglip.engine()),
            Role::Follower(model) => Ok(model),
            Role::Loading(_) => Err(misused("the weights have not arrived yet")),
        }
    }

    fn model_mut(&mut self) -> Result<&mut Model, JsValue> {
        match &mut self.role {
            Role::Leader(siglip) => Ok(siglip.engine_mut()),
            Role::Follower(model) => Ok(model),
            Role::Loading(_) => Err(misused("the weights have not arrived yet")),
        }
    }
}

/// Joins the thread pool of the engine in this memory. It never returns, so it is for a worker of its own.
#[cfg(target_feature = "atomics")]
#[wasm_bindgen]
pub fn join_thread_pool() {
    siglip_kernels::join_thread_pool();
}

/// What `score` in calls.js passes on from the caller.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ScoreOptions {
    top_k: Option<usize>,
    threshold: Option<f32>,
    scale: Option<f32>,
    bias: Option<f32>,
    relative: Option<bool>,
}

pub(crate) fn score_filter(options: JsValue) -> Result<ScoreFilter, JsValue> {
    let options: ScoreOptions =
        serde_wasm_bindgen::from_value(options).map_err(|error| Error::BadInput(error.to_string()))?;
    let ScoreOptions { top_k, threshold, scale, bias, relative } = options;
    let adjustment = Adjustment::new(scale.unwrap_or(1.0), bias.unwrap_or(0.0)).map_err(Error::from)?;
    Ok(ScoreFilter { top_k, threshold, adjustment, relative: relative.unwrap_or(false) })
}

fn parse_options(options: JsValue) -> Result<Options, JsValue> {
    Ok(serde_wasm_bindgen::from_value(options).map_err(|error| Error::BadInput(error.to_string()))?)
}

fn no_pass() -> JsValue {
    misused("no pass was started")
}

/// A call out of order: a fault of `worker.js`, reported as an error instead of a trap.
pub(crate) fn misused(reason: &str) -> JsValue {
    Error::BadInput(reason.into()).into()
}
