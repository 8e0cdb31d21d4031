//! Whether a GPU computes what the CPU does, and how fast, as www/worker/gpu-check.js finds out in the page.

use std::time::Instant;

use siglip::model::Model;
use siglip::{Precision, Towers};

use super::{GpuError, Input, Tower};

/// The largest difference of a block's results, relative to what the block adds to its input. With weights in 8 bits the CPU
/// rounds activations, too, and the GPU does not.
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

/// Runs the first block of `tower` on the CPU and on the GPU, then all of it on two inputs and once more on the first.
///
/// `model` has the first block of the tower `name`, in this precision; see [`siglip::Shard::BLOCKS_ELSEWHERE`].
///
/// # Errors
/// [`GpuError::Wrong`] says how the results differ; or as [`Tower::run`].
pub fn check_tower(
    model: &mut Model,
    name: Towers,
    tower: &mut Tower,
    precision: Precision,
) -> Result<Times, GpuError> {
    let plan = tower.plan();
    let (hidden_size, length) = (plan.hidden_size, plan.length);
    let patch_values = plan.patches.as_ref().map_or(0, |patches| patches.values);
    let blocks = plan.weights.len() - usize::from(patch_values > 0);
    // Two sequences show whether each attends to itself alone.
    let sequences = if name == Towers::Text { 2 } else { 1 };
    let rows = sequences * length;
    let streams = [1, 2].map(|seed| noise(rows * hidden_size, seed));
    let patches = [3, 4].map(|seed| noise(rows * patch_values, seed));
    let [a, b] = [0, 1].map(|i| Input { hidden_states: &streams[i], patches: &patches[i], sequences });
    tower.choose(a)?;
    let wrong = |reason: String| GpuError::Wrong(format!("the {} tower's {reason}", name.name()));
    let mut cpu = f64::INFINITY;
    for input in [a, b] {
        let Input { hidden_states, patches, sequences } = input;
        let start = Instant::now();
        let expected = model
            .first_block(name, hidden_states, patches, sequences)
            .map_err(|error| wrong(error.to_string()))?;
        cpu = cpu.min(milliseconds(start));
        let difference = difference_of(&tower.run_first_block(input)?, &expected, hidden_states);
        let most = if precision.is_quantized() { MOST_DIFFERENCE_Q8 } else { MOST_DIFFERENCE };
        if difference.is_nan() || difference > most {
            return Err(wrong(format!("first block differs by {difference} from the CPU's")));
        }
    }
    let first = tower.run(a)?;
    let other = tower.run(b)?;
    let start = Instant::now();
    let again = tower.run(a)?;
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
