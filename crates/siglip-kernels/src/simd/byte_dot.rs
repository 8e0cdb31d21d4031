//! Dot products of bytes on vectors of eight lanes.
//!
//! Four bytes, a quad, take the place of a pair of i16, in memory and in registers.

use std::hint::black_box;

use super::{Backend, LANES, Simd};
use crate::dispatch::ByteKernel;

/// An instruction that multiplies quads of bytes and adds their products to sums in i32.
pub(crate) trait ByteDot<S: Simd> {
    /// sum + a₀ b₀ + a₁ b₁ + a₂ b₂ + a₃ b₃ for each quad a of `row`, of [`RowBytes`], and b of `columns`, of i8; wraps.
    fn dot_add(simd: S, sum: S::I32, row: S::I16, columns: S::I16) -> S::I32;
}

/// The type of the bytes of rows that an instruction multiplies with i8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowBytes {
    /// u8.
    Unsigned,
    /// i8.
    Signed,
}

impl RowBytes {
    /// What is subtracted from 0..=255 to fit the type.
    pub fn offset(self) -> i32 {
        match self {
            RowBytes::Unsigned => 0,
            RowBytes::Signed => 128,
        }
    }

    fn value(self, byte: u8) -> i32 {
        match self {
            RowBytes::Unsigned => byte.into(),
            RowBytes::Signed => (byte as i8).into(),
        }
    }
}

/// A processor's way to multiply bytes. A value of it proves that the processor has the instruction.
pub(crate) trait ByteDots: Copy + Sync {
    /// The backend with this instruction.
    fn backend(self) -> Backend;
    fn row_bytes(self) -> RowBytes;
    /// Runs a kernel with the instruction.
    fn run_bytes<K: ByteKernel>(self, kernel: K) -> K::Output;
}

/// A quad in every lane.
type Quads = [[u8; 4]; LANES];

/// Finds out which type of rows an instruction is exact for in all their bits; none if it is for neither.
///
/// Weights are tried from -127 to 127, as [`MAX_WEIGHT`](crate::quantize::MAX_WEIGHT) has it. Arm's wrapping sums of pairs in
/// 16 bits are exact then: 2 · 127 · 128 < 2¹⁵. That matters beyond old processors. V8 compiles code twice, at first without
/// the dot product, and what a row gives must not depend on which of the two runs.
#[cfg_attr(not(any(test, target_feature = "relaxed-simd")), expect(dead_code, reason = "others promise it"))]
pub(super) fn probe<S: Simd, D: ByteDot<S>>(simd: S) -> Option<RowBytes> {
    /// Bytes in which instructions differ: signs, and products whose sums of two leave i16.
    const BYTES: [u8; 8] = [0, 1, 127, 128, 129, 200, 254, 255];
    let (mut unsigned, mut signed, mut random) = (true, true, 1u32);
    for turn in 0..64 {
        let (mut row, mut columns, mut before) = (Quads::default(), Quads::default(), [0; LANES]);
        // Equal bytes in all four places first: every row byte by every weight.
        for (lane, quad) in columns.iter_mut().enumerate() {
            *quad = [BYTES[(lane + turn) % BYTES.len()]; 4];
        }
        row.fill([BYTES[turn % BYTES.len()]; 4]);
        for byte in row.as_flattened_mut().iter_mut().chain(columns.as_flattened_mut()) {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            if turn >= BYTES.len() {
                *byte = (random >> 24) as u8;
            }
        }
        for weight in columns.as_flattened_mut() {
            *weight = if *weight == 128 { 129 } else { *weight };
        }
        for (lane, sum) in before.iter_mut().enumerate() {
            *sum = (random as i32 >> 3).wrapping_mul(lane as i32 + 1);
        }
        // The compiler must not compute the result: its idea of the instruction may be another one.
        let (row, columns) = (black_box(row), black_box(columns));
        let mut sums = [0; LANES];
        let quads = |quads: &Quads| quads.map(|[a, b, c, d]| [[a, b], [c, d]].map(i16::from_le_bytes));
        let (row_vector, column_vector) = (simd.load_pairs(&quads(&row)), simd.load_pairs(&quads(&columns)));
        simd.store_i32(D::dot_add(simd, simd.load_i32(&before), row_vector, column_vector), &mut sums);
        let is = |bytes| sums == dot_add(before, &row, &columns, bytes);
        unsigned &= is(RowBytes::Unsigned);
        signed &= is(RowBytes::Signed);
    }
    match (unsigned, signed) {
        (true, _) => Some(RowBytes::Unsigned),
        (_, true) => Some(RowBytes::Signed),
        _ => None,
    }
}

/// What an instruction for rows of `bytes` computes.
fn dot_add(mut sums: [i32; LANES], row: &Quads, columns: &Quads, bytes: RowBytes) -> [i32; LANES] {
    for (sum, (row, columns)) in sums.iter_mut().zip(row.iter().zip(columns)) {
        for (byte, weight) in row.iter().zip(columns) {
            *sum = sum.wrapping_add(bytes.value(*byte) * RowBytes::Signed.value(*weight));
        }
    }
    sums
}

/// Models of what engines and processors make of the relaxed dot product, so that each is tested everywhere.
#[cfg(test)]
pub(crate) mod models {
    use super::*;
    use crate::dispatch::{Kernel, dispatch};

