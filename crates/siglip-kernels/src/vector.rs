//! Dot products and sums of vectors.

use crate::dispatch::{Kernel, dispatch};
use crate::simd::{LANES, Simd, load_part};

/// The dot product Σ a b.
///
/// # Panics
/// If the lengths differ.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len(), "vectors of different lengths");
    dispatch(Dot { a, b })
}

/// a += b.
///
/// # Panics
/// If the lengths differ.
pub fn add_assign(a: &mut [f32], b: &[f32]) {
    assert_eq!(a.len(), b.len(), "vectors of different lengths");
    a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
}

struct Dot<'a> {
    a: &'a [f32],
    b: &'a [f32],
}

impl Kernel for Dot<'_> {
    type Output = f32;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> f32 {
        let (a, a_rest) = self.a.as_chunks::<LANES>();
        let (b, b_rest) = self.b.as_chunks::<LANES>();
        let mut sum = simd.mul(load_part(simd, a_rest), load_part(simd, b_rest));
        for (a, b) in a.iter().zip(b) {
            sum = simd.mul_add(simd.load(a), simd.load(b), sum);
        }
        simd.sum(sum)
    }
}
