//! A checkpoint in files that the user has chosen.

use siglip::weights::WeightIndex;
use siglip::{CheckpointFiles, Siglip};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::Blob;

use super::callbacks::Callbacks;
use super::context::{FLUSH_BYTES, INDEX, WEIGHTS};
use super::model_builder::ModelBuilder;
use super::weight_file::WeightFile;
use crate::body::{self, Body};
use crate::error::Error;
use crate::integrity;
use crate::options::Options;

/// Files by name.
pub struct LocalFiles(pub js_sys::Map);

impl LocalFiles {
    /// Loads a checkpoint: a `.gguf`, or the files of a folder.
    pub async fn load(&self, options: &Options, callbacks: &Callbacks) -> Result<Siglip, Error> {
        let mut builder = ModelBuilder::new(options, callbacks);
        let mut loaded = 0;
        let names = match self.gguf() {
            Some(name) => vec![name],
            None => {
                let [config, preprocessor, tokenizer] = CheckpointFiles::NAMES;
                let files = CheckpointFiles {
                    config: self.text(config).await?,
                    preprocessor: self.text(preprocessor).await?,
                    tokenizer: if options.towers.has_text() {
                        self.text(tokenizer).await?
                    } else {
                        String::new()
                    },
                };
                builder.start(&files)?;
                self.weight_files(&mut builder).await?
            }
        };
        let total = names.iter().filter_map(|name| self.get(name).ok()).map(|file| file.size() as u64).sum();
        for name in names {
            let mut file = WeightFile::new(name.clone());
            let mut body = Body::of_blob(&self.get(&name)?);
            while let Some(chunk) = body.next().await.map_err(|reason| unreadable(&name, &reason))? {
                for piece in chunk.to_vec().chunks(FLUSH_BYTES) {
                    file.push(piece, &mut builder)?;
                    if builder.pending() >= FLUSH_BYTES {
                        let batches = builder.take_pending();
                        builder.add(&batches).await?;
                    }
                }
                loaded += u64::from(chunk.length());
                callbacks.progress(&name, loaded, total, false);
            }
            let batches = builder.take_pending();
            builder.add(&batches).await?;
            integrity::check(&name, file.finish()?, options.sha256.get(&name).cloned())?;
        }
        builder.finish()
    }

    fn gguf(&self) -> Option<String> {
        let names = self.0.keys().into_iter().flatten().filter_map(|name| name.as_string());
        names.into_iter().find(|name| name.ends_with(".gguf"))
    }

    /// The names of the weight files: one, or those in the index.
    async fn weight_files(&self, builder: &mut ModelBuilder<'_>) -> Result<Vec<String>, Error> {
        if !self.0.has(&JsValue::from(INDEX)) {
            return Ok(vec![WEIGHTS.into()]);
        }
        let index = WeightIndex::parse(self.text(INDEX).await?.as_bytes())?;
        builder.expect_files(&index)?;
        Ok(index.files().map(String::from).collect())
    }

    fn get(&self, name: &str) -> Result<Blob, Error> {
        let missing = |_| {
            Error::BadInput(format!(
                "{name} is missing among the chosen files; choose all files of the model's folder"
            ))
        };
        self.0.get(&name.into()).dyn_into().map_err(missing)
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
