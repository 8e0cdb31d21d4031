//! SigLIP for web pages: what `worker.js` calls.
//!
//! An [`Engine`] holds a model, or one worker's part of it. Passes through the towers are driven from JavaScript a
//! step at a time, so that the worker can hear an abort, and exchange parts of sums with its peers, between two.
#![deny(missing_docs)]

mod assembly;
mod attempt;
mod body;
mod error;
mod fetch;
mod intake;
mod integrity;
mod listeners;
mod load;
mod local;
mod options;
mod recorder;
mod replay;
mod store;

use js_sys::{Float32Array, Function, Map, Uint32Array};
use serde::Serialize;
use siglip::image::{self, RgbImage};
use siglip::model::{Model, Pass, Step};
use siglip::text::Template;
use siglip::{Keep, Siglip};
use wasm_bindgen::prelude::*;
use web_sys::AbortSignal;

use assembly::FollowerAssembly;
use error::Error;
use listeners::Listeners;
use local::Files;
use options::Options;

/// A model in a worker.
#[wasm_bindgen]
pub struct Engine {
    part: Part,
    pass: Option<Pass>,
    /// The texts of the pass under way.
    texts: Vec<String>,
}

/// What a worker holds.
enum Part {
    /// The first worker: tokenizer, image processor, pooling heads, and all or a part of the towers.
    Leader(Box<Siglip>),
    /// A part of the towers that is still arriving.
    Arriving(Option<Box<FollowerAssembly>>),
    /// A part of the towers.
    Follower(Box<Model>),
}

/// What [`Engine::info`] tells.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Info {
    backend: &'static str,
    image_size: usize,
    context_length: usize,
    embedding_size: usize,
    logit_scale: f32,
    logit_bias: f32,
    bytes: usize,
}

#[wasm_bindgen]
impl Engine {
    /// Loads a checkpoint from `source`: a folder's URL with its slash, that of a `.gguf`, or a Map of File by name.
    #[allow(clippy::too_many_arguments)]
    pub async fn load(
        source: JsValue,
        options: JsValue,
        signal: Option<AbortSignal>,
        progress: Function,
        notice: Function,
        config: Function,
        batches: Option<Function>,
    ) -> Result<Engine, JsValue> {
        let options = parse_options(options)?;
        let listeners = Listeners { progress, notice, config, batches };
        let siglip = match source.as_string() {
            Some(address) => load::load(address, &options, signal, &listeners).await?,
            None => Files(source.unchecked_into::<Map>()).load(&options, &listeners).await?,
        };
        Ok(Engine::new(Part::Leader(Box::new(siglip))))
    }

    /// Begins one worker's part of a model, to be given its weights with [`Engine::push`].
    pub fn follow(config: &str, options: JsValue, index: usize) -> Result<Engine, JsValue> {
        let loading = FollowerAssembly::new(config, &parse_options(options)?, index)?;
        Ok(Engine::new(Part::Arriving(Some(Box::new(loading)))))
    }

    /// Takes weights in packed form.
    pub fn push(&mut self, batches: &[u8]) -> Result<(), JsValue> {
        match &mut self.part {
            Part::Arriving(Some(loading)) => Ok(loading.take(batches)?),
            _ => Err(misused("no weights are expected")),
        }
    }

    /// Says that the weights have arrived.
    pub fn arrived(&mut self) -> Result<(), JsValue> {
        let Part::Arriving(loading) = &mut self.part else { return Err(misused("no weights are expected")) };
        let loading = loading.take().ok_or_else(|| misused("the weights have arrived before"))?;
        self.part = Part::Follower(Box::new(loading.finish()?));
        Ok(())
    }

