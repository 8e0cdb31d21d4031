//! softmax(scale q kᵀ) v, a strip of queries at a time.
//!
//! For each head, keys and values are packed once. Then eight to 32 queries at a time go through all three steps: scores,
//! softmax, weighted sum of the values. Scores are computed transposed, with keys down and queries across the lanes, so
//! softmax needs no reductions across lanes, and its result already lies as the weighted sum reads it.

mod float;
mod layout;
mod quantized;

use crate::disjoint_slice::DisjointMut;
use crate::dispatch::{Kernel, WideKernel, dispatch, wide};
use crate::precision::Precision;
use crate::rows::Rows;
use crate::scratch::Scratch;
use crate::simd::{Simd, Wide};
use crate::thread_pool::parallel_for;
use layout::{Eight, Layout, Sixteen};

/// The shape of an attention. Strides count f32 from one row to the next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AttentionShape {
    /// Number of query rows.
    pub q_rows: usize,
    /// Number of key rows, and of value rows.
    pub kv_rows: usize,
    /// Number of heads, side by side in every row.
    pub heads: usize,
    /// Width of one head.
    pub head_dim: usize,
    /// Stride of the rows of q.
    pub q_stride: usize,
    /// Stride of the rows of k, and of v.
    pub kv_stride: usize,
    /// Factor of the scores: 1 / √head_dim.
    pub scale: f32,
}

/// softmax(scale q kᵀ) v for each head, into `out` [q_rows, heads · head_dim], in f32.
///
/// `q`, `k` and `v` begin at the first row's first head. All three may be views of one buffer
/// [rows, 3 · heads · head_dim], with its width as their stride. The scores of at most 32 queries exist at a time.
/// With no key rows, `out` is zeros. A query, key or value that is not finite leaves what depends on it undefined.
///
/// # Panics
/// If `out`, or one of the inputs with its stride, is too short for the shape.
pub fn attention(shape: &AttentionShape, q: &[f32], k: &[f32], v: &[f32], out: &mut [f32]) {
    attention_in(Precision::F32, shape, q, k, v, out);
}

/// [`attention()`] on integers, which is faster.
///
/// Queries and keys have 13 bits with one scale per row, softmax weights 15 bits, values 12 bits with one scale per column.
/// The result differs from f32 by some 1e-4 of the largest value.
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
    let out = DisjointMut::new(out);
    parallel_for(shape.heads, &|index| {
        let head = OneHead { precision, head: Head::new(shape, q, k, v, index), out };
        match wide() {
            Some(wide) => wide.run_wide(head),
            None => dispatch(head),
        }
    });
}

struct OneHead<'a> {
    precision: Precision,
    head: Head<'a>,
    out: DisjointMut<'a, f32>,
}

impl Kernel for OneHead<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        self.attend(Eight(simd));
    }
}

impl WideKernel for OneHead<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Wide>(self, simd: S) {
        self.attend(Sixteen(simd));
    }
}

impl OneHead<'_> {
    #[inline(always)]
    fn attend<L: Layout<N, R>, const N: usize, const R: usize>(self, layout: L) {
        let OneHead { precision, head, out } = self;
        let mut own = Scratch::take_own();
        let (simd, scratch, queries) = (layout.simd(), L::scratch(&mut own), head.q.count);
        match precision {
            Precision::F32 => {
                attend_strips(layout, queries, float::PackedHead::new(simd, &head, scratch), out);
            }
            Precision::Bf16 | Precision::Q8 | Precision::Q8Exact => {
                attend_strips(layout, queries, quantized::PackedHead::new(simd, &head, scratch), out);
            }
        }
        own.keep_own();
    }
}

/// The queries, keys and values of one head.
struct Head<'a> {
    q: Rows<'a>,
    k: Rows<'a>,
    v: Rows<'a>,
    /// Factor of the scores, which are exponents of two.
    scale: f32,
    /// The head's first column in `out`.
    column: usize,
    /// Stride of the rows of `out`.
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

/// A head whose keys and values are packed, with buffers for a strip of `P` vectors of queries.
trait Strip<L> {
    /// Computes all three steps for the queries from `first` on, and stores the result.
    fn attend<const P: usize>(&mut self, layout: L, first: usize, out: DisjointMut<f32>);
}

/// Attends strip by strip: as many queries at a time as a tile has columns, while so many are left.
#[inline(always)]
fn attend_strips<L: Layout<N, R>, H: Strip<L>, const N: usize, const R: usize>(
    layout: L,
    queries: usize,
    mut head: H,
    out: DisjointMut<f32>,
) {
    let mut first = 0;
    while first < queries {
        if L::TILE_PANELS == 2 && first + N < queries {
            head.attend::<2>(layout, first, out);
            first += 2 * N;
        } else {
            head.attend::<1>(layout, first, out);
            first += N;
        }
    }
}
