//! softmax(scale q kᵀ) v, a strip of queries at a time.
//!
//! Scores are made transposed, keys down and queries across the lanes: softmax then needs nothing from across the
//! lanes, and its result lies as the product with the values reads it. For each head, keys and values are packed
//! once; then eight or sixteen queries at a time go all the way through.

mod floats;
mod levels;
mod out;

use crate::backend::{Kernel, dispatch};
use crate::matrix::Precision;
use crate::panels::Rows;
use crate::scratch::Scratch;
use crate::shared::Shared;
use crate::simd::Simd;
use crate::team::share;

/// The shape of an attention. Strides count f32s from one row to the next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AttentionShape {
    /// Rows that ask.
    pub q_rows: usize,
    /// Rows that are attended to.
    pub kv_rows: usize,
    /// Heads, side by side in every row.
    pub heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// From one row of q to the next.
    pub q_stride: usize,
    /// From one row of k, or of v, to the next.
    pub kv_stride: usize,
    /// What scores are multiplied with: 1 / √head_dim.
    pub scale: f32,
}

/// softmax(scale q kᵀ) v for every head, into `out` [q_rows, heads · head_dim], in f32.
///
/// `q`, `k` and `v` begin at the first row's first head; all three may be views of one buffer
/// [rows, 3 · heads · head_dim] with a stride of its width. Never more than eight or sixteen queries' scores are kept.
/// With no row to attend to, `out` is zeros. A query, key or value that is not finite leaves what depends on it
/// undefined.
///
/// # Panics
/// If `out`, or one of the inputs with its stride, is too short for the shape.
pub fn attention(shape: &AttentionShape, q: &[f32], k: &[f32], v: &[f32], out: &mut [f32]) {
    attention_in(Precision::F32, shape, q, k, v, out);
}

/// [`attention()`] on integers, which is faster: queries and keys in 13 bits with a scale a row, softmax's weights in 15
/// bits, values in 12 bits with a scale a column. It differs from f32 by some 1e-4 of the largest value.
///
/// # Panics
/// As [`attention()`].
pub fn attention_q8(shape: &AttentionShape, q: &[f32], k: &[f32], v: &[f32], out: &mut [f32]) {
    attention_in(Precision::Q8, shape, q, k, v, out);
}

fn attention_in(
    precision: Precision,
    shape: &AttentionShape,
    q: &[f32],
    k: &[f32],
    v: &[f32],
    out: &mut [f32],
) {
    let width = shape.heads * shape.head_dim;
    assert_eq!(out.len(), shape.q_rows * width, "out is not [{}, {width}]", shape.q_rows);
    if shape.kv_rows == 0 || out.is_empty() {
        out.fill(0.0);
        return;
    }
    assert!(q.len() >= (shape.q_rows - 1) * shape.q_stride + width, "q is too short for its shape");
    assert!(k.len() >= (shape.kv_rows - 1) * shape.kv_stride + width, "k is too short for its shape");
    assert!(v.len() >= (shape.kv_rows - 1) * shape.kv_stride + width, "v is too short for its shape");
    let out = Shared::new(out);
    share(shape.heads, &|index| dispatch(OneHead { precision, head: Head::new(shape, q, k, v, index), out }));
}

struct OneHead<'a> {
    precision: Precision,
    head: Head<'a>,
    out: Shared<'a, f32>,
}

impl Kernel for OneHead<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let OneHead { precision, head, out } = self;
        let mut own = Scratch::take_own();
        match precision {
            Precision::F32 => floats::attend(simd, &head, out, &mut own),
            Precision::Q8 => levels::attend(simd, &head, out, &mut own),
        }
        own.keep_own();
    }
}

/// One head's share.
struct Head<'a> {
    q: Rows<'a>,
    k: Rows<'a>,
    v: Rows<'a>,
    /// Of scores that become exponents of two.
    scale: f32,
    /// Its first column in `out`.
    column: usize,
    /// From one row of `out` to the next.
    out_stride: usize,
}

impl<'a> Head<'a> {
    fn new(shape: &AttentionShape, q: &'a [f32], k: &'a [f32], v: &'a [f32], index: usize) -> Self {
        let &AttentionShape { q_rows, kv_rows, head_dim, q_stride, kv_stride, .. } = shape;
        let column = index * head_dim;
        let k = Rows { values: &k[column..], count: kv_rows, width: head_dim, stride: kv_stride };
        Head {
            q: Rows { values: &q[column..], count: q_rows, width: head_dim, stride: q_stride },
            k,
            v: Rows { values: &v[column..], ..k },
            scale: shape.scale * std::f32::consts::LOG2_E,
            column,
            out_stride: shape.heads * head_dim,
        }
    }
}