    /// Four products and their sum.
    pub(crate) trait Model: Copy + Sync + Default {
        fn dot(sum: i32, row: [u8; 4], columns: [i8; 4]) -> i32;
    }

    /// x86 with AVX-VNNI: `vpdpbusd`.
    #[derive(Debug, Clone, Copy, Default)]
    pub(crate) struct Vpdpbusd;

    /// Arm with dot products, and x86 with AVX-VNNI-INT8: `sdot` and `vpdpbssd`.
    #[derive(Debug, Clone, Copy, Default)]
    pub(crate) struct Sdot;

    /// Older x86: `pmaddubsw`, which saturates, and `pmaddwd`.
    #[derive(Debug, Clone, Copy, Default)]
    pub(crate) struct Pmaddubsw;

    /// Older Arm, and V8's baseline compiler on any Arm: `smull` and `addp`, which wraps.
    #[derive(Debug, Clone, Copy, Default)]
    pub(crate) struct SmullAddp;

    impl Model for Vpdpbusd {
        fn dot(sum: i32, row: [u8; 4], columns: [i8; 4]) -> i32 {
            let products = row.iter().zip(columns).map(|(a, b)| i32::from(*a) * i32::from(b));
            products.fold(sum, i32::wrapping_add)
        }
    }

    impl Model for Sdot {
        fn dot(sum: i32, row: [u8; 4], columns: [i8; 4]) -> i32 {
            let products = row.iter().zip(columns).map(|(a, b)| i32::from(*a as i8) * i32::from(b));
            products.fold(sum, i32::wrapping_add)
        }
    }

    impl Model for Pmaddubsw {
        fn dot(sum: i32, [a, b, c, d]: [u8; 4], [e, f, g, h]: [i8; 4]) -> i32 {
            let product = |a: u8, b: i8| i32::from(a) * i32::from(b);
            let saturated = |pair: i32| pair.clamp(i16::MIN.into(), i16::MAX.into());
            let first = saturated(product(a, e) + product(b, f));
            sum.wrapping_add(first + saturated(product(c, g) + product(d, h)))
        }
    }

    impl Model for SmullAddp {
        fn dot(sum: i32, row: [u8; 4], columns: [i8; 4]) -> i32 {
            let product = |at: usize| i16::from(row[at] as i8) * i16::from(columns[at]);
            let pairs = [product(0).wrapping_add(product(1)), product(2).wrapping_add(product(3))];
            pairs.iter().fold(sum, |sum, pair| sum.wrapping_add((*pair).into()))
        }
    }

    impl<S: Simd, M: Model> ByteDot<S> for M {
        fn dot_add(simd: S, sum: S::I32, row: S::I16, columns: S::I16) -> S::I32 {
            let (mut sums, mut quads) = ([0; LANES], [[[0; 2]; LANES]; 2]);
            simd.store_i32(sum, &mut sums);
            simd.store_pairs(row, &mut quads[0]);
            simd.store_pairs(columns, &mut quads[1]);
            let bytes = |[a, b]: [i16; 2]| {
                let ([a, b], [c, d]) = (a.to_le_bytes(), b.to_le_bytes());
                [a, b, c, d]
            };
            for (sum, (row, columns)) in sums.iter_mut().zip(quads[0].iter().zip(&quads[1])) {
                *sum = M::dot(*sum, bytes(*row), bytes(*columns).map(|byte| byte as i8));
            }
            simd.load_i32(&sums)
        }
    }

    /// The probe's answer about a model, on the instruction set of this build.
    pub(crate) fn probed<M: Model>() -> Option<RowBytes> {
        struct Probe<M>(M);
        impl<M: Model> Kernel for Probe<M> {
            type Output = Option<RowBytes>;
            fn run<S: Simd>(self, simd: S) -> Option<RowBytes> {
                probe::<S, M>(simd)
            }
        }
        dispatch(Probe(M::default()))
    }

    /// Dot products by a model, everything else by the instruction set of this build.
    #[derive(Debug, Clone, Copy)]
    pub(crate) struct Modelled<M>(M, RowBytes);

    impl<M: Model> Modelled<M> {
        pub fn new() -> Option<Self> {
            probed::<M>().map(|bytes| Modelled(M::default(), bytes))
        }
    }

    impl<M: Model> ByteDots for Modelled<M> {
        fn backend(self) -> Backend {
            crate::backend()
        }

        fn row_bytes(self) -> RowBytes {
            self.1
        }

        fn run_bytes<K: ByteKernel>(self, kernel: K) -> K::Output {
            struct WithModel<K, M>(K, M);
            impl<K: ByteKernel, M: Model> Kernel for WithModel<K, M> {
                type Output = K::Output;
                fn run<S: Simd>(self, simd: S) -> K::Output {
                    self.0.run::<S, M>(simd)
                }
            }
            dispatch(WithModel(kernel, self.0))
        }
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::RowBytes;
    use super::models::{Pmaddubsw, Sdot, SmullAddp, Vpdpbusd, probed};

    #[test]
    fn the_probe_tells_what_each_instruction_is_exact_for() {
        assert_eq!(probed::<Vpdpbusd>(), Some(RowBytes::Unsigned));
        assert_eq!(probed::<Sdot>(), Some(RowBytes::Signed));
        assert_eq!(probed::<Pmaddubsw>(), None);
        assert_eq!(probed::<SmullAddp>(), Some(RowBytes::Signed));
    }
}
