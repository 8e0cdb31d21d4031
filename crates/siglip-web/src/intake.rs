//! A weight file on its way into packed batches.

use siglip::weights::WeightReader;

use crate::assembly::Assembly;
use crate::error::Error;
use crate::integrity::Digest;
use crate::store::Progress;

/// Bytes that are cheaper to read than to ask the server to leave out.
const WORTH_SKIPPING: u64 = 1 << 20;

/// Reads one weight file, and takes its sha256.
pub struct Intake {
    url: String,
    reader: WeightReader,
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
        let digests = Some(Default::default());
        Intake { url, reader: WeightReader::new(), header: Some(Vec::new()), position: 0, digests }
    }

    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8], assembly: &mut Assembly<'_>) -> Result<(), Error> {
        self.reader.push(bytes, assembly).map_err(|error| self.wrong(error))?;
        if let Some(header) = &mut self.header {
            header.extend_from_slice(bytes);
        }
        if let Some((all, settled)) = &mut self.digests {
            let reach = self.reader.settled().unwrap_or(0).saturating_sub(self.position);
            let (before, after) = bytes.split_at(bytes.len().min(reach as usize));
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
    pub fn next_wanted(&self, assembly: &Assembly<'_>) -> Option<u64> {
        let next = self.reader.next_wanted(|tensor| assembly.wants(tensor))?;
        (next.saturating_sub(self.position) >= WORTH_SKIPPING).then_some(next)
    }

    /// Leaves bytes out.
    pub fn seek(&mut self, position: u64) -> Result<(), Error> {
        self.reader.seek(position).map_err(|error| self.wrong(error))?;
        (self.position, self.digests) = (position, None);
        Ok(())
    }

    /// Goes on where an earlier visit stopped; only the header was pushed before.
    pub fn resume(&mut self, Progress { position, digest }: &Progress) -> Result<(), Error> {
        self.seek(*position)?;
        let digest = digest.as_deref().and_then(Digest::resume);
        self.digests = digest.map(|digest| (digest.clone(), digest));
        Ok(())
    }

    /// How far the batches reach that were made.
    pub fn progress(&self) -> Progress {
        let digest = self.digests.as_ref().map(|(_, settled)| settled.state());
        Progress { position: self.reader.settled().unwrap_or(0), digest }
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
