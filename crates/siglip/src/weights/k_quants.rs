//! Encodes ggml's k-quants: blocks of 256 numbers whose parts have scales of 6 or 8 bits, which share a scale in f16.
//!
//! The layout is that of `ggml-quants.c`, which `ggml_quants` decodes. The scale of each part, and its minimum, are those of the
//! least squared error among the roundings that a few trial scales give; each part is then rounded anew with the scale as it is
//! stored. An error counts by the importance of its number, where that is known.

use half::f16;

use super::ggml_quants::{Q4K, Q5K, Q6K, SUPER_BLOCK};

/// Numbers of a part with its own scale and minimum, in q4_K and q5_K.
const EIGHTH: usize = SUPER_BLOCK / 8;
/// Numbers of a part with its own scale in q6_K.
const SIXTEENTH: usize = SUPER_BLOCK / 16;
/// Trial scales on either side of the one that the largest number has as its largest level.
const TRIALS: i32 = 9;

/// Importance of numbers of which nothing is known.
const EQUAL: [f32; SUPER_BLOCK] = [1.0; SUPER_BLOCK];

/// Appends the blocks of `values`, which are whole rows of whole blocks. `importance` is that of the numbers of every row.
pub(super) fn encode<const BYTES: usize>(
    values: &[f32],
    importance: Option<&[f32]>,
    block: impl Fn(&[f32; SUPER_BLOCK], &[f32; SUPER_BLOCK]) -> [u8; BYTES],
    bytes: &mut Vec<u8>,
) {
    let importance = importance.map_or(&[EQUAL][..], |importance| importance.as_chunks().0);
    let blocks = values.as_chunks().0.iter().zip(importance.iter().cycle());
    bytes.extend(blocks.flat_map(|(values, importance)| block(values, importance)));
}

pub(super) fn q6_k(values: &[f32; SUPER_BLOCK], importance: &[f32; SUPER_BLOCK]) -> Q6K {
    let mut block = [0; _];
    let (parts, weights) = (values.as_chunks::<SIXTEENTH>().0, importance.as_chunks().0);
    let scales: Vec<f32> =
        parts.iter().zip(weights).map(|(part, weights)| symmetric_scale(part, weights)).collect();
    let largest = scales
        .iter()
        .fold(0.0f32, |largest, &scale| if scale.abs() > largest.abs() { scale } else { largest });
    if largest == 0.0 {
        return block;
    }
    // The largest scale becomes -128, the longest of 8 bits.
    let shared = f16::from_f32(largest / -128.0);
    let shared_value = shared.to_f32();
    for (n, (part, scale)) in parts.iter().zip(scales).enumerate() {
        let stored = level(scale, largest / -128.0, -128, 127);
        block[192 + n] = stored as i8 as u8;
        for (i, &value) in part.iter().enumerate().map(|(i, value)| (n * SIXTEENTH + i, value)) {
            let level = (level(value, shared_value * stored as f32, -32, 31) + 32) as u8;
            block[i / 128 * 64 + i % 64] |= (level & 15) << (i % 128 / 64 * 4);
            block[128 + i / 128 * 32 + i % 32] |= (level >> 4) << (i % 128 / 32 * 2);
        }
    }
    block[208..].copy_from_slice(&shared.to_le_bytes());
    block
}

pub(super) fn q4_k(values: &[f32; SUPER_BLOCK], importance: &[f32; SUPER_BLOCK]) -> Q4K {
    let mut block = [0; _];
    let levels = with_minima(values, importance, 15, &mut block);
    for (i, level) in levels.into_iter().enumerate() {
        block[16 + i / 64 * 32 + i % 32] |= level << (i % 64 / 32 * 4);
    }
    block
}

pub(super) fn q5_k(values: &[f32; SUPER_BLOCK], importance: &[f32; SUPER_BLOCK]) -> Q5K {
    let mut block = [0; _];
    let levels = with_minima(values, importance, 31, &mut block);
    for (i, level) in levels.into_iter().enumerate() {
        block[48 + i / 64 * 32 + i % 32] |= (level & 15) << (i % 64 / 32 * 4);
        block[16 + i % 32] |= (level >> 4) << (i / 32);
    }
    block
}