    /// Sizes, scale and bias of the model, and what it runs on.
    pub fn info(&self) -> Result<JsValue, JsValue> {
        let model = self.model()?;
        let config = model.config();
        let info = Info {
            backend: siglip::model::backend(),
            image_size: config.vision_config.image_size,
            context_length: config.text_config.max_position_embeddings,
            embedding_size: config.embedding_size(),
            logit_scale: model.logit_scale(),
            logit_bias: model.logit_bias(),
            bytes: model.bytes(),
        };
        Ok(serde_wasm_bindgen::to_value(&info)?)
    }

    /// `{values, height}` of an encoded picture: pixel values [3, height, width].
    pub fn pixel_values(&self, bytes: &[u8]) -> Result<JsValue, JsValue> {
        self.preprocess(&image::decode(bytes).map_err(siglip::Error::from).map_err(Error::from)?)
    }

    /// The same of RGBA bytes.
    pub fn pixel_values_of_rgba(&self, width: u32, height: u32, rgba: &[u8]) -> Result<JsValue, JsValue> {
        let image =
            RgbImage::from_rgba(width, height, rgba).map_err(siglip::Error::from).map_err(Error::from)?;
        self.preprocess(&image)
    }

    /// The texts that ask for `labels`.
    pub fn prompts(&self, labels: Vec<String>, template: &str) -> Result<Vec<String>, JsValue> {
        let template = Template::new(template).map_err(Error::from)?;
        Ok(siglip::prompts(&labels, &template).map_err(Error::from)?)
    }

    /// The ids of those of `texts` that have no embedding yet, as many as a pass takes; empty where none is left.
    pub fn next_input_ids(&mut self, texts: Vec<String>) -> Result<Vec<u32>, JsValue> {
        let siglip = self.siglip()?;
        let missing = siglip.missing_texts(&texts);
        let input_ids = siglip.input_ids(&missing).map_err(Error::from)?;
        self.texts = missing;
        Ok(input_ids)
    }

    /// Begins the pass of a picture of so many lines.
    pub fn begin_image(&mut self, pixel_values: Vec<f32>, height: usize) -> Result<(), JsValue> {
        self.pass = Some(self.model()?.begin_image_of_height(pixel_values, height).map_err(Error::from)?);
        Ok(())
    }

    /// Begins the pass of the texts that these ids stand for.
    pub fn begin_texts(&mut self, input_ids: Vec<u32>) -> Result<(), JsValue> {
        self.pass = Some(self.model()?.begin_texts(input_ids).map_err(Error::from)?);
        Ok(())
    }

    /// Takes the pass a step on: 0, there are more; 1, the parts are to be exchanged first; 2, done.
    pub fn step(&mut self) -> Result<u8, JsValue> {
        let mut pass = self.pass.take().ok_or_else(|| misused("no pass is under way"))?;
        let step = self.model_mut()?.step(&mut pass);
        self.pass = Some(pass);
        Ok(match step {
            Step::Next => 0,
            Step::Exchange => 1,
            Step::Done => 2,
        })
    }

    /// Length of this worker's part of what is exchanged.
    pub fn part_length(&self) -> Result<usize, JsValue> {
        Ok(self.model()?.part().len())
    }

    /// Copies this worker's part, bits of numbers, into an array of that length.
    pub fn copy_part(&self, into: &Uint32Array) -> Result<(), JsValue> {
        let part = self.model()?.part();
        if into.length() as usize != part.len() {
            return Err(misused("the array is not as long as the part"));
        }
        into.copy_from(part);
        Ok(())
    }

    /// Adds this worker's own part, in its place among the others'.
    pub fn add_own_part(&mut self) -> Result<(), JsValue> {
        self.model_mut()?.add_own_part();
        Ok(())
    }

    /// Adds a worker's part; all are added, in the order of the workers.
    pub fn add_part(&mut self, part: &[u32]) -> Result<(), JsValue> {
        self.model_mut()?.add_part(part);
        Ok(())
    }

    /// Ends the pass of a picture with its embedding; empty with a follower.
    pub fn finish_image(&mut self) -> Result<Vec<f32>, JsValue> {
        Ok(self.pass.take().ok_or_else(|| misused("no pass is under way"))?.into_embeddings())
    }

