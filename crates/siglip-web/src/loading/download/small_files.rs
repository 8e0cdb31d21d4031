//! The small files beside the weights: configuration, preprocessing and tokenizer.

use siglip::{CheckpointFiles, NO_PREPROCESSOR, PublishedTokenizer};

use super::{CheckpointDownload, HUB};
use crate::error::Error;
use crate::fetch::Download;
use crate::integrity;

impl CheckpointDownload<'_> {
    pub(super) async fn fetch_small_files(&mut self) -> Result<(), Error> {
        if self.context.gguf().is_some() {
            return Ok(());
        }
        let [config, preprocessor, tokenizer] = CheckpointFiles::NAMES;
        let files = match self.fetch_small_file(config).await {
            Ok(config) => CheckpointFiles {
                preprocessor: match CheckpointFiles::needs_preprocessor(&config) {
                    true => self.fetch_preprocessor(preprocessor).await?,
                    false => NO_PREPROCESSOR.into(),
                },
                tokenizer: match CheckpointFiles::needs_tokenizer(&config) {
                    true => self.fetch_tokenizer(tokenizer, &config).await?,
                    false => String::new(),
                },
                config,
                labels: None,
            },
            Err(missing @ Error::NotFound { .. }) => {
                let open_clip = match self.fetch_small_file(CheckpointFiles::OPEN_CLIP).await {
                    Err(Error::NotFound { .. }) => return Err(missing),
                    fetched => fetched?,
                };
                CheckpointFiles::from_open_clip(&open_clip, self.fetch_tokenizer(tokenizer, "").await?)?
            }
            Err(error) => return Err(error),
        };
        self.builder.start(&files)?;
        self.files = Some(files);
        Ok(())
    }

    async fn fetch_preprocessor(&self, name: &str) -> Result<String, Error> {
        match self.fetch_small_file(name).await {
            Err(missing @ Error::NotFound { .. }) => {
                match self.fetch_small_file(CheckpointFiles::PROCESSOR).await {
                    Err(Error::NotFound { .. }) => Err(missing),
                    fetched => fetched,
                }
            }
            fetched => fetched,
        }
    }

    /// The tokenizer; empty if no text is to be read. A folder without one gets the published one of its vocabulary.
    async fn fetch_tokenizer(&self, name: &str, config: &str) -> Result<String, Error> {
        let options = self.context.options;
        if !options.towers.has_text() {
            return Ok(String::new());
        }
        match self.fetch_small_file(name).await {
            Err(missing @ Error::NotFound { .. }) => match PublishedTokenizer::of(config) {
                Some(published) if !options.sha256.contains_key(name) => {
                    let url = format!("{HUB}{}", published.path);
                    self.fetch_text(&url, Some(published.sha256)).await
                }
                _ => Err(missing),
            },
            fetched => fetched,
        }
    }

    async fn fetch_small_file(&self, name: &str) -> Result<String, Error> {
        let demanded = self.context.options.sha256.get(name).map(String::as_str);
        self.fetch_text(&self.context.url(name), demanded).await
    }

    async fn fetch_text(&self, url: &str, sha256: Option<&str>) -> Result<String, Error> {
        let bytes = Download::new(&self.context.client, url.into()).read_to_end().await?;
        if let Some(demanded) = sha256 {
            integrity::check(url, Some(integrity::sha256(&bytes)), Some(demanded.into()))?;
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}
