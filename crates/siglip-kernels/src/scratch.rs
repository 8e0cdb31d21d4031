use std::cell::RefCell;

use crate::linear::RowStarts;
use crate::tile::{FLOAT_ROWS, LeftStep, ROWS, WideStep};

/// Buffers the kernels work in, kept from call to call: once they have grown to the largest shape, no call allocates.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Activations in f32.
    pub(crate) floats: Vec<[f32; FLOAT_ROWS]>,
    /// The keys and values of a head in f32.
    pub(crate) panels: Vec<[f32; ROWS]>,
    /// Activations, or the keys and values of a head, in 16 bits.
    pub(crate) levels: Vec<LeftStep>,
    /// Sums of two quarters of them.
    pub(crate) combined: Vec<WideStep>,
    /// Where the sums of their products start.
    pub(crate) starts: Vec<RowStarts>,
    /// What the levels of a row, or a column, are worth.
    pub(crate) scales: Vec<f32>,
    /// Queries and scores of a strip.
    pub(crate) strip: Vec<[f32; 8]>,
    /// Weights of a strip, sums of their quarters, or queries and softmax weights, in 16 bits.
    pub(crate) wide: Vec<WideStep>,
}

thread_local! {
    static OWN: RefCell<Scratch> = RefCell::default();
}

impl Scratch {
    /// This thread's own, for its part of work that is shared out. Not lent by a closure, which would be compiled
    /// without the instruction set of its caller.
    pub(crate) fn take_own() -> Scratch {
        OWN.take()
    }

    /// Keeps what [`Scratch::take_own`] gave.
    pub(crate) fn keep_own(self) {
        OWN.set(self);
    }
}

/// The first `len` elements of `buffer`, which grows where it is too short.
pub(crate) fn sized<T: Clone + Default>(buffer: &mut Vec<T>, len: usize) -> &mut [T] {
    if buffer.len() < len {
        buffer.resize(len, T::default());
    }
    &mut buffer[..len]
}