    /// Ends the pass of texts and keeps their embeddings.
    pub fn finish_texts(&mut self) -> Result<(), JsValue> {
        let pass = self.pass.take().ok_or_else(|| misused("no pass is under way"))?;
        let texts = std::mem::take(&mut self.texts);
        self.siglip_mut()?.keep_texts(&texts, &pass.into_embeddings());
        Ok(())
    }

    /// The kept embedding of a text.
    pub fn text_embedding(&self, text: &str) -> Result<Vec<f32>, JsValue> {
        let kept = self.siglip()?.kept_text(text);
        Ok(kept.ok_or_else(|| misused("the text has no embedding yet"))?.to_vec())
    }

    /// `[{label, score, logit}]`, best first, for an image's embedding; the labels' embeddings have to be there.
    pub fn scores(
        &mut self,
        image_embeds: &[f32],
        labels: Vec<String>,
        template: &str,
        top_k: Option<usize>,
        threshold: Option<f32>,
    ) -> Result<JsValue, JsValue> {
        let siglip = self.siglip_mut()?;
        let expected = siglip.model().config().embedding_size();
        if image_embeds.len() != expected {
            let found = image_embeds.len();
            return Err(Error::BadInput(format!(
                "an image embedding of {found}; this model's have {expected}"
            ))
            .into());
        }
        let template = Template::new(template).map_err(Error::from)?;
        let keep = Keep { top_k, threshold };
        let scores = siglip.scores(image_embeds, &labels, &template, keep).map_err(Error::from)?;
        Ok(serde_wasm_bindgen::to_value(&scores)?)
    }
}

impl Engine {
    fn new(part: Part) -> Engine {
        Engine { part, pass: None, texts: Vec::new() }
    }

    fn preprocess(&self, image: &RgbImage) -> Result<JsValue, JsValue> {
        let siglip = self.siglip()?;
        let values = Float32Array::from(&siglip.pixel_values(image).map_err(Error::from)?[..]);
        let pixels = js_sys::Object::new();
        js_sys::Reflect::set(&pixels, &"values".into(), &values)?;
        js_sys::Reflect::set(&pixels, &"height".into(), &siglip.height(image).into())?;
        Ok(pixels.into())
    }

    fn siglip(&self) -> Result<&Siglip, JsValue> {
        match &self.part {
            Part::Leader(siglip) => Ok(siglip),
            _ => Err(misused("this worker holds but a part of the towers")),
        }
    }

    fn siglip_mut(&mut self) -> Result<&mut Siglip, JsValue> {
        match &mut self.part {
            Part::Leader(siglip) => Ok(siglip),
            _ => Err(misused("this worker holds but a part of the towers")),
        }
    }

    fn model(&self) -> Result<&Model, JsValue> {
        match &self.part {
            Part::Leader(siglip) => Ok(siglip.model()),
            Part::Follower(model) => Ok(model),
            Part::Arriving(_) => Err(misused("the weights have not arrived")),
        }
    }

    fn model_mut(&mut self) -> Result<&mut Model, JsValue> {
        match &mut self.part {
            Part::Leader(siglip) => Ok(siglip.model_mut()),
            Part::Follower(model) => Ok(model),
            Part::Arriving(_) => Err(misused("the weights have not arrived")),
        }
    }
}

/// Takes part, for ever, in the work of the engine that has this memory: for workers that have nothing else to do.
#[cfg(target_feature = "atomics")]
#[wasm_bindgen]
pub fn join_team() {
    siglip_kernels::join_team();
}

fn parse_options(options: JsValue) -> Result<Options, JsValue> {
    Ok(serde_wasm_bindgen::from_value(options).map_err(|error| Error::BadInput(error.to_string()))?)
}

/// A call out of order: a fault of `worker.js`, told instead of trapped.
fn misused(reason: &str) -> JsValue {
    Error::BadInput(reason.into()).into()
}
