//! 2^x, and the functions that are built on it: the two kinds of GELU, and softmax.

use crate::dispatch::{Kernel, dispatch};
use crate::quantize::ROUND;
use crate::simd::{LANES, Simd, load_part, store_part};

/// 2^x for x up to 127, with a relative error of about 2e-7. Below -126 it is 2^-126.
///
/// x = n + r with an integer n and |r| <= 1/2. n is added to the exponent bits of 2^r, which is a polynomial, fitted for the
/// least relative error in that range.
#[inline(always)]
pub(crate) fn exp2<S: Simd>(simd: S, x: S::F32) -> S::F32 {
    const C: [f32; 6] =
        [1.0, std::f32::consts::LN_2, 2.402_224_2e-1, 5.550_733_6e-2, 9.671_513e-3, 1.326_472_7e-3];
    let x = simd.max(x, simd.splat(-126.0));
    let shifted = simd.add(x, simd.splat(ROUND));
    let r = simd.sub(x, simd.sub(shifted, simd.splat(ROUND)));
    // Estrin's scheme: with pairs of coefficients the chain of dependent operations is half as long as Horner's.
    let square = simd.mul(r, r);
    let low = simd.mul_add(r, simd.splat(C[1]), simd.splat(C[0]));
    let middle = simd.mul_add(r, simd.splat(C[3]), simd.splat(C[2]));
    let high = simd.mul_add(r, simd.splat(C[5]), simd.splat(C[4]));
    let power = simd.mul_add(simd.mul_add(high, square, middle), square, low);
    simd.bits_to_f32(simd.add_i32(simd.to_bits(power), simd.shift_left::<23>(simd.to_bits(shifted))))
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
    pub(crate) fn apply<S: Simd>(self, simd: S, x: S::F32) -> S::F32 {
        match self {
            Gelu::Tanh => gelu_tanh(simd, x),
            Gelu::Erf => gelu_erf(simd, x),
        }
    }
}

/// x/2 (1 + tanh(√(2/π) (x + 0.044715 x³))), as x / (1 + e^-2u) with u the argument of tanh.
#[inline(always)]
fn gelu_tanh<S: Simd>(simd: S, x: S::F32) -> S::F32 {
    const LINEAR: f32 = -2.0 * 0.797_884_6 * std::f32::consts::LOG2_E;
    const CUBIC: f32 = LINEAR * 0.044_715;
    // At x = -10 the result is below 1e-36 in magnitude, and the exponent is still below 127.
    let x = simd.max(x, simd.splat(-10.0));
    let exponent = simd.mul(x, simd.mul_add(simd.mul(x, x), simd.splat(CUBIC), simd.splat(LINEAR)));
    simd.div(x, simd.add(exp2(simd, exponent), simd.splat(1.0)))
}

/// x Φ(x), as max(x, 0) - |x| Φ(-|x|), so that small results keep their precision.
///
/// With a = -|x| and t = 1 / (1 - 0.3 a), Φ(a) = t · 2^(p(t) - a²/2 log2 e). p is a polynomial of t - 1/2, fitted at
/// Chebyshev's points for a down to -13: its error is 1.8e-7 of Φ. At -13 the result is below 1e-36.
#[inline(always)]
fn gelu_erf<S: Simd>(simd: S, x: S::F32) -> S::F32 {
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
    let zero = simd.splat(0.0);
    let magnitude = simd.max(x, simd.sub(zero, x));
    let a = simd.max(simd.sub(zero, magnitude), simd.splat(-13.0));
    let t = simd.div(simd.splat(1.0), simd.mul_add(a, simd.splat(-0.3), simd.splat(1.0)));
    let s = simd.sub(t, simd.splat(0.5));
    let mut p = simd.splat(P[8]);
    for coefficient in P[..8].iter().rev() {
        p = simd.mul_add(p, s, simd.splat(*coefficient));
    }
    let exponent = simd.mul_add(simd.mul(a, a), simd.splat(-std::f32::consts::LOG2_E / 2.0), p);
    let tail = simd.mul(exp2(simd, exponent), t);
    simd.mul_add(a, tail, simd.max(x, zero))
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
