//! A weight file on its way into packed batches.

use siglip::model::Packer;
use siglip::weights::SafetensorsReader;

use crate::error::Error;
use crate::integrity::Digest;
use crate::store::Progress;

/// Bytes that are cheaper to read than to ask the server to leave out.
const WORTH_SKIPPING: u64 = 1 << 20;

/// Reads one weight file, and takes its sha256.
pub struct Intake {
    url: String,
    reader: SafetensorsReader,
    /// The file up to the end of its header; taken when that is there.
    header: Option<Vec<u8>>,
    /// Bytes so far.
    position: u64,
    /// Of all bytes so far, and of those up to where the reader is settled. None once bytes were left out.
    digests: Option<(Digest, Digest)>,
}

impl Intake {
    /// A file at its start.
    pub fn new(url: String) -> Intake {
        Intake {
            url,
            reader: SafetensorsReader::new(),
            header: Some(Vec::new()),
            position: 0,
            digests: Some(Default::default()),
        }
    }

    /// A file that an earlier visit has read up to some byte.
    pub fn resume(
        url: String,
        header: &[u8],
        progress: &Progress,
        packer: &mut Packer,
    ) -> Result<Intake, siglip::Error> {
        let mut reader = SafetensorsReader::new();
        reader.push(header, packer)?;
        reader.seek(progress.position)?;
        let digest = progress.digest.as_deref().and_then(Digest::resume);
        let digests = digest.map(|digest| (digest.clone(), digest));
        Ok(Intake { url, reader, header: None, position: progress.position, digests })
    }

    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8], packer: &mut Packer) -> Result<(), Error> {
        self.reader.push(bytes, packer).map_err(|error| self.wrong(error))?;
        if let Some(header) = &mut self.header {
            header.extend_from_slice(bytes);
        }
        if let Some((all, settled)) = &mut self.digests {
            let before = self.reader.settled().saturating_sub(self.position) as usize;
            let (before, after) = bytes.split_at(before.min(bytes.len()));
            all.update(before);
            if !before.is_empty() {
                *settled = all.clone();
            }
            all.update(after);
        }
        self.position += bytes.len() as u64;
        Ok(())
    }

    /// The file's header, once, when it has arrived.
    pub fn take_header(&mut self) -> Option<Vec<u8>> {
        let length = self.reader.header_len()?;
        let mut header = self.header.take()?;
        header.truncate(length as usize);
        Some(header)
    }

    /// The file's length by its header.
    pub fn total(&self) -> Option<u64> {
        self.reader.total_bytes()
    }

    /// Where the file goes on after a stretch that the model has no use for, if that is worth leaving out.
    pub fn next_wanted(&self, packer: &Packer) -> Option<u64> {
        let next = self.reader.next_wanted(|tensor| packer.wants(tensor))?;
        (next.saturating_sub(self.position) >= WORTH_SKIPPING).then_some(next)
    }

    /// Leaves bytes out.
    pub fn seek(&mut self, position: u64) -> Result<(), Error> {
        self.reader.seek(position).map_err(|error| self.wrong(error))?;
        (self.position, self.digests) = (position, None);
        Ok(())
    }

    /// How far the batches reach that the packer has made.
    pub fn progress(&self) -> Progress {
        let digest = self.digests.as_ref().map(|(_, settled)| settled.state());
        Progress { position: self.reader.settled(), digest }
    }

    /// The file's sha256, once it has been read to its end; none where parts of it were left out.
    pub fn finish(self) -> Result<Option<String>, Error> {
        let Intake { url, reader, digests, .. } = self;
        reader.finish().map_err(|source| Error::File { url, source })?;
        Ok(digests.map(|(all, _)| all.finish()))
    }

    fn wrong(&self, source: siglip::Error) -> Error {
        Error::File { url: self.url.clone(), source }
    }
}
