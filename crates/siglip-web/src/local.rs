//! A checkpoint from files that the visitor has chosen.

use siglip::weights::WeightIndex;
use siglip::{CheckpointFiles, Siglip};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::Blob;

use crate::assembly::{Assembly, SMALL_FILES};
use crate::body::Body;
use crate::error::Error;
use crate::fetch;
use crate::intake::Intake;
use crate::integrity;
use crate::listeners::Listeners;
use crate::load::{BATCHES, INDEX, WEIGHTS};
use crate::options::Options;

/// Files by name.
pub struct Files(pub js_sys::Map);

impl Files {
    /// Reads a checkpoint: a `.gguf`, or the files of a folder.
    pub async fn load(&self, options: &Options, listeners: &Listeners) -> Result<Siglip, Error> {
        let mut assembly = Assembly::new(options, listeners);
        let mut loaded = 0;
        let names = match self.gguf() {
            Some(name) => vec![name],
            None => {
                let [config, preprocessor, tokenizer] = SMALL_FILES;
                let files = CheckpointFiles {
                    config: self.text(config).await?,
                    preprocessor: self.text(preprocessor).await?,
                    tokenizer: if options.towers.has_text() {
                        self.text(tokenizer).await?
                    } else {
                        String::new()
                    },
                };
                assembly.begin(&files)?;
                self.weight_files(&mut assembly).await?
            }
        };
        let total = names.iter().filter_map(|name| self.get(name).ok()).map(|file| file.size() as u64).sum();
        for name in names {
            let mut intake = Intake::new(name.clone());
            let mut body = Body::of_blob(&self.get(&name)?);
            while let Some(chunk) = body.next().await.map_err(|reason| unreadable(&name, &reason))? {
                for piece in chunk.to_vec().chunks(BATCHES) {
                    intake.push(piece, &mut assembly)?;
                    if assembly.pending() >= BATCHES {
                        let batches = assembly.take_pending();
                        assembly.take(&batches).await?;
                    }
                }
                loaded += u64::from(chunk.length());
                listeners.progress(&name, loaded, total, false);
            }
            let batches = assembly.take_pending();
            assembly.take(&batches).await?;
            integrity::check(&name, intake.finish()?, options.sha256.get(&name).cloned())?;
        }
        assembly.finish()
    }

    fn gguf(&self) -> Option<String> {
        let names = self.0.keys().into_iter().flatten().filter_map(|name| name.as_string());
        names.into_iter().find(|name| name.ends_with(".gguf"))
    }

    async fn weight_files(&self, assembly: &mut Assembly<'_>) -> Result<Vec<String>, Error> {
        if !self.0.has(&JsValue::from(INDEX)) {
            return Ok(vec![WEIGHTS.into()]);
        }
        let index = WeightIndex::parse(self.text(INDEX).await?.as_bytes())?;
        assembly.expect_files(&index)?;
        Ok(index.files().map(String::from).collect())
    }

    fn get(&self, name: &str) -> Result<Blob, Error> {
        let missing = |_| Error::BadInput(format!("{name} is missing among the chosen files"));
        self.0.get(&name.into()).dyn_into().map_err(missing)
    }

    async fn text(&self, name: &str) -> Result<String, Error> {
        let (mut body, mut bytes) = (Body::of_blob(&self.get(name)?), Vec::new());
        while let Some(chunk) = body.next().await.map_err(|reason| unreadable(name, &reason))? {
            fetch::append(&mut bytes, &chunk);
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

fn unreadable(name: &str, reason: &str) -> Error {
    Error::BadInput(format!("{name} cannot be read: {reason}"))
}
