//! A weight file on a server, and what of it has been read.

use siglip::weights::WeightIndex;

use super::super::context::Context;
use super::super::from_cache::CachedWeightFile;
use super::super::weight_file::WeightFile;
use crate::error::Error;
use crate::fetch::{Download, Identity};
use crate::store::Source;

/// A weight file that is downloaded.
pub struct RemoteWeightFile<'a> {
    /// Its name in the model's folder.
    pub name: String,
    pub download: Download<'a>,
    pub file: WeightFile,
    /// The file's length, once its header has arrived and if it is known.
    pub total: Option<u64>,
    /// Whether it holds the data of the ONNX before it, which names it.
    pub is_data: bool,
}

impl<'a> RemoteWeightFile<'a> {
    /// A file of this name, not begun.
    pub fn new(context: &'a Context<'a>, name: &str, index: Option<&WeightIndex>) -> RemoteWeightFile<'a> {
        let file = WeightFile::new(context.url(name), index);
        RemoteWeightFile::at_start(context, name.into(), file)
    }

    /// The same, with what is known of its contents.
    pub fn at_start(context: &'a Context<'a>, name: String, file: WeightFile) -> RemoteWeightFile<'a> {
        let download = Download::new(&context.client, context.url(&name));
        RemoteWeightFile { name, download, file, total: None, is_data: false }
    }

    /// A file that an earlier visit has begun or finished.
    pub fn resume(context: &'a Context<'a>, cached: CachedWeightFile) -> Result<RemoteWeightFile<'a>, Error> {
        let CachedWeightFile { source, mut file, progress } = cached;
        let Source { file: name, total, etag, last_modified } = source;
        file.resume(&progress)?;
        let identity = Identity { etag, last_modified, sha256: None };
        let download =
            Download::resume(&context.client, context.url(&name), identity, progress.position, total);
        Ok(RemoteWeightFile { name, download, file, total: Some(total), is_data: false })
    }
}
