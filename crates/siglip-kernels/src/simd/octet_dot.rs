//! Products of two rows with two columns at a time, eight bytes of each.
//!
//! Eight neighbouring bytes of a row or column are an octet.

use super::{Backend, Simd};
use crate::dispatch::OctetKernel;
use crate::layout::{ColumnStepI8, ColumnStepOctets, RowStepOctets};
use crate::microkernel::Operand;

/// An instruction that multiplies octets of i8. What is a row to [`Operand`] is a pair of rows here.
pub(crate) trait OctetDot<S: Simd>:
    Operand<S, RowStep = RowStepOctets, ColumnStep = ColumnStepOctets>
{
    /// Brings four steps of a panel of weights together.
    fn gather(simd: S, steps: &[ColumnStepI8; 4]) -> ColumnStepOctets;
    /// The sums of either row of a pair.
    fn split(simd: S, sums: Self::Sum) -> [S::I32; 2];
}

/// A processor's way to multiply octets. A value of it proves that the processor has the instruction.
pub(crate) trait OctetDots: Copy + Sync {
    /// The backend with this instruction.
    fn backend(self) -> Backend;
    /// Runs a kernel with the instruction.
    fn run_octets<K: OctetKernel>(self, kernel: K) -> K::Output;
}

/// A model of the instruction, so that every build tests what is around it.
#[cfg(test)]
pub(crate) mod model {
    use super::*;
    use crate::dispatch::{Kernel, dispatch};
    use crate::layout::OCTET_ROWS;
    use crate::simd::LANES;

    #[derive(Debug, Clone, Copy)]
    pub(crate) struct Model;

    impl<S: Simd> Operand<S> for Model {
        type RowStep = RowStepOctets;
        type ColumnStep = ColumnStepOctets;
        type Row = [[i8; 8]; 2];
        type Columns = ColumnStepOctets;
        type Sum = [[i32; LANES]; 2];

        const ROWS: usize = OCTET_ROWS / 2;

        fn zero(_: S) -> Self::Sum {
            Default::default()
        }

        fn broadcast(_: S, step: &RowStepOctets, pair: usize) -> Self::Row {
            step[pair]
        }

        fn load(_: S, step: &ColumnStepOctets) -> ColumnStepOctets {
            *step
        }

        fn accumulate(_: S, rows: Self::Row, columns: ColumnStepOctets, mut sums: Self::Sum) -> Self::Sum {
            for (sums, row) in sums.iter_mut().zip(&rows) {
                for (sum, column) in sums.iter_mut().zip(&columns) {
                    let products = row.iter().zip(column).map(|(a, b)| i32::from(*a) * i32::from(*b));
                    *sum = products.fold(*sum, i32::wrapping_add);
                }
            }
            sums
        }
    }

    impl<S: Simd> OctetDot<S> for Model {
        fn gather(_: S, steps: &[ColumnStepI8; 4]) -> ColumnStepOctets {
            std::array::from_fn(|column| std::array::from_fn(|at| steps[at / 2][column][at % 2]))
        }

        fn split(simd: S, sums: Self::Sum) -> [S::I32; 2] {
            sums.map(|sums| simd.load_i32(&sums))
        }
    }

    impl OctetDots for Model {
        fn backend(self) -> Backend {
            crate::backend()
        }

        fn run_octets<K: OctetKernel>(self, kernel: K) -> K::Output {
            struct WithModel<K>(K);
            impl<K: OctetKernel> Kernel for WithModel<K> {
                type Output = K::Output;
                fn run<S: Simd>(self, simd: S) -> K::Output {
                    self.0.run::<S, Model>(simd)
                }
            }
            dispatch(WithModel(kernel))
        }
    }
}
