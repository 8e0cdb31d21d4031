use std::cell::RefCell;

use crate::layout::{ColumnStepI16, F32_ROWS, InitialRowSums, ROWS, RowStepI16};
use crate::layout::{ColumnStepOctets, RowStepOctets};
use crate::layout::{WideColumnStepI16, WideRowStepF32, WideRowStepI16};
use crate::simd::LANES;

/// Buffers of the kernels, kept from call to call. They grow to the largest shape; after that no call allocates.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Linear layers: activations in f32.
    pub(crate) rows_f32: Vec<[f32; F32_ROWS]>,
    /// Linear layers: activations in 16 bits. Attention: the keys and values of one head in 16 bits.
    pub(crate) rows_i16: Vec<RowStepI16>,
    /// Linear layers: for each pair of panels of activations, the left sides of Strassen's seven products.
    pub(crate) strassen_rows: Vec<ColumnStepI16>,
    /// Linear layers: for each pair of panels, the initial values of their sums.
    pub(crate) initial_row_sums: Vec<InitialRowSums>,
    /// Linear layers: weights of a strip of columns, or the right sides of Strassen's products. Attention: queries and
    /// softmax weights of a strip of queries.
    pub(crate) columns_i16: Vec<ColumnStepI16>,
    /// Linear layers: activations in octets, and weights of a panel in octets.
    pub(crate) rows_octets: Vec<RowStepOctets>,
    pub(crate) columns_octets: Vec<ColumnStepOctets>,
    /// Linear layers on wide vectors: activations.
    pub(crate) wide_rows_f32: Vec<WideRowStepF32>,
    pub(crate) wide_rows_i16: Vec<WideRowStepI16>,
    /// Linear layers on wide vectors: weights of a strip, widened from 8 bits.
    pub(crate) wide_i16: Vec<WideColumnStepI16>,
    /// Linear layers on wide vectors: rows of bytes and rows of i16, apart where a product has both.
    pub(crate) sorted_rows: Vec<f32>,
    /// Attention: the keys and values of one head in f32.
    pub(crate) head_f32: Vec<[f32; ROWS]>,
    /// Attention: scales of the keys and of the columns of the values.
    pub(crate) head_scales: Vec<f32>,
    /// Attention: scores of a strip of queries, in f32 the queries, too.
    pub(crate) scores: Vec<[f32; LANES]>,
}

thread_local! {
    static OWN: RefCell<Scratch> = RefCell::default();
}

impl Scratch {
    /// This thread's own buffers, for its share of a kernel's work; [`Scratch::keep_own`] puts them back.
    ///
    /// They are moved out and not passed to a closure: a closure loses the target features of its caller.
    pub(crate) fn take_own() -> Scratch {
        OWN.take()
    }

    /// Puts back what [`Scratch::take_own`] returned.
    pub(crate) fn keep_own(self) {
        OWN.set(self);
    }
}

/// The first `len` elements of `buffer`, which grows if it is shorter.
pub(crate) fn sized<T: Clone + Default>(buffer: &mut Vec<T>, len: usize) -> &mut [T] {
    if buffer.len() < len {
        buffer.resize(len, T::default());
    }
    &mut buffer[..len]
}
