//! Whether a GPU computes what the CPU does, and how fast, as www/worker/gpu-check.js finds out in the page.

use std::time::Instant;

use siglip::model::Model;
use siglip::{Precision, Towers};

use super::{GpuError, Input, Tower};

/// The largest difference of a block's results, relative to what the block adds to its input, and of a head's. With weights in 8
/// bits the CPU rounds activations, too, and the GPU does not.
const MOST_DIFFERENCE: f64 = 1e-4;
const MOST_DIFFERENCE_Q8: f64 = 1e-2;

/// Milliseconds that a tower takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Times {
    /// On the CPU, with all threads: so many times as long as the first block.
    pub cpu: f64,
    /// On the GPU.
    pub gpu: f64,
}

/// How much faster than the CPU the GPU has to be to be chosen by itself.
const WORTH_IT: f64 = 1.2;

impl Times {
    /// # Errors
    /// [`GpuError::Slow`] unless the GPU is at least 1.2 times as fast as the CPU.
    pub fn check_worth(self, tower: Towers) -> Result<(), GpuError> {
        let Times { cpu, gpu } = self;
        if cpu < WORTH_IT * gpu { Err(GpuError::Slow { tower: tower.name(), gpu, cpu }) } else { Ok(()) }
    }
}

/// Runs the first block of `tower` on the CPU and on the GPU, then all of it on two inputs and once more on the first, and compares
/// what its head makes of the last block's output.
///
/// `model` has the head and the first block of the tower `name`, in this precision; see [`siglip::Shard::BLOCKS_ELSEWHERE`].
///
/// # Errors
/// [`GpuError::Wrong`] says how the results differ; or as [`Tower::run_all`].
pub fn check_tower(
    model: &mut Model,
    name: Towers,
    tower: &mut Tower,
    precision: Precision,
) -> Result<Times, GpuError> {
    let plan = tower.plan();
    let (hidden_size, length) = (plan.hidden_size, plan.length);
    let (row_size, blocks, has_positions) = (plan.input.size, plan.blocks, plan.has_positions);
    let has_head = plan.embeddings.is_some();
    // Two sequences show whether each attends to itself alone.
    let sequences = if name == Towers::Text { 2 } else { 1 };
    let rows = sequences * length;
    let inputs = [1, 2].map(|seed| noise(rows * row_size, seed));
    let positions = if has_positions { noise(length * hidden_size, 3) } else { Vec::new() };
    if has_positions {
        tower.set_positions(None, &positions)?;
    }
    let [a, b] = [0, 1].map(|i| Input { rows: &inputs[i], sequences });
    tower.choose(a)?;
    let wrong = |reason: String| GpuError::Wrong(format!("the {} tower's {reason}", name.name()));
    let most = if precision.is_quantized() { MOST_DIFFERENCE_Q8 } else { MOST_DIFFERENCE };
    let mut cpu = f64::INFINITY;
    for input in [a, b] {
        let (stream, patches): (&[f32], &[f32]) =
            if has_positions { (&positions, input.rows) } else { (input.rows, &[]) };
        let start = Instant::now();
        let expected =
            model.first_block(name, stream, patches, sequences).map_err(|error| wrong(error.to_string()))?;
        cpu = cpu.min(milliseconds(start));
        for found in [tower.run_first_block(input)?, tower.run_first_block_of_many(input)?] {
            let difference = difference_of(&found, &expected, stream);
            if difference.is_nan() || difference > most {
                return Err(wrong(format!("first block differs by {difference} from the CPU's")));
            }
        }
    }
    let first = tower.run_all(a)?;
    let other = tower.run_all(b)?;
    let start = Instant::now();
    let again = tower.run_all(a)?;
    let gpu = milliseconds(start);
    if !is_finite(&first) || !is_finite(&other) {
        return Err(wrong("results are not finite".into()));
    }
    if !has_same_bits(&first, &again) {
        return Err(wrong("second results for the same input are others".into()));
    }
    if has_same_bits(&first, &other) {
        return Err(wrong("results for different inputs are the same".into()));
    }
    if has_head {
        let stream = tower.run_blocks(a)?;
        let expected = model.head(name, &stream, sequences).map_err(|error| wrong(error.to_string()))?;
        let difference = difference_of(&first, &expected, &vec![0.0; expected.len()]);
        if difference.is_nan() || difference > most {
            return Err(wrong(format!("head differs by {difference} from the CPU's")));
        }
    }
    tower.limit_submits(gpu);
    Ok(Times { cpu: cpu * blocks as f64, gpu })
}

/// Whether all are numbers.
pub(super) fn is_finite(values: &[f32]) -> bool {
    values.iter().all(|value| value.is_finite())
}

fn has_same_bits(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}

/// Values from -1 to 1, and one in 499 a hundred times as large, as in the residual streams of trained models.
fn noise(length: usize, seed: i32) -> Vec<f32> {
    let mut state = seed;
    let value = |i| {
        // Numerical Recipes' generator.
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state as f32 / (1u32 << 31) as f32 * if i % 499 == 0 { 100.0 } else { 1.0 }
    };
    (0..length).map(value).collect()
}

/// |actual - expected| / |expected - input|, in the Euclidean norm.
fn difference_of(actual: &[f32], expected: &[f32], input: &[f32]) -> f64 {
    let distance = |a: &[f32], b: &[f32]| {
        a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum::<f64>()
    };
    (distance(actual, expected) / distance(expected, input)).sqrt()
}

fn milliseconds(start: Instant) -> f64 {
    1e3 * start.elapsed().as_secs_f64()
}
