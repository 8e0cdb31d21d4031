//! 2^x, and the functions that are built on it: the two kinds of GELU, and softmax.

use crate::dispatch::{Kernel, dispatch};
use crate::quantize::ROUND;
use crate::simd::{LANES, Simd, Vectors, load_part, store_part};

/// 2^x for x up to 127, with a relative error of about 2e-7. Below -126 it is 2^-126.
///
/// x = n + r with an integer n and |r| <= 1/2. n is added to the exponent bits of 2^r, which is a polynomial, fitted for the
/// least relative error in that range.
#[inline(always)]
pub(crate) fn exp2<V: Vectors>(vectors: V, x: V::F32) -> V::F32 {
    const C: [f32; 6] =
        [1.0, std::f32::consts::LN_2, 2.402_224_2e-1, 5.550_733_6e-2, 9.671_513e-3, 1.326_472_7e-3];
    let x = vectors.max(x, vectors.splat(-126.0));
    let shifted = vectors.add(x, vectors.splat(ROUND));
    let r = vectors.sub(x, vectors.sub(shifted, vectors.splat(ROUND)));
    // Estrin's scheme: with pairs of coefficients the chain of dependent operations is half as long as Horner's.
    let square = vectors.mul(r, r);
    let low = vectors.mul_add(r, vectors.splat(C[1]), vectors.splat(C[0]));
    let middle = vectors.mul_add(r, vectors.splat(C[3]), vectors.splat(C[2]));
    let high = vectors.mul_add(r, vectors.splat(C[5]), vectors.splat(C[4]));
    let power = vectors.mul_add(vectors.mul_add(high, square, middle), square, low);
    vectors.bits_to_f32(
        vectors.add_i32(vectors.to_bits(power), vectors.shift_left::<23>(vectors.to_bits(shifted))),
    )
}

/// Which GELU a model was trained with: <https://arxiv.org/abs/1606.08415>, sections 2 and 3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gelu {
    /// The approximation by tanh, `gelu_pytorch_tanh` in transformers: that of every SigLIP of Google.
    Tanh,
    /// x Φ(x), with the normal distribution's Φ: `gelu` in transformers, and the default of timm and open_clip.
    Erf,
}

impl Gelu {
    #[inline(always)]
    pub(crate) fn apply<V: Vectors>(self, vectors: V, x: V::F32) -> V::F32 {
        match self {
            Gelu::Tanh => gelu_tanh(vectors, x),
            Gelu::Erf => gelu_erf(vectors, x),
        }
    }
}

/// x/2 (1 + tanh(√(2/π) (x + 0.044715 x³))), as x / (1 + e^-2u) with u the argument of tanh.
#[inline(always)]
fn gelu_tanh<V: Vectors>(vectors: V, x: V::F32) -> V::F32 {
    const LINEAR: f32 = -2.0 * 0.797_884_6 * std::f32::consts::LOG2_E;
    const CUBIC: f32 = LINEAR * 0.044_715;
    // At x = -10 the result is below 1e-36 in magnitude, and the exponent is still below 127.
    let x = vectors.max(x, vectors.splat(-10.0));
    let exponent =
        vectors.mul(x, vectors.mul_add(vectors.mul(x, x), vectors.splat(CUBIC), vectors.splat(LINEAR)));
    vectors.div(x, vectors.add(exp2(vectors, exponent), vectors.splat(1.0)))
}

/// x Φ(x), as max(x, 0) - |x| Φ(-|x|), so that small results keep their precision.
///
/// With a = -|x| and t = 1 / (1 - 0.3 a), Φ(a) = t · 2^(p(t) - a²/2 log2 e). p is a polynomial of t - 1/2, fitted at
/// Chebyshev's points for a down to -13: its error is 1.8e-7 of Φ. At -13 the result is below 1e-36.
#[inline(always)]
fn gelu_erf<V: Vectors>(vectors: V, x: V::F32) -> V::F32 {
    const P: [f32; 9] = [
        -2.171_559_3,
        2.139_368_5,
        0.663_849_9,
        -0.325_496_94,
        -0.500_408_1,
        0.082_542_226,
        0.414_553_9,
        -0.048_998_93,
        -0.204_583_42,
    ];
    let zero = vectors.splat(0.0);
    let magnitude = vectors.max(x, vectors.sub(zero, x));
    let a = vectors.max(vectors.sub(zero, magnitude), vectors.splat(-13.0));
    let t = vectors.div(vectors.splat(1.0), vectors.mul_add(a, vectors.splat(-0.3), vectors.splat(1.0)));
    let s = vectors.sub(t, vectors.splat(0.5));
    let mut p = vectors.splat(P[8]);
    for coefficient in P[..8].iter().rev() {
        p = vectors.mul_add(p, s, vectors.splat(*coefficient));
    }
    let exponent = vectors.mul_add(vectors.mul(a, a), vectors.splat(-std::f32::consts::LOG2_E / 2.0), p);
    let tail = vectors.mul(exp2(vectors, exponent), t);
    vectors.mul_add(a, tail, vectors.max(x, zero))
}

/// GELU of each value.
pub fn gelu(kind: Gelu, values: &mut [f32]) {
    struct Each<'a>(Gelu, &'a mut [f32]);
    impl Kernel for Each<'_> {
        type Output = ();
        #[inline(always)]
        fn run<S: Simd>(self, simd: S) {
            let Each(kind, values) = self;
            for values in values.chunks_mut(LANES) {
                let result = kind.apply(simd, load_part(simd, values));
                store_part(simd, result, values);
            }
        }
    }
    dispatch(Each(kind, values));
}

/// e^x / Σ e^x of one row. The result of a row with a NaN or +∞ is undefined.
pub fn softmax(row: &mut [f32]) {
    struct Softmax<'a>(&'a mut [f32]);
    impl Kernel for Softmax<'_> {
        type Output = ();
        #[inline(always)]
        fn run<S: Simd>(self, simd: S) {
            let row = self.0;
            let largest = simd.splat(row.iter().copied().fold(f32::NEG_INFINITY, f32::max));
            let mut sum = simd.splat(0.0);
            for values in row.chunks_mut(LANES) {
                let below = simd.sub(load_part(simd, values), largest);
                let exponent = simd.mul(below, simd.splat(std::f32::consts::LOG2_E));
                store_part(simd, exp2(simd, exponent), values);
                sum = simd.add(sum, load_part(simd, values));
            }
            let scale = simd.splat(1.0 / simd.sum(sum));
            for values in row.chunks_mut(LANES) {
                let scaled = simd.mul(load_part(simd, values), scale);
                store_part(simd, scaled, values);
            }
        }
    }
    dispatch(Softmax(row));
}
