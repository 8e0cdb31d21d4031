//! A checkpoint in files that the user has chosen.

use std::collections::VecDeque;

use siglip::weights::{
    Logits, OPEN_CLIP_WEIGHTS, WeightIndex, find_pickled_weights, onnx_candidates, pickled_weights,
};
use siglip::{CheckpointFiles, NO_PREPROCESSOR, PublishedTokenizer, Towers};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::Blob;

use super::callbacks::Callbacks;
use super::context::{FLUSH_BYTES, INDEX, WEIGHTS};
use super::logits;
use super::model_builder::ModelBuilder;
use super::weight_file::{DataFile, WeightFile};
use super::{LaterText, Loaded};
use crate::body::{self, Body};
use crate::error::Error;
use crate::integrity;
use crate::options::Options;

/// Files by name.
pub struct LocalFiles(pub js_sys::Map);

impl LocalFiles {
    /// Loads a checkpoint: a `.gguf`, or the files of a folder.
    pub async fn load(&self, options: &Options, callbacks: &Callbacks) -> Result<Loaded, Error> {
        let mut builder = ModelBuilder::new(options, callbacks);
        let (mut loaded, mut source, mut index) = (0, None, None);
        let names = match self.ending(".gguf") {
            Some(name) => vec![name],
            None => {
                let [config, preprocessor, tokenizer] = CheckpointFiles::NAMES;
                let files = if self.has(CheckpointFiles::OPEN_CLIP) && !self.has(config) {
                    let open_clip = self.text(CheckpointFiles::OPEN_CLIP).await?;
                    CheckpointFiles::from_open_clip(&open_clip, self.tokenizer(tokenizer, options).await?)?
                } else {
                    let config = self.text(config).await?;
                    CheckpointFiles {
                        preprocessor: match CheckpointFiles::needs_preprocessor(&config) {
                            true if self.has(CheckpointFiles::PROCESSOR) && !self.has(preprocessor) => {
                                self.text(CheckpointFiles::PROCESSOR).await?
                            }
                            true => self.text(preprocessor).await?,
                            false => NO_PREPROCESSOR.into(),
                        },
                        tokenizer: match CheckpointFiles::needs_tokenizer(&config) {
                            true => match PublishedTokenizer::of(&config) {
                                Some(published) if options.towers.has_text() && !self.has(tokenizer) => {
                                    return Err(published.missing().into());
                                }
                                _ => self.tokenizer(tokenizer, options).await?,
                            },
                            false => String::new(),
                        },
                        config,
                        labels: None,
                    }
                };
                builder.start(&files)?;
                source = files.source();
                let names;
                (names, index) = self.weight_files(options, &mut builder).await?;
                names
            }
        };
        let size = |name: &String| self.get(name).map_or(0, |file| file.size() as u64);
        let mut total = names.iter().map(size).sum();
        let file = |name: String| (WeightFile::new(name.clone(), index.as_ref()), name);
        let mut files: VecDeque<_> = names.into_iter().map(file).collect();
        while let Some((mut file, name)) = files.pop_front() {
            if !options.sha256.contains_key(&name) {
                file.skip_digest();
            }
            let mut body = Body::of_blob(&self.get(&name)?);
            let mut last = file.progress();
            while let Some(chunk) = body.next().await.map_err(|reason| unreadable(&name, &reason))? {
                for piece in chunk.to_vec().chunks(FLUSH_BYTES) {
                    file.push(piece, &mut builder)?;
                    if builder.pending() >= FLUSH_BYTES {
                        let batches = builder.take_pending();
                        builder.add(&batches).await?;
                    }
                    // Another worker may compute the digest: it is at most one piece behind.
                    std::mem::replace(&mut last, file.progress()).get().await?;
                }
                loaded += u64::from(chunk.length());
                callbacks.progress(&name, loaded, total, false);
            }
            let batches = builder.take_pending();
            builder.add(&batches).await?;
            let (sha256, data) = file.finish().await?;
            integrity::check(&name, sha256, options.sha256.get(&name).cloned())?;
            if let Some(DataFile { name, file }) = data {
                total += size(&name);
                files.push_front((file, name));
            }
        }
        if builder.lacks_logits() {
            let known = source.and_then(|source| Logits::known(&source));
            if known.is_none() && options.towers == Towers::Both {
                callbacks.notice(&logits::missing());
            }
            builder.add_logits(known)?;
            let batches = builder.take_pending();
            builder.add(&batches).await?;
        }
        Ok(Loaded { siglip: builder.finish()?, text: LaterText::Loaded, sources: Vec::new(), labels: None })
    }

