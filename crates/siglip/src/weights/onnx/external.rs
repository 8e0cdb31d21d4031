//! The file beside an ONNX that holds its tensors' data.

use std::collections::VecDeque;

use super::super::{TensorSink, bad};
use super::graph::Graph;
use super::initializers::Initializers;
use super::tensor::Initializer;
use crate::Error;

/// Reads `*.onnx_data` from chunks of any size.
#[derive(Debug)]
pub struct ExternalReader {
    graph: Graph,
    initializers: Initializers,
    /// Those that have not begun, in the order of their bytes, with their offsets and lengths.
    later: VecDeque<(Initializer, u64, u64)>,
    position: u64,
    end: u64,
}

impl ExternalReader {
    /// A reader at the start of the file, and the file's name.
    pub fn new(
        graph: Graph,
        initializers: Initializers,
        external: Vec<Initializer>,
    ) -> Result<(String, ExternalReader), Error> {
        let mut location = String::new();
        let mut later = Vec::new();
        for initializer in external {
            let place = initializer.external.clone().unwrap_or_default();
            if !is_beside(&place.location) {
                let file: String = place.location.chars().take(120).collect();
                return Err(bad(format!("ONNX: data in {file:?}, which is not a file beside it")));
            }
            if !location.is_empty() && location != place.location {
                return Err(bad("ONNX: data in several files; one beside the .onnx can be read"));
            }
            location = place.location;
            let shown = initializer.shown();
            let length =
                initializer.bytes().filter(|&bytes| place.length.is_none_or(|length| length == bytes));
            // Integers, such as shapes, are of no use here.
            let length =
                length.or(if initializer.data_type.size() == 0 { place.length.or(Some(0)) } else { None });
            let length =
                length.ok_or_else(|| bad(format!("ONNX: {shown:?} has another length than its shape")))?;
            later.push((initializer, place.offset, length));
        }
        later.sort_by_key(|(_, offset, length)| (*offset, *length));
        let mut end = 0u64;
        for (initializer, offset, length) in &later {
            if *offset < end {
                return Err(bad(format!("ONNX: the data of {:?} overlap with others", initializer.shown())));
            }
            end = offset.checked_add(*length).ok_or_else(|| bad("ONNX: data beyond 64 bits"))?;
        }
        Ok((location, ExternalReader { graph, initializers, later: later.into(), position: 0, end }))
    }

    /// Offset of the end of the last tensor.
    pub fn least_bytes(&self) -> u64 {
        self.end
    }

    /// Offset up to which everything has been passed to the sink: none of it while anything waits.
    pub fn settled(&self) -> u64 {
        let is_settled = self.initializers.left() == 0 && self.initializers.unsettled().is_none();
        if is_settled { self.position } else { 0 }
    }

    /// What is known of the tensors.
    pub fn initializers(&self) -> &Initializers {
        &self.initializers
    }

    /// Takes the file's next bytes.
    ///
    /// # Errors
    /// As [`Reader::push`](super::Reader::push).
    pub fn push(&mut self, mut bytes: &[u8], sink: &mut dyn TensorSink) -> Result<(), Error> {
        while !bytes.is_empty() {
            let left = self.initializers.left();
            if left > 0 {
                let (now, later) = bytes.split_at(left.min(bytes.len() as u64) as usize);
                self.initializers.push(&self.graph, now, sink)?;
                self.position += now.len() as u64;
                bytes = later;
                continue;
            }
            let Some((_, offset, _)) = self.later.front() else {
                self.position += bytes.len() as u64;
                return Ok(());
            };
            if self.position < *offset {
                let gap = (offset - self.position).min(bytes.len() as u64);
                self.position += gap;
                bytes = &bytes[gap as usize..];
            } else if let Some((initializer, _, length)) = self.later.pop_front() {
                self.initializers.begin(&self.graph, initializer, length)?;
            }
        }
        Ok(())
    }

    /// Says that the file has ended.
    ///
    /// # Errors
    /// [`Error::BadWeights`] if bytes are missing.
    pub fn finish(&self) -> Result<(), Error> {
        if self.position < self.end {
            let (position, end, cut) = (self.position, self.end, super::super::row_parser::CUT_SHORT);
            return Err(bad(format!(
                "the file with the ONNX's data ends after {position} of {end} bytes: {cut}"
            )));
        }
        self.initializers.finish()
    }
}

/// Whether a file's name leads nowhere but to the folder of the ONNX.
fn is_beside(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\\', ':', '\0'])
}
