//! A weight file of any format as a push parser.

use super::other_names::Naming;
use super::row_parser::{CUT_SHORT, Header, RowParser, StoredTensor};
use super::{MAX_HEADER, Metadata, TensorShape, TensorSink, WeightIndex, bad, gguf, onnx, safetensors};
use crate::Error;

/// Bytes that tell the format.
const START: usize = 8;

/// Reads a weight file, safetensors, GGUF or ONNX, from chunks of any size and passes its rows to a [`TensorSink`].
#[derive(Debug, Default)]
pub struct WeightReader {
    state: State,
    received: u64,
    /// Whose names the tensors have, if the file is one of several.
    naming: Option<Naming>,
}

#[derive(Debug)]
enum State {
    /// Collects the first bytes, which tell the format.
    Start(Vec<u8>),
    Safetensors(safetensors::HeaderReader),
    Gguf(Box<gguf::HeaderReader>),
    Rows(RowParser),
    Onnx(Box<onnx::Reader>),
    /// The file with an ONNX's data.
    OnnxData(Box<onnx::ExternalReader>),
}

impl Default for State {
    fn default() -> Self {
        State::Start(Vec::with_capacity(START))
    }
}

impl WeightReader {
    /// A reader at the start of a file.
    pub fn new() -> Self {
        Self::default()
    }

    /// A reader at the start of one of the files of an index, which tells whose names the tensors have.
    pub fn one_of(index: &WeightIndex) -> Self {
        WeightReader { naming: Some(index.naming()), ..Self::default() }
    }

    /// The file's length; known once its header has arrived. Never known of an ONNX: see [`WeightReader::least_bytes`].
    pub fn total_bytes(&self) -> Option<u64> {
        self.rows().map(RowParser::total)
    }

    /// The least length that the file can have; known once its header has arrived. It is the whole length, but for an ONNX,
    /// where some bytes may follow that say nothing of weights.
    pub fn least_bytes(&self) -> Option<u64> {
        match &self.state {
            State::Rows(rows) => Some(rows.total()),
            State::Onnx(onnx) => onnx.least_bytes(),
            State::OnnxData(data) => Some(data.least_bytes()),
            _ => None,
        }
    }

    /// The file's tensors in the order of their bytes; empty until its header has arrived. Of an ONNX, those that have begun.
    pub fn tensors(&self) -> Vec<StoredTensor> {
        match &self.state {
            State::Rows(rows) => rows.tensors().iter().map(|tensor| tensor.stored.clone()).collect(),
            State::Onnx(onnx) => onnx.tensors().to_vec(),
            State::OnnxData(data) => data.initializers().tensors().to_vec(),
            _ => Vec::new(),
        }
    }

    /// The header's length; known once it has arrived. The header of an ONNX is its nodes; the file with
    /// an ONNX's data has none.
    pub fn header_len(&self) -> Option<u64> {
        match &self.state {
            State::Onnx(onnx) => onnx.header_len(),
            State::OnnxData(_) => Some(0),
            _ => self.rows().map(RowParser::begin),
        }
    }

    /// Offset up to which rows have been passed to the sink; known once the header has arrived. Another reader continues
    /// there if it is given the header, then [`WeightReader::seek`].
    pub fn settled(&self) -> Option<u64> {
        match &self.state {
            State::Onnx(onnx) => onnx.header_len().map(|_| onnx.settled()),
            State::OnnxData(data) => Some(data.settled()),
            _ => self.rows().map(RowParser::settled),
        }
    }

    /// Offset of the next tensor for which `wants` is true, or of the file's end. `None` if the next byte belongs to such a
    /// tensor, the header has not arrived, or the file is an ONNX, whose tensors are known only when they begin.
    pub fn next_wanted(&self, wants: impl Fn(&TensorShape) -> bool) -> Option<u64> {
        self.rows()?.next_wanted(wants)
    }

