//! The inverse DCT: libjpeg-turbo's `jsimd_idct_islow` for x86, which computes as `jidctint.c` does and, where damaged
//! data leads out of 16 bits, wraps and saturates as its instructions do.

use super::block::Block;

/// Eight values that are computed alike.
type Lanes = [i32; 8];

fn lanes(of: impl Fn(usize) -> i32) -> Lanes {
    std::array::from_fn(of)
}

/// Numbers with so many bits of fraction.
const FRACTION: u32 = 13;
/// Bits of fraction between the two passes.
const BETWEEN: u32 = 2;

/// Samples of a block, row by row: `target` begins at the first, and rows lie `stride` apart.
pub fn inverse(block: &Block, quantizer: &[u16; 64], target: &mut [u8], stride: usize) {
    let value = |at: usize| block[at].wrapping_mul(quantizer[at] as i16);
    let rows_are_equal = block[8..].iter().all(|&coefficient| coefficient == 0);
    if rows_are_equal && block[1..8].iter().all(|&coefficient| coefficient == 0) {
        let level = (i32::from(value(0) << BETWEEN) + 16) >> 5;
        let sample = (level.clamp(-128, 127) + 128) as u8;
        for row in target.chunks_mut(stride).take(8) {
            row[..8].fill(sample);
        }
        return;
    }
    let between: [Lanes; 8] = if rows_are_equal {
        // Without a fraction to be rounded, and wrapping where rounding saturates.
        [lanes(|column| i32::from(value(column) << BETWEEN)); 8]
    } else {
        let rows = std::array::from_fn(|row| lanes(|column| i32::from(value(8 * row + column))));
        pass(rows, FRACTION - BETWEEN)
    };
    let columns = std::array::from_fn(|column| lanes(|row| between[row][column]));
    let samples = pass(columns, FRACTION + BETWEEN + 3);
    for (y, row) in target.chunks_mut(stride).take(8).enumerate() {
        for (x, sample) in row[..8].iter_mut().enumerate() {
            *sample = (samples[x][y].clamp(-128, 127) + 128) as u8;
        }
    }
}

/// One dimension, rounded to `shift` bits less and saturated to 16 bits.
fn pass(x: [Lanes; 8], shift: u32) -> [Lanes; 8] {
    let wrap = |value: i32| i32::from(value as i16);
    let mut out = [[0; 8]; 8];
    for lane in 0..8 {
        let x: [i32; 8] = std::array::from_fn(|at| x[at][lane]);
        // Even part.
        let z1 = (x[2] + x[6]).wrapping_mul(4433);
        let even2 = z1.wrapping_sub(x[6].wrapping_mul(15137));
        let even3 = z1.wrapping_add(x[2].wrapping_mul(6270));
        let even0 = wrap(x[0] + x[4]) << FRACTION;
        let even1 = wrap(x[0] - x[4]) << FRACTION;
        let sums = [
            even0.wrapping_add(even3),
            even1.wrapping_add(even2),
            even1.wrapping_sub(even2),
            even0.wrapping_sub(even3),
        ];
        // Odd part.
        let (z3, z4) = (wrap(x[7] + x[3]), wrap(x[5] + x[1]));
        let z5 = (z3 + z4).wrapping_mul(9633);
        let z3 = z5.wrapping_sub(z3.wrapping_mul(16069));
        let z4 = z5.wrapping_sub(z4.wrapping_mul(3196));
        let z1 = (x[7] + x[1]).wrapping_mul(-7373);
        let z2 = (x[5] + x[3]).wrapping_mul(-20995);
        let odd = [
            x[1].wrapping_mul(12299).wrapping_add(z1).wrapping_add(z4),
            x[3].wrapping_mul(25172).wrapping_add(z2).wrapping_add(z3),
            x[5].wrapping_mul(16819).wrapping_add(z2).wrapping_add(z4),
            x[7].wrapping_mul(2446).wrapping_add(z1).wrapping_add(z3),
        ];
        let round = |sum: i32| {
            (sum.wrapping_add(1 << (shift - 1)) >> shift).clamp(i32::from(i16::MIN), i32::from(i16::MAX))
        };
        for at in 0..4 {
            out[at][lane] = round(sums[at].wrapping_add(odd[at]));
            out[7 - at][lane] = round(sums[at].wrapping_sub(odd[at]));
        }
    }
    out
}
