//! Whether a weight file is the one that was expected.

use super::super::weight_file::{DataFile, WeightFile};
use super::remote_file::RemoteWeightFile;
use super::{CheckpointDownload, HUB};
use crate::body::Body;
use crate::error::Error;
use crate::integrity;

impl CheckpointDownload<'_> {
    /// Whether [`CheckpointDownload::check_file`] may find a sha256 to compare that of the current file with.
    pub(super) fn may_know_sha256(&self) -> bool {
        let RemoteWeightFile { name, download, .. } = &self.weights[self.current];
        let url = self.context.url(name);
        self.context.options.sha256.contains_key(name)
            || download.identity().sha256.is_some()
            || url.starts_with(HUB)
            || integrity::is_known(&url)
    }

    /// Checks the sha256 of the file that was read. If its data are in another file, that is the next one.
    pub(super) async fn check_file(&mut self) -> Result<(), Error> {
        let RemoteWeightFile { name, download, file, total, .. } = &mut self.weights[self.current];
        let (name, url, total) = (name.clone(), self.context.url(name), total.unwrap_or(0));
        let from_server = download.identity().sha256.clone();
        let (found, data) = std::mem::replace(file, WeightFile::new(url.clone(), None)).finish().await?;
        let expected = match self.context.options.sha256.get(&name) {
            Some(demanded) => Some(demanded.clone()),
            None => match integrity::known(&url, total).map(String::from).or(from_server) {
                None if found.is_some() => self.hub_sha256(&url).await,
                known => known,
            },
        };
        integrity::check(&url, found, expected)?;
        if let Some(DataFile { name: data, file }) = data {
            let name = match name.rsplit_once('/') {
                Some((folder, _)) => format!("{folder}/{data}"),
                None => data,
            };
            let file = RemoteWeightFile::at_start(self.context, name, file);
            self.weights.insert(self.current + 1, RemoteWeightFile { is_data: true, ..file });
        }
        Ok(())
    }

    /// The sha256 that the hub has for a file. The hub sends it on the redirect, which fetch hides, and in the file's
    /// Git LFS pointer.
    async fn hub_sha256(&self, url: &str) -> Option<String> {
        if !url.starts_with(HUB) {
            return None;
        }
        let client = &self.context.client;
        let response = client.send("GET", &url.replacen("/resolve/", "/raw/", 1), &[]).await.ok()?;
        let mut body = Body::of_response(&response.head, Some(response.controller))?;
        let start = body.next_within(client.timeouts.stall).await.ok()??;
        integrity::of_pointer(&String::from_utf8_lossy(&start.to_vec()))
    }
}