/// The levels of a q4_K or q5_K, from 0 to `most`. Writes the scales and minima to the start of its block.
fn with_minima(
    values: &[f32; SUPER_BLOCK],
    importance: &[f32; SUPER_BLOCK],
    most: i32,
    block: &mut [u8],
) -> [u8; SUPER_BLOCK] {
    let (parts, weights) = (values.as_chunks::<EIGHTH>().0, importance.as_chunks().0);
    let fit = |(part, weights)| scale_and_minimum(part, weights, most);
    let found: Vec<(f32, f32)> = parts.iter().zip(weights).map(fit).collect();
    let largest = |of: fn(&(f32, f32)) -> f32| found.iter().map(of).fold(0.0f32, f32::max);
    let (scale, minimum) =
        (f16::from_f32(largest(|of| of.0) / 63.0), f16::from_f32(largest(|of| of.1) / 63.0));
    block[..2].copy_from_slice(&scale.to_le_bytes());
    block[2..4].copy_from_slice(&minimum.to_le_bytes());
    let (scale, minimum) = (scale.to_f32(), minimum.to_f32());
    let mut levels = [0; SUPER_BLOCK];
    for (n, (part, (own_scale, own_minimum))) in parts.iter().zip(found).enumerate() {
        let stored = [level(own_scale, scale, 0, 63) as u8, level(own_minimum, minimum, 0, 63) as u8];
        store_six_bits(&mut block[4..16], n, stored);
        let [own_scale, own_minimum] = [scale * f32::from(stored[0]), minimum * f32::from(stored[1])];
        for (to, value) in levels[n * EIGHTH..].iter_mut().zip(part) {
            *to = level(value + own_minimum, own_scale, 0, most) as u8;
        }
    }
    levels
}

/// Writes the 6-bit scale and minimum of the `n`th eighth.
fn store_six_bits(packed: &mut [u8], n: usize, [scale, minimum]: [u8; 2]) {
    if n < 4 {
        packed[n] |= scale;
        packed[n + 4] |= minimum;
    } else {
        packed[n + 4] = (scale & 15) | (minimum & 15) << 4;
        packed[n - 4] |= (scale >> 4) << 6;
        packed[n] |= (minimum >> 4) << 6;
    }
}

/// The level nearest to `value`; 0 for a scale of 0.
fn level(value: f32, scale: f32, least: i32, most: i32) -> i32 {
    if scale == 0.0 { 0.clamp(least, most) } else { ((value / scale).round() as i32).clamp(least, most) }
}

/// The scale of the least squared error for levels from -32 to 31.
fn symmetric_scale(part: &[f32; SIXTEENTH], weights: &[f32; SIXTEENTH]) -> f32 {
    let largest =
        part.iter().fold(0.0f32, |largest, &value| if value.abs() > largest.abs() { value } else { largest });
    if largest == 0.0 {
        return 0.0;
    }
    let trial = |step: i32| {
        let scale = largest / -(32.0 + 0.1 * step as f32);
        let (mut product, mut square) = (0.0, 0.0);
        for (&value, weight) in part.iter().zip(weights) {
            let level = level(value, scale, -32, 31) as f32;
            product += weight * value * level;
            square += weight * level * level;
        }
        // The squared error is that of the zeros less this.
        (
            if square > 0.0 { product * product / square } else { 0.0 },
            if square > 0.0 { product / square } else { 0.0 },
        )
    };
    (-TRIALS..=TRIALS).map(trial).fold((0.0, 0.0), |best, next| if next.0 > best.0 { next } else { best }).1
}

/// The scale and minimum of the least squared error for `level * scale - minimum`, with levels from 0 to `most`. Neither is
/// negative.
fn scale_and_minimum(part: &[f32; EIGHTH], weights: &[f32; EIGHTH], most: i32) -> (f32, f32) {
    let least = part.iter().copied().fold(0.0f32, f32::min);
    let greatest = part.iter().copied().fold(f32::MIN, f32::max);
    if greatest <= least {
        return (0.0, -least);
    }
    let error = |(scale, minimum): (f32, f32)| {
        let of = |(&value, weight): (&f32, &f32)| {
            weight * (level(value + minimum, scale, 0, most) as f32 * scale - minimum - value).powi(2)
        };
        part.iter().zip(weights).map(of).sum::<f32>()
    };
    let count: f32 = weights.iter().sum();
    let trial = |step: i32| {
        let scale = (greatest - least) / (most as f32 + 0.1 * step as f32);
        let (mut levels, mut squares, mut products, mut values) = (0.0, 0.0, 0.0, 0.0);
        for (&value, weight) in part.iter().zip(weights) {
            let level = level(value - least, scale, 0, most) as f32;
            levels += weight * level;
            squares += weight * level * level;
            products += weight * level * value;
            values += weight * value;
        }
        let determinant = count * squares - levels * levels;
        let fitted = match determinant > 0.0 {
            true => (
                (count * products - values * levels) / determinant,
                (levels * products - squares * values) / determinant,
            ),
            false => (scale, -least),
        };
        match fitted {
            (scale, minimum) if scale > 0.0 && minimum >= 0.0 => (scale, minimum),
            // Without a minimum.
            _ if squares > 0.0 => ((products / squares).max(0.0), 0.0),
            _ => (scale, -least),
        }
    };
    let first = ((greatest - least) / most as f32, -least);
    let better = |best: (f32, (f32, f32)), next: (f32, f32)| {
        let error = error(next);
        if error < best.0 { (error, next) } else { best }
    };
    (-TRIALS..=TRIALS).map(trial).fold((error(first), first), better).1
}

