//! A weight file of either format as a push parser.

use super::row_parser::{CUT_SHORT, Header, RowParser, StoredTensor};
use super::{Metadata, TensorShape, TensorSink, bad, gguf, safetensors};
use crate::Error;

/// Reads a weight file, safetensors or GGUF, from chunks of any size and passes its rows to a [`TensorSink`].
#[derive(Debug, Default)]
pub struct WeightReader {
    state: State,
    received: u64,
}

#[derive(Debug)]
enum State {
    /// Collects the first bytes, which tell the format.
    Start(Vec<u8>),
    Safetensors(safetensors::HeaderReader),
    Gguf(Box<gguf::HeaderReader>),
    Rows(RowParser),
}

impl Default for State {
    fn default() -> Self {
        State::Start(Vec::with_capacity(gguf::MAGIC.len()))
    }
}

impl WeightReader {
    /// A reader at the start of a file.
    pub fn new() -> Self {
        Self::default()
    }

    /// The file's length; known once its header has arrived.
    pub fn total_bytes(&self) -> Option<u64> {
        self.rows().map(RowParser::total)
    }

    /// The file's tensors in the order of their bytes; empty until its header has arrived.
    pub fn tensors(&self) -> &[StoredTensor] {
        self.rows().map_or(&[], RowParser::tensors)
    }

    /// The header's length; known once it has arrived.
    pub fn header_len(&self) -> Option<u64> {
        self.rows().map(RowParser::begin)
    }

    /// Offset up to which rows have been passed to the sink; known once the header has arrived. Another reader continues
    /// there if it is given the header, then [`WeightReader::seek`].
    pub fn settled(&self) -> Option<u64> {
        self.rows().map(RowParser::settled)
    }

    /// Offset of the next tensor for which `wants` is true, or of the file's end. `None` if the next byte belongs to such a
    /// tensor, or the header has not arrived.
    pub fn next_wanted(&self, wants: impl Fn(&TensorShape) -> bool) -> Option<u64> {
        self.rows()?.next_wanted(wants)
    }

    /// Continues at another offset, where a row begins or the file ends. Bytes of an incomplete batch are dropped.
    ///
    /// # Errors
    /// [`Error::BadWeights`] if no row begins at `position`, or the header has not arrived.
    pub fn seek(&mut self, position: u64) -> Result<(), Error> {
        match &mut self.state {
            State::Rows(rows) => rows.seek(position),
            _ => Err(bad("the header has not arrived")),
        }
    }

    fn rows(&self) -> Option<&RowParser> {
        match &self.state {
            State::Rows(rows) => Some(rows),
            _ => None,
        }
    }

    /// Takes the file's next bytes.
    ///
    /// # Errors
    /// [`Error::BadWeights`] for a header that is malformed or contradicts itself and for bytes after the end, and any
    /// error of `sink`. Do not use the reader after an error.
    pub fn push(&mut self, mut bytes: &[u8], sink: &mut dyn TensorSink) -> Result<(), Error> {
        while !bytes.is_empty() {
            let (taken, next) = match &mut self.state {
                State::Start(magic) => start(magic, bytes)?,
                State::Safetensors(header) => {
                    let (taken, found) = header.push(bytes)?;
                    (taken, found.map(|header| self.begin(header, taken, None, sink)).transpose()?)
                }
                State::Gguf(header) => {
                    let (taken, found) = header.push(bytes)?;
                    let begin = |(header, metadata)| self.begin(header, taken, Some(metadata), sink);
                    (taken, found.map(begin).transpose()?)
                }
                State::Rows(rows) => {
                    rows.push(bytes, sink)?;
                    (bytes.len(), None)
                }
            };
            self.received += taken as u64;
            bytes = &bytes[taken..];
            if let Some(next) = next {
                self.state = next;
            }
        }
        Ok(())
    }

    /// Checks the length of a file of which only the start is read.
    ///
    /// # Errors
    /// [`Error::BadWeights`] if the file is shorter or longer than its header says, or the header has not arrived.
    pub fn check_len(&self, len: u64) -> Result<(), Error> {
        match &self.state {
            State::Rows(rows) => rows.check_len(len),
            _ => Err(self.inside_header()),
        }
    }

    /// Says that the file has ended.
    ///
    /// # Errors
    /// [`Error::BadWeights`] if bytes are missing.
    pub fn finish(self) -> Result<(), Error> {
        match &self.state {
            State::Rows(rows) => rows.finish(),
            _ => Err(self.inside_header()),
        }
    }

    fn inside_header(&self) -> Error {
        let file = if matches!(self.state, State::Gguf(_)) { "GGUF" } else { "file" };
        bad(format!("the {file} ends after {} bytes, inside its header: {CUT_SHORT}", self.received))
    }

    /// Goes from the header, which took `taken` bytes of the current chunk, to the rows.
    fn begin(
        &self,
        header: Header,
        taken: usize,
        metadata: Option<Metadata>,
        sink: &mut dyn TensorSink,
    ) -> Result<State, Error> {
        if let Some(metadata) = metadata {
            sink.metadata(metadata)?;
        }
        let stored = header.tensors.iter().map(|tensor| tensor.shape().clone());
        let shapes: Vec<_> = stored.chain(header.empty.iter().cloned()).collect();
        sink.begin(&shapes)?;
        Ok(State::Rows(RowParser::new(header, self.received + taken as u64)))
    }
}

/// Tells the format by a file's first four bytes. GGUF's magic number would be the length of a safetensors header above
/// [`MAX_HEADER`](super::MAX_HEADER).
fn start(magic: &mut Vec<u8>, bytes: &[u8]) -> Result<(usize, Option<State>), Error> {
    let taken = (gguf::MAGIC.len() - magic.len()).min(bytes.len());
    magic.extend_from_slice(&bytes[..taken]);
    if magic.len() < gguf::MAGIC.len() {
        return Ok((taken, None));
    }
    let next = if *magic == gguf::MAGIC {
        let mut header = Box::<gguf::HeaderReader>::default();
        header.push(magic)?;
        State::Gguf(header)
    } else {
        let mut header = safetensors::HeaderReader::default();
        header.push(magic)?;
        State::Safetensors(header)
    };
    Ok((taken, Some(next)))
}
