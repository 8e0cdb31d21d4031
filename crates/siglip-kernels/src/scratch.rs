use std::cell::RefCell;

use crate::layout::{ColumnStepI16, F32_ROWS, InitialRowSums, ROWS, RowStepI16, WIDE_ROWS};
use crate::layout::{ColumnStepOctets, RowStepBytes, RowStepOctets};
use crate::layout::{WideColumnStepI16, WideRowStepF32, WideRowStepI16};
use crate::simd::{LANES, WIDE_LANES};

/// Buffers of the kernels, kept from call to call. They grow to the largest shape; after that no call allocates.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Linear layers: activations in f32.
    pub(crate) rows_f32: Vec<[f32; F32_ROWS]>,
    /// Linear layers: activations in 16 bits.
    pub(crate) rows_i16: Vec<RowStepI16>,
    /// Linear layers: activations in bytes.
    pub(crate) rows_bytes: Vec<RowStepBytes>,
    /// Linear layers: for each pair of panels of activations, the left sides of Strassen's seven products.
    pub(crate) strassen_rows: Vec<ColumnStepI16>,
    /// Linear layers: for each pair of panels, the initial values of their sums.
    pub(crate) initial_row_sums: Vec<InitialRowSums>,
    /// Linear layers: weights of a strip of columns, or the right sides of Strassen's products.
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
    pub(crate) attention: AttentionScratch<LANES, ROWS>,
    pub(crate) wide_attention: AttentionScratch<WIDE_LANES, WIDE_ROWS>,
}

/// Buffers of attention, with `N` queries in a vector and `R` keys, or columns of the values, in a panel.
#[derive(Debug, Default)]
pub(crate) struct AttentionScratch<const N: usize, const R: usize> {
    /// The keys and values of one head in f32.
    pub head_f32: Vec<[f32; R]>,
    /// The keys and values of one head in 16 bits.
    pub head_i16: Vec<[[i16; 2]; R]>,
    /// Scales of the keys and of the columns of the values.
    pub head_scales: Vec<f32>,
    /// Scores of a strip of queries, in f32 the queries, too.
    pub scores: Vec<[f32; N]>,
    /// Queries and softmax weights of a strip in 16 bits.
    pub columns_i16: Vec<[[i16; 2]; N]>,
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

/// A number, or an array of arrays of numbers: what buffers hold. Of arrays of any length there is no [`Default`].
pub(crate) trait Zero: Copy {
    const ZERO: Self;
}

macro_rules! zero {
    ($($number:ty),*) => {
        $(impl Zero for $number {
            const ZERO: Self = 0 as $number;
        })*
    };
}

zero!(i8, i16, i32, f32);

impl<T: Zero, const N: usize> Zero for [T; N] {
    const ZERO: Self = [T::ZERO; N];
}

/// The first `len` elements of `buffer`, which grows if it is shorter.
pub(crate) fn sized<T: Zero>(buffer: &mut Vec<T>, len: usize) -> &mut [T] {
    if buffer.len() < len {
        buffer.resize(len, T::ZERO);
    }
    &mut buffer[..len]
}
