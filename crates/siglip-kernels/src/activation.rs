//! 2^x, and what is made of it: GELU and softmax.

use crate::dispatch::{Kernel, dispatch};
use crate::quantize::ROUND;
use crate::simd::{LANES, Simd, load_part, store_part};

/// 2^x for x up to 127, to about 2e-7 of itself; below -126 it is 2^-126, which is next to nothing.
///
/// x = n + r with n whole; n goes to the exponent, and 2^r is a polynomial, fitted for the least relative error
/// between -1/2 and 1/2.
#[inline(always)]
pub(crate) fn exp2<S: Simd>(simd: S, x: S::F32) -> S::F32 {
    const C: [f32; 6] =
        [1.0, std::f32::consts::LN_2, 2.402_224_2e-1, 5.550_733_6e-2, 9.671_513e-3, 1.326_472_7e-3];
    let x = simd.max(x, simd.splat(-126.0));
    let shifted = simd.add(x, simd.splat(ROUND));
    let r = simd.sub(x, simd.sub(shifted, simd.splat(ROUND)));
    // In pairs of coefficients rather than one after another: the chain of dependent operations is half as long.
    let square = simd.mul(r, r);
    let low = simd.mul_add(r, simd.splat(C[1]), simd.splat(C[0]));
    let middle = simd.mul_add(r, simd.splat(C[3]), simd.splat(C[2]));
    let high = simd.mul_add(r, simd.splat(C[5]), simd.splat(C[4]));
    let power = simd.mul_add(simd.mul_add(high, square, middle), square, low);
    simd.bits_to_f32(simd.add_i32(simd.to_bits(power), simd.shift_left::<23>(simd.to_bits(shifted))))
}

/// x/2 (1 + tanh(√(2/π) (x + 0.044715 x³))), as x / (1 + e^-2u) with u the argument of tanh.
#[inline(always)]
pub(crate) fn gelu<S: Simd>(simd: S, x: S::F32) -> S::F32 {
    const LINEAR: f32 = -2.0 * 0.797_884_6 * std::f32::consts::LOG2_E;
    const CUBIC: f32 = LINEAR * 0.044_715;
    // At -10 the result is below 1e-36, and the exponent still below 127.
    let x = simd.max(x, simd.splat(-10.0));
    let exponent = simd.mul(x, simd.mul_add(simd.mul(x, x), simd.splat(CUBIC), simd.splat(LINEAR)));
    simd.div(x, simd.add(exp2(simd, exponent), simd.splat(1.0)))
}

/// GELU of every value, in its tanh approximation.
pub fn gelu_tanh(values: &mut [f32]) {
    struct Gelu<'a>(&'a mut [f32]);
    impl Kernel for Gelu<'_> {
        type Output = ();
        #[inline(always)]
        fn run<S: Simd>(self, simd: S) {
            for values in self.0.chunks_mut(LANES) {
                let result = gelu(simd, load_part(simd, values));
                store_part(simd, result, values);
            }
        }
    }
    dispatch(Gelu(values));
}

/// e^x / Σ e^x of one row. A row with a NaN or +∞ comes out undefined.
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
