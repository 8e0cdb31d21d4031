//! The layers' operations with their gradients, as custom operations of candle: each makes one pass over its rows
//! forwards and one backwards, where the same from candle's own operations makes ten and keeps every result between.

mod attention;
mod gelu;
mod layer_norm;
mod linear;
mod product;

use candle_core::{CpuStorage, Error, Layout, Result, Tensor};

pub use attention::attention;
pub use gelu::gelu;
pub use layer_norm::layer_norm;
pub use linear::{linear, linear_onto};
pub use product::Rounding;

/// The numbers of a contiguous f32 argument.
fn numbers<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let (start, end) =
        layout.contiguous_offsets().ok_or(Error::RequiresContiguous { op: "siglip-train" }.bt())?;
    Ok(&storage.as_slice::<f32>()?[start..end])
}

/// Runs `read` on the numbers of a tensor on the processor.
fn with_numbers<T>(tensor: &Tensor, read: impl FnOnce(&[f32]) -> T) -> Result<T> {
    let tensor = tensor.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        candle_core::Storage::Cpu(storage) => Ok(read(numbers(storage, layout)?)),
        _ => candle_core::bail!("training runs on the processor"),
    }
}

/// e^x by Cody and Waite's reduction and a polynomial of degree 6 (Cephes' expf), within 2 units in the last place:
/// plain arithmetic, so that loops over it are vectorised. Below -87 it is 0.
#[inline(always)]
fn exp(x: f32) -> f32 {
    let x = x.clamp(-87.0, 88.0);
    let n = (x * std::f32::consts::LOG2_E).round_ties_even();
    let r = n.mul_add(-0.693_359_4, x);
    let r = n.mul_add(2.121_944_4e-4, r);
    let p = 1.987_569_1e-4_f32;
    let p = p.mul_add(r, 1.398_199_9e-3);
    let p = p.mul_add(r, 8.333_452e-3);
    let p = p.mul_add(r, 4.166_579_6e-2);
    let p = p.mul_add(r, 1.666_666_5e-1);
    let p = p.mul_add(r, 0.5);
    let p = (p * r).mul_add(r, r) + 1.0;
    p * f32::from_bits(((n as i32 + 127) as u32) << 23)
}

/// What `join` makes of all values, beginning with `start`: in 16 lanes, which the compiler may vectorise, as it may not
/// join floats in order.
#[inline(always)]
fn reduce(values: &[f32], start: f32, join: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [start; 16];
    let chunks = values.chunks_exact(16);
    let rest = chunks.remainder();
    for chunk in chunks {
        for lane in 0..16 {
            lanes[lane] = join(lanes[lane], chunk[lane]);
        }
    }
    lanes.iter().chain(rest).copied().fold(start, join)
}

#[inline(always)]
fn sum(values: &[f32]) -> f32 {
    reduce(values, 0.0, |a, b| a + b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};

    /// Numbers between -1 and 1 that are the same on every run.
    pub fn noise(shape: &[usize], seed: u32) -> Tensor {
        let mut state = seed.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
        let values: Vec<f32> = (0..shape.iter().product())
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 8) as f32 / (1 << 23) as f32 - 1.0
            })
            .collect();
        Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
    }

    /// Holds results and gradients of an operation against those of the same from candle's own operations.
    pub fn same(
        inputs: &[Tensor],
        fused: impl Fn(&[Tensor]) -> Result<Tensor>,
        plain: impl Fn(&[Tensor]) -> Result<Tensor>,
    ) {
        let vars: Vec<Var> = inputs.iter().map(|input| Var::from_tensor(input).unwrap()).collect();
        let args: Vec<Tensor> = vars.iter().map(|var| var.as_tensor().clone()).collect();
        let (fused, plain) = (fused(&args).unwrap(), plain(&args).unwrap());
        let weights = noise(fused.dims(), 99);
        close(&fused, &plain);
        let gradients = |result: &Tensor| (result * &weights).unwrap().sum_all().unwrap().backward().unwrap();
        let (fused, plain) = (gradients(&fused), gradients(&plain));
        for var in &vars {
            close(fused.get(var).unwrap(), plain.get(var).unwrap());
        }
    }

    fn close(a: &Tensor, b: &Tensor) {
        assert_eq!(a.dims(), b.dims());
        let difference = (a - b).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
        let size = b.abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
        assert!(difference <= 2e-5 * size.max(1.0), "differ by {difference} at a size of {size}");
    }

    #[test]
    fn exp_is_that_of_the_standard_library() {
        for i in -8700..=8800 {
            let x = i as f32 / 100.0;
            let (ours, theirs) = (exp(x), x.exp());
            assert!((ours - theirs).abs() <= 4e-7 * theirs, "{x}: {ours} against {theirs}");
        }
    }
}
