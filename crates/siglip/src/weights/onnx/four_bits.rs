//! Numbers of 4 bits, as onnxruntime stores them: `MatMulNBits` and `MatMulBnb4`.

use super::weight::Codes;

/// bitsandbytes' tables: [`dequantize_blockwise_bnb4.h`](https://github.com/microsoft/onnxruntime/blob/main/onnxruntime/contrib_ops/cpu/quantization/blockwise_quant_block_bnb4.h).
const FLOAT: [f32; 16] = [
    0.0,
    0.005_208_333_5,
    0.666_666_7,
    1.0,
    0.333_333_34,
    0.5,
    0.166_666_67,
    0.25,
    -0.0,
    -0.005_208_333_5,
    -0.666_666_7,
    -1.0,
    -0.333_333_34,
    -0.5,
    -0.166_666_67,
    -0.25,
];
const NORMAL_FLOAT: [f32; 16] = [
    -1.0,
    -0.696_192_8,
    -0.525_073_05,
    -0.394_917_5,
    -0.284_441_38,
    -0.184_773_43,
    -0.091_050_036,
    0.0,
    0.079_580_3,
    0.160_930_2,
    0.246_112_3,
    0.337_915_24,
    0.440_709_83,
    0.562_617,
    0.722_956_84,
    1.0,
];
/// The zero point of levels that are stored without.
const MIDDLE: u8 = 8;

/// A matrix with rows of `inputs` numbers, in blocks that share a scale.
pub struct FourBits<'b> {
    pub codes: &'b Codes,
    pub inputs: usize,
    pub block: usize,
    pub packed: &'b [u8],
    pub scales: &'b [f32],
    /// Two to a byte; empty if they are not stored.
    pub zero_points: &'b [u8],
}

impl FourBits<'_> {
    /// The lengths that `packed`, `scales` and `zero_points` must have; `None` if they exceed the address space.
    pub fn lengths(codes: &Codes, inputs: usize, outputs: usize, block: usize) -> Option<[usize; 3]> {
        let blocks = inputs.div_ceil(block);
        Some(match codes {
            Codes::Levels { zero_points } => [
                outputs.checked_mul(blocks)?.checked_mul(block / 2)?,
                outputs.checked_mul(blocks)?,
                if zero_points.is_some() { outputs.checked_mul(blocks.div_ceil(2))? } else { 0 },
            ],
            // One row goes on where the one before it ends.
            Codes::Float | Codes::NormalFloat => {
                let numbers = outputs.checked_mul(inputs)?;
                [numbers / 2, numbers.div_ceil(block), 0]
            }
        })
    }

    /// Appends a row's numbers to `values`.
    pub fn decode(&self, row: usize, values: &mut Vec<f32>) {
        let table = match self.codes {
            Codes::Levels { .. } => return self.decode_levels(row, values),
            Codes::Float => &FLOAT,
            Codes::NormalFloat => &NORMAL_FLOAT,
        };
        let numbers = row * self.inputs..(row + 1) * self.inputs;
        values.extend(numbers.map(|number| {
            // The first of two is in the high half.
            let code = nibble(self.packed[number / 2], number + 1);
            table[usize::from(code)] * self.scales[number / self.block]
        }));
    }

    fn decode_levels(&self, row: usize, values: &mut Vec<f32>) {
        let blocks = self.inputs.div_ceil(self.block);
        for block in 0..blocks {
            let at = row * blocks + block;
            let scale = self.scales[at];
            let zero_point = match self.zero_points {
                [] => MIDDLE,
                packed => nibble(packed[row * blocks.div_ceil(2) + block / 2], block),
            };
            let packed = &self.packed[at * (self.block / 2)..][..self.block / 2];
            let len = self.block.min(self.inputs - block * self.block);
            // The first of two is in the low half.
            values.extend(
                (0..len).map(|i| (f32::from(nibble(packed[i / 2], i)) - f32::from(zero_point)) * scale),
            );
        }
    }
}

fn nibble(byte: u8, at: usize) -> u8 {
    if at.is_multiple_of(2) { byte & 15 } else { byte >> 4 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(matrix: &FourBits<'_>, rows: usize) -> Vec<Vec<f32>> {
        let row = |row| {
            let mut values = Vec::new();
            matrix.decode(row, &mut values);
            values
        };
        (0..rows).map(row).collect()
    }

    /// Recorded from onnxruntime 1.32, whose product with the identity is the matrix.
    #[test]
    fn levels_are_those_of_onnxruntime() {
        let packed = [
            248, 194, 190, 207, 147, 26, 237, 21, 245, 211, 239, 45, 5, 157, 159, 60, 54, 236, 109, 46, 199,
            82, 32, 205, 36, 7, 134, 222, 57, 146, 8, 149, 14, 15, 22, 10, 144, 208, 24, 24, 7, 41, 11, 85,
            59, 104, 225, 110,
        ];
        let scales = [0.5, 0.25, 2.0, 1.0, -0.125, 4.0];
        let stored = Codes::Levels { zero_points: Some("z".into()) };
        assert_eq!(FourBits::lengths(&stored, 36, 2, 16), Some([48, 6, 4]));
        let matrix = |zero_points| FourBits {
            codes: &stored,
            inputs: 36,
            block: 16,
            packed: &packed,
            scales: &scales,
            zero_points,
        };
        let without = rows(&matrix(&[]), 2);
        assert_eq!(without[0][..6], [0.0, 3.5, -3.0, 2.0, 3.0, 1.5]);
        assert_eq!(without[0][32..], [-4.0, -10.0, 8.0, 12.0]);
        assert_eq!(without[1][14..20], [-3.0, 1.0, -0.75, 1.0, -0.875, 1.0]);
        let with = rows(&matrix(&[226, 201, 8, 159]), 2);
        assert_eq!(with[0][14..20], [1.5, -0.5, -2.25, 0.25, -2.75, -0.25]);
        assert_eq!(with[1][28..], [-1.0, -0.125, -1.0, -0.125, -32.0, -60.0, -24.0, -52.0]);
    }

    #[test]
    fn tables_are_those_of_onnxruntime() {
        let packed = [26, 27, 163, 122, 33, 41, 201, 67, 70, 166, 228, 40, 50, 179, 0];
        let scales = [0.5, 2.0];
        assert_eq!(FourBits::lengths(&Codes::Float, 10, 3, 16), Some([15, 2, 0]));
        let matrix = |codes| FourBits {
            codes,
            inputs: 10,
            block: 16,
            packed: &packed,
            scales: &scales,
            zero_points: &[],
        };
        let expected = [
            [0.002_604_166_7, -0.333_333_34, 0.002_604_166_7, -0.5, -0.333_333_34],
            [0.333_333_34, -0.002_604_166_7, -0.166_666_67, -0.002_604_166_7, 0.166_666_67],
            [-0.333_333_34, 0.666_666_7, 1.333_333_4, 0.0, 2.0],
        ];
        for (found, expected) in rows(&matrix(&Codes::Float), 3).iter().zip(expected) {
            assert_eq!(found[..5], expected);
        }
        let expected = [
            [-0.348_096_4, 0.123_056_15, -0.348_096_4, 0.168_957_62, 0.123_056_15],
            [-0.262_536_53, 0.080_465_1, 0.220_354_92, 0.080_465_1, -0.142_220_69],
            [1.445_913_7, -0.568_882_76, -1.050_146_1, 0.159_160_6, -0.789_835],
        ];
        for (found, expected) in rows(&matrix(&Codes::NormalFloat), 3).iter().zip(expected) {
            assert_eq!(found[..5], expected);
        }
    }
}