    /// Continues at another offset, where a row begins or the file ends; in an ONNX, where it was
    /// [`settled`](WeightReader::settled). Bytes of an incomplete batch are dropped.
    ///
    /// # Errors
    /// [`Error::BadWeights`] if no row begins at `position`, or the header has not arrived.
    pub fn seek(&mut self, position: u64) -> Result<(), Error> {
        match &mut self.state {
            State::Rows(rows) => rows.seek(position),
            State::Onnx(onnx) => onnx.seek(position),
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
                State::Start(first) => start(first, bytes, self.naming, sink)?,
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
                State::Onnx(onnx) => {
                    onnx.push(bytes, sink)?;
                    (bytes.len(), None)
                }
                State::OnnxData(data) => {
                    data.push(bytes, sink)?;
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
            State::Onnx(_) | State::OnnxData(_) => match self.least_bytes() {
                Some(least) if len >= least => Ok(()),
                Some(least) => Err(bad(format!("the file ends after {len} of {least} bytes: {CUT_SHORT}"))),
                None => Err(self.inside_header()),
            },
            _ => Err(self.inside_header()),
        }
    }

    /// Says that the file has ended.
    ///
    /// # Errors
    /// [`Error::BadWeights`] if bytes are missing, or are in another file: see [`WeightReader::into_data_file`].
    pub fn finish(self) -> Result<(), Error> {
        match self.into_data_file()? {
            None => Ok(()),
            Some((name, _)) => Err(bad(format!("the ONNX's data are in {name:?}, which was not read"))),
        }
    }

    /// Whether the tensors that have arrived say that their data are in another file, as those of an ONNX can.
    pub fn has_data_file(&self) -> bool {
        matches!(&self.state, State::Onnx(onnx) if onnx.has_external())
    }

    /// Says that the file has ended. If it is an ONNX whose data are in another file, returns that file's name, which is
    /// one beside it, and a reader of it.
    ///
    /// # Errors
    /// [`Error::BadWeights`] if bytes are missing.
    pub fn into_data_file(self) -> Result<Option<(String, WeightReader)>, Error> {
        match self.state {
            State::Rows(rows) => rows.finish().map(|()| None),
            State::Onnx(onnx) => {
                onnx.finish()?;
                let external = onnx.into_external()?;
                let reader =
                    |data| WeightReader { state: State::OnnxData(Box::new(data)), ..WeightReader::new() };
                Ok(external.map(|(name, data)| (name, reader(data))))
            }
            State::OnnxData(data) => data.finish().map(|()| None),
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
        let stored = header.tensors.iter().map(|tensor| tensor.whole().clone());
        let shapes: Vec<_> = stored.chain(header.empty.iter().cloned()).collect();
        sink.begin(&shapes)?;
        Ok(State::Rows(RowParser::new(header, self.received + taken as u64)))
    }
}

/// Tells the format by a file's first bytes. Those of GGUF and of ONNX would be the length of a safetensors header above
/// [`MAX_HEADER`].
fn start(
    first: &mut Vec<u8>,
    bytes: &[u8],
    naming: Option<Naming>,
    sink: &mut dyn TensorSink,
) -> Result<(usize, Option<State>), Error> {
    let taken = (START - first.len()).min(bytes.len());
    first.extend_from_slice(&bytes[..taken]);
    let Some(&number) = first.first_chunk() else { return Ok((taken, None)) };
    let next = if first.starts_with(&gguf::MAGIC) {
        let mut header = Box::<gguf::HeaderReader>::default();
        header.push(first)?;
        State::Gguf(header)
    } else if first.starts_with(&[onnx::FIRST_BYTE]) && u64::from_le_bytes(number) > MAX_HEADER {
        let mut onnx = Box::<onnx::Reader>::default();
        onnx.push(first, sink)?;
        State::Onnx(onnx)
    } else {
        let mut header = safetensors::HeaderReader::new(naming);
        // The last byte goes with those after it, which an error about the first eight quotes.
        header.push(&first[..START - 1])?;
        return Ok((taken - 1, Some(State::Safetensors(header))));
    };
    Ok((taken, Some(next)))
}
