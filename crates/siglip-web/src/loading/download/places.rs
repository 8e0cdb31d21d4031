//! Where the weights are, if not in the file that is tried first.

use siglip::weights::{WeightIndex, pickled_weights};

use super::super::context::{INDEX, Place};
use super::super::weight_file::WeightFile;
use super::remote_file::RemoteWeightFile;
use super::{CheckpointDownload, Index};
use crate::error::Error;
use crate::fetch::Download;

impl CheckpointDownload<'_> {
    /// Goes on to the next place where the weights may be. If there is none, the file that was looked for first is the one
    /// to name.
    pub(super) async fn try_elsewhere(&mut self, missing: Error) -> Result<(), Error> {
        let first = self.missing.take().unwrap_or(missing);
        loop {
            match self.other_places.pop_front() {
                None => return Err(first),
                Some(Place::Files(names)) => {
                    self.weights =
                        names.iter().map(|name| RemoteWeightFile::new(self.context, name, None)).collect();
                    self.missing = Some(first);
                    return Ok(());
                }
                Some(Place::Indexed) => match self.fetch_index().await {
                    Ok(()) => {
                        self.missing = Some(first);
                        return Ok(());
                    }
                    Err(Error::NotFound { .. }) => {}
                    Err(error) => return Err(error),
                },
                Some(Place::Pickled(name)) => {
                    let found = Download::new(&self.context.client, self.context.url(name)).next().await;
                    match found {
                        Ok(_) => {
                            let url = self.context.url(name);
                            return Err(Error::File { url, source: pickled_weights() });
                        }
                        Err(Error::NotFound { .. }) => {}
                        Err(error) => return Err(error),
                    }
                }
            }
        }
    }

    /// Fetches the index of a checkpoint whose weights are in several files.
    pub(super) async fn fetch_index(&mut self) -> Result<(), Error> {
        let json = Download::new(&self.context.client, self.context.url(INDEX)).read_to_end().await?;
        let index = WeightIndex::parse(&json)?;
        self.builder.expect_files(&index)?;
        // Downloads of the same name stay: they know how often they have failed.
        let mut before = std::mem::take(&mut self.weights);
        for name in index.files() {
            let same = before.iter().position(|file| file.name == name);
            let mut file = match same {
                Some(at) => before.swap_remove(at),
                None => RemoteWeightFile::new(self.context, name, None),
            };
            file.file = WeightFile::new(self.context.url(name), Some(&index));
            self.weights.push(file);
        }
        self.index = Some(Index { json, index });
        Ok(())
    }
}