#[cfg(test)]
mod tests {
    use super::super::ggml_quants;
    use super::*;

    fn weights(seed: u64) -> [f32; SUPER_BLOCK] {
        let mut random = fastrand::Rng::with_seed(seed);
        // A sum of uniform numbers is nearly normal, as weights are.
        std::array::from_fn(|_| (0..6).map(|_| random.f32() - 0.5).sum::<f32>() * 0.05)
    }

    fn error(values: &[f32], decoded: &[f32]) -> f64 {
        let sum =
            |each: &mut dyn Iterator<Item = f32>| each.map(f64::from).map(|value| value * value).sum::<f64>();
        let lost = sum(&mut values.iter().zip(decoded).map(|(a, b)| a - b));
        (lost / sum(&mut values.iter().copied())).sqrt()
    }

    #[test]
    fn each_kind_loses_no_more_than_its_bits_allow() {
        let mut worst = [0.0f64; 3];
        for seed in 0..200 {
            let values = weights(seed);
            let decoded = [
                ggml_quants::q6_k(&q6_k(&values, &EQUAL)),
                ggml_quants::q5_k(&q5_k(&values, &EQUAL)),
                ggml_quants::q4_k(&q4_k(&values, &EQUAL)),
            ];
            for (worst, decoded) in worst.iter_mut().zip(&decoded) {
                *worst = worst.max(error(&values, decoded));
            }
        }
        assert!(worst[0] < 0.023 && worst[1] < 0.043 && worst[2] < 0.085, "{worst:?}");
    }

    #[test]
    fn numbers_of_one_sign_zeros_and_one_large_number_come_back() {
        let mut random = fastrand::Rng::with_seed(7);
        let positive: [f32; SUPER_BLOCK] = std::array::from_fn(|_| 1.0 + random.f32());
        let negative = positive.map(|value| -value);
        let mut spike = [0.0; SUPER_BLOCK];
        spike[77] = 3.0;
        for values in [positive, negative, spike, [0.0; SUPER_BLOCK], [-0.25; SUPER_BLOCK]] {
            let decoded = [
                ggml_quants::q6_k(&q6_k(&values, &EQUAL)),
                ggml_quants::q5_k(&q5_k(&values, &EQUAL)),
                ggml_quants::q4_k(&q4_k(&values, &EQUAL)),
            ];
            for decoded in decoded {
                assert!(decoded.iter().all(|value| value.is_finite()));
                let lost = error(&values, &decoded);
                assert!(lost.is_nan() || lost < 0.05, "{lost}: {:?}", &values[..2]);
            }
        }
        assert_eq!(ggml_quants::q4_k(&q4_k(&[0.0; SUPER_BLOCK], &EQUAL)), [0.0; SUPER_BLOCK]);
    }

    #[test]
    fn numbers_that_count_more_lose_less() {
        let weighted = |values: &[f32], decoded: &[f32], importance: &[f32]| -> f64 {
            let each = values.iter().zip(decoded).zip(importance);
            each.map(|((a, b), weight)| f64::from(weight * (a - b).powi(2))).sum()
        };
        let mut sums = [[0.0f64; 2]; 3];
        for seed in 0..100 {
            let values = weights(seed);
            // A few inputs are far larger than the others, as a trained model's are.
            let importance: [f32; SUPER_BLOCK] =
                std::array::from_fn(|n| if n % 13 == 0 { 100.0 } else { 1.0 });
            for (at, importances) in [EQUAL, importance].iter().enumerate() {
                let decoded = [
                    ggml_quants::q6_k(&q6_k(&values, importances)),
                    ggml_quants::q5_k(&q5_k(&values, importances)),
                    ggml_quants::q4_k(&q4_k(&values, importances)),
                ];
                for (sums, decoded) in sums.iter_mut().zip(&decoded) {
                    sums[at] += weighted(&values, decoded, &importance);
                }
            }
        }
        for [equal, weighted] in sums {
            assert!(weighted < 0.8 * equal, "{sums:?}");
        }
    }
}
