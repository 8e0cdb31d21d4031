//! Arrays and loops. The compiler vectorises them as far as the target's baseline permits.

use super::{Backend, LANES, Lanes, Simd, Vectors};

/// The instruction set every processor has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Portable;

#[inline(always)]
fn zip<T: Copy, U>(a: [T; LANES], b: [T; LANES], f: impl Fn(T, T) -> U) -> [U; LANES] {
    std::array::from_fn(|lane| f(a[lane], b[lane]))
}

impl Vectors for Portable {
    type F32 = [f32; LANES];
    type I32 = [i32; LANES];

    #[inline(always)]
    fn splat(self, value: f32) -> Self::F32 {
        [value; LANES]
    }

    #[inline(always)]
    fn add(self, a: Self::F32, b: Self::F32) -> Self::F32 {
        zip(a, b, |a, b| a + b)
    }

    #[inline(always)]
    fn sub(self, a: Self::F32, b: Self::F32) -> Self::F32 {
        zip(a, b, |a, b| a - b)
    }

    #[inline(always)]
    fn mul(self, a: Self::F32, b: Self::F32) -> Self::F32 {
        zip(a, b, |a, b| a * b)
    }

    #[inline(always)]
    fn div(self, a: Self::F32, b: Self::F32) -> Self::F32 {
        zip(a, b, |a, b| a / b)
    }

    #[inline(always)]
    fn mul_add(self, a: Self::F32, b: Self::F32, c: Self::F32) -> Self::F32 {
        std::array::from_fn(|lane| a[lane] * b[lane] + c[lane])
    }

    #[inline(always)]
    fn max(self, a: Self::F32, b: Self::F32) -> Self::F32 {
        zip(a, b, |a, b| if a < b { b } else { a })
    }

    #[inline(always)]
    fn to_bits(self, values: Self::F32) -> Self::I32 {
        values.map(|value| value.to_bits() as i32)
    }

    #[inline(always)]
    fn bits_to_f32(self, bits: Self::I32) -> Self::F32 {
        bits.map(|bits| f32::from_bits(bits as u32))
    }

    #[inline(always)]
    fn splat_i32(self, value: i32) -> Self::I32 {
        [value; LANES]
    }

    #[inline(always)]
    fn add_i32(self, a: Self::I32, b: Self::I32) -> Self::I32 {
        zip(a, b, i32::wrapping_add)
    }

    #[inline(always)]
    fn sub_i32(self, a: Self::I32, b: Self::I32) -> Self::I32 {
        zip(a, b, i32::wrapping_sub)
    }

    #[inline(always)]
    fn mul_i32(self, a: Self::I32, b: Self::I32) -> Self::I32 {
        zip(a, b, i32::wrapping_mul)
    }

    #[inline(always)]
    fn and_i32(self, a: Self::I32, b: Self::I32) -> Self::I32 {
        zip(a, b, |a, b| a & b)
    }

    #[inline(always)]
    fn max_i32(self, a: Self::I32, b: Self::I32) -> Self::I32 {
        zip(a, b, i32::max)
    }

    #[inline(always)]
    fn shift_left<const BITS: u32>(self, values: Self::I32) -> Self::I32 {
        values.map(|value| value << BITS)
    }

    #[inline(always)]
    fn convert(self, values: Self::I32) -> Self::F32 {
        values.map(|value| value as f32)
    }
}

impl Lanes<LANES> for Portable {
    #[inline(always)]
    fn load(self, values: &[f32; LANES]) -> Self::F32 {
        *values
    }

    #[inline(always)]
    fn store(self, values: Self::F32, out: &mut [f32; LANES]) {
        *out = values;
    }

    #[inline(always)]
    fn load_i32(self, values: &[i32; LANES]) -> Self::I32 {
        *values
    }

    #[inline(always)]
    fn store_i32(self, values: Self::I32, out: &mut [i32; LANES]) {
        *out = values;
    }
}

impl Simd for Portable {
    type I16 = [[i16; 2]; LANES];

    const BACKEND: Backend = Backend::Portable;
    const TILE_PANELS: usize = 1;

    #[inline(always)]
    fn sum(self, v: Self::F32) -> f32 {
        super::sum_lanes(v)
    }

    #[inline(always)]
    fn max_lane(self, values: Self::I32) -> i32 {
        values.into_iter().fold(i32::MIN, i32::max)
    }

    #[inline(always)]
    fn narrow(self, low: Self::I32, high: Self::I32) -> Self::I16 {
        let narrow = |value: i32| value.clamp(i16::MIN.into(), i16::MAX.into()) as i16;
        std::array::from_fn(|pair| {
            let source = if pair < LANES / 2 { &low } else { &high };
            let first = 2 * pair % LANES;
            [narrow(source[first]), narrow(source[first + 1])]
        })
    }

    #[inline(always)]
    fn pair(self, first: Self::I32, second: Self::I32) -> Self::I16 {
        zip(first, second, |first, second| [first as i16, second as i16])
    }

    #[inline(always)]
    fn load_pairs(self, pairs: &[[i16; 2]; LANES]) -> Self::I16 {
        *pairs
    }

    #[inline(always)]
    fn widen_pairs(self, pairs: &[[i8; 2]; LANES]) -> Self::I16 {
        pairs.map(|pair| pair.map(i16::from))
    }

    #[inline(always)]
    fn add_pairs(self, a: Self::I16, b: Self::I16) -> Self::I16 {
        zip(a, b, |a, b| std::array::from_fn(|half| i16::wrapping_add(a[half], b[half])))
    }

    #[inline(always)]
    fn sub_pairs(self, a: Self::I16, b: Self::I16) -> Self::I16 {
        zip(a, b, |a, b| std::array::from_fn(|half| i16::wrapping_sub(a[half], b[half])))
    }

    #[inline(always)]
    fn swap_halves(self, mut pairs: Self::I16) -> Self::I16 {
        pairs.rotate_left(LANES / 2);
        pairs
    }

    #[inline(always)]
    fn splat_pair(self, pair: &[i16; 2]) -> Self::I16 {
        [*pair; LANES]
    }

    #[inline(always)]
    fn dot_add(self, sum: Self::I32, a: Self::I16, b: Self::I16) -> Self::I32 {
        std::array::from_fn(|lane| {
            let product = |half: usize| i32::from(a[lane][half]) * i32::from(b[lane][half]);
            sum[lane].wrapping_add(product(0).wrapping_add(product(1)))
        })
    }

    #[inline(always)]
    fn transpose(self, rows: [Self::F32; 4], columns: &mut [[f32; 4]; LANES]) {
        *columns = std::array::from_fn(|column| rows.map(|row| row[column]));
    }

    #[inline(always)]
    fn transpose_pairs(self, rows: [Self::I16; 4], columns: &mut [[[i16; 2]; 4]; LANES]) {
        *columns = std::array::from_fn(|column| rows.map(|row| row[column]));
    }

    #[inline(always)]
    fn store_pairs(self, pairs: Self::I16, out: &mut [[i16; 2]; LANES]) {
        *out = pairs;
    }
}
