//! One weight file, from its bytes to packed weights.

use siglip::weights::{TensorShape, WeightIndex, WeightReader};

use super::context::FLUSH_BYTES;
use super::file_digest::{Digests, LaterProgress};
use super::model_builder::ModelBuilder;
use crate::error::Error;
use crate::store::Progress;

/// A gap of fewer bytes is read, not skipped: a new request would cost more.
const MIN_SKIP: u64 = 1 << 20;

/// From so many bytes on, another worker computes the digest. It takes as long to start as the digest of some megabytes.
const LARGE: u64 = 16 << 20;

/// Bytes that are pushed at once while it is not known where the header ends: few, so that few come after it.
const HEADER_PIECE: usize = 1 << 10;

/// The file with an ONNX's data.
pub struct DataFile {
    /// Its name in the ONNX's folder.
    pub name: String,
    /// The file at its start.
    pub file: WeightFile,
}

/// Reads one weight file and computes its sha256.
pub struct WeightFile {
    /// Names the file in errors.
    url: String,
    reader: WeightReader,
    /// The file up to the end of its header, until [`WeightFile::take_header`].
    header: Option<Vec<u8>>,
    /// Bytes read so far.
    position: u64,
    digests: Digests,
}

impl WeightFile {
    /// A file at its start, which may be one of those of an index.
    pub fn new(url: String, index: Option<&WeightIndex>) -> WeightFile {
        let reader = index.map_or_else(WeightReader::new, WeightReader::one_of);
        let digests = Digests::Here(Default::default());
        WeightFile { url, reader, header: Some(Vec::new()), position: 0, digests }
    }

    /// The file with an ONNX's data, at its start.
    fn of_data(url: String, reader: WeightReader) -> WeightFile {
        WeightFile { reader, ..WeightFile::new(url, None) }
    }

    /// Whether none of its bytes has arrived.
    pub fn is_at_start(&self) -> bool {
        self.position == 0
    }

    /// Computes no sha256, because nothing says what it should be.
    pub fn skip_digest(&mut self) {
        self.digests = Digests::Skipped;
    }

    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8], builder: &mut ModelBuilder<'_>) -> Result<(), Error> {
        self.reader.push(bytes, builder).map_err(|error| self.error(error))?;
        if let Some(header) = &mut self.header {
            header.extend_from_slice(bytes);
        }
        let settled = self.reader.settled().unwrap_or(0).saturating_sub(self.position);
        self.digests.update(bytes, settled as usize)?;
        self.position += bytes.len() as u64;
        if self.position >= LARGE { self.digests.hand_over(|| builder.digest_worker()) } else { Ok(()) }
    }

    /// The file's header, once, when it has arrived.
    pub fn take_header(&mut self) -> Option<Vec<u8>> {
        let length = self.reader.header_len()?;
        let mut header = self.header.take()?;
        header.truncate(length as usize);
        Some(header)
    }

    /// The file's length by its header; unknown of an ONNX.
    pub fn total(&self) -> Option<u64> {
        self.reader.total_bytes()
    }

    /// The least length that the file can have, by its header.
    pub fn least(&self) -> Option<u64> {
        self.reader.least_bytes()
    }

    /// The next byte that the model needs, if the gap before it is worth skipping.
    pub fn next_wanted(&self, builder: &ModelBuilder<'_>) -> Option<u64> {
        let next = self.reader.next_wanted(|tensor| builder.wants(tensor))?;
        (next.saturating_sub(self.position) >= MIN_SKIP).then_some(next)
    }

    /// How many bytes to push at once, at most, and whether what comes after them belongs to another tower. So what is packed
    /// between two such places is of one tower. In an ONNX they are not known.
    pub fn next_piece(&self) -> (usize, bool) {
        if self.reader.header_len().is_none() {
            return (HEADER_PIECE, false);
        }
        match self.left_of_tower() {
            Some(left) if left <= FLUSH_BYTES as u64 => (left as usize, true),
            _ => (FLUSH_BYTES, false),
        }
    }

    /// The bytes up to the next tensor of another tower, or of none.
    fn left_of_tower(&self) -> Option<u64> {
        let tower_of = |tensor: &TensorShape| tensor.name.split_once('.').map(|(tower, _)| tower.to_string());
        let left = |tower: Option<&str>| {
            let next = self.reader.next_wanted(|tensor| tower_of(tensor).as_deref() != tower)?;
            Some(next.saturating_sub(self.position)).filter(|&left| left > 0)
        };
        [Some("text_model"), Some("vision_model"), None].into_iter().find_map(left)
    }

    /// Skips to a byte.
    pub fn seek(&mut self, position: u64) -> Result<(), Error> {
        self.reader.seek(position).map_err(|error| self.error(error))?;
        (self.position, self.digests) = (position, Digests::Skipped);
        Ok(())
    }

    /// Continues where an earlier visit stopped. Only the header has been pushed before.
    pub fn resume(&mut self, Progress { position, digest }: &Progress) -> Result<(), Error> {
        self.seek(*position)?;
        self.digests = Digests::resume(digest.as_deref());
        Ok(())
    }

    /// The position up to which weights were packed.
    pub fn progress(&self) -> LaterProgress {
        LaterProgress { position: self.reader.settled().unwrap_or(0), digest: self.digests.settled() }
    }

    /// Whether it is an ONNX whose data are in another file, once all of it has arrived.
    pub fn has_data_file(&self) -> bool {
        self.reader.has_data_file()
    }

    /// Checks that the file is complete. Returns its sha256, or `None` if that was skipped, and the file beside it that holds its
    /// data, if it is an ONNX with such a file.
    pub async fn finish(self) -> Result<(Option<String>, Option<DataFile>), Error> {
        let WeightFile { url, reader, digests, .. } = self;
        let data = reader.into_data_file().map_err(|source| Error::File { url: url.clone(), source })?;
        let beside = |name: &str| match url.rsplit_once('/') {
            Some((folder, _)) => format!("{folder}/{name}"),
            None => name.into(),
        };
        let data =
            data.map(|(name, reader)| DataFile { file: WeightFile::of_data(beside(&name), reader), name });
        Ok((digests.finish().await?, data))
    }

    fn error(&self, source: siglip::Error) -> Error {
        Error::File { url: self.url.clone(), source }
    }
}