    fn names(&self) -> Vec<String> {
        self.0.keys().into_iter().flatten().filter_map(|name| name.as_string()).collect()
    }

    fn ending(&self, extension: &str) -> Option<String> {
        self.names().into_iter().find(|name| name.ends_with(extension))
    }

    fn has(&self, name: &str) -> bool {
        self.0.has(&JsValue::from(name))
    }

    /// The ONNX files to load: those of the dtypes that were asked for, or the best for their size.
    fn onnx(&self, options: &Options) -> Option<Vec<String>> {
        let asked_for = options.onnx.dtypes().files(options.towers);
        let lists = asked_for.into_iter().chain(onnx_candidates(options.towers));
        // Chosen files have no folder.
        let mut lists =
            lists.map(|list| list.iter().map(|name| name.replacen("onnx/", "", 1)).collect::<Vec<_>>());
        let complete = lists.find(|list| list.iter().all(|name| self.has(name)));
        complete.or_else(|| self.ending(".onnx").map(|name| vec![name]))
    }

    /// The names of the weight files: one, those in the index, which is returned too, or ONNX files.
    async fn weight_files(
        &self,
        options: &Options,
        builder: &mut ModelBuilder<'_>,
    ) -> Result<(Vec<String>, Option<WeightIndex>), Error> {
        let has_safetensors = [WEIGHTS, INDEX, OPEN_CLIP_WEIGHTS].iter().any(|name| self.has(name));
        if let Some(names) = self.onnx(options).filter(|_| options.onnx.first || !has_safetensors) {
            return Ok((names, None));
        }
        if !self.has(INDEX) {
            let name = [WEIGHTS, OPEN_CLIP_WEIGHTS].into_iter().find(|name| self.has(name)).map(String::from);
            let names = self.names();
            return match (name, find_pickled_weights(names.iter().map(String::as_str))) {
                (None, Some(pickled)) => Err(Error::File { url: pickled.into(), source: pickled_weights() }),
                (name, _) => Ok((vec![name.unwrap_or_else(|| WEIGHTS.into())], None)),
            };
        }
        let index = WeightIndex::parse(self.text(INDEX).await?.as_bytes())?;
        builder.expect_files(&index)?;
        Ok((index.files().map(String::from).collect(), Some(index)))
    }

    fn get(&self, name: &str) -> Result<Blob, Error> {
        let missing = |_| {
            Error::BadInput(format!(
                "{name} is missing among the chosen files; choose all files of the model's folder"
            ))
        };
        self.0.get(&name.into()).dyn_into().map_err(missing)
    }

    /// The tokenizer; empty if no text is to be read.
    async fn tokenizer(&self, name: &str, options: &Options) -> Result<String, Error> {
        if options.towers.has_text() { self.text(name).await } else { Ok(String::new()) }
    }

    async fn text(&self, name: &str) -> Result<String, Error> {
        let (mut body, mut bytes) = (Body::of_blob(&self.get(name)?), Vec::new());
        while let Some(chunk) = body.next().await.map_err(|reason| unreadable(name, &reason))? {
            body::append(&mut bytes, &chunk);
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

fn unreadable(name: &str, reason: &str) -> Error {
    Error::BadInput(format!(
        "{name} cannot be read: {reason}; choose the files again, as they may have changed"
    ))
}
