//! ggml's blocks of quantized numbers. They are decoded to f32 exactly as in `ggml-quants.c`: every product and
//! difference is rounded to f32, in the same order.

use half::f16;

/// Numbers of a plain ggml block.
pub(super) const BLOCK: usize = 32;
/// Numbers of a k-quant's block.
pub(super) const SUPER_BLOCK: usize = 256;

/// The bytes of one ggml block. Scales come first, except in q2_K (second last), q3_K and q6_K (last).
pub(super) type Q4_0 = [u8; 2 + 16];
pub(super) type Q4_1 = [u8; 2 + 2 + 16];
pub(super) type Q5_0 = [u8; 2 + 4 + 16];
pub(super) type Q5_1 = [u8; 2 + 2 + 4 + 16];
pub(super) type Q8_0 = [u8; 2 + 32];
pub(super) type Q2K = [u8; 16 + 64 + 2 + 2];
pub(super) type Q3K = [u8; 32 + 64 + 12 + 2];
pub(super) type Q4K = [u8; 2 + 2 + 12 + 128];
pub(super) type Q5K = [u8; 2 + 2 + 12 + 32 + 128];
pub(super) type Q6K = [u8; 128 + 64 + 16 + 2];

/// Appends the numbers of all blocks in `bytes`.
pub(super) fn decode<const BYTES: usize, const LEN: usize>(
    bytes: &[u8],
    block: impl Fn(&[u8; BYTES]) -> [f32; LEN],
    values: &mut Vec<f32>,
) {
    values.extend(bytes.as_chunks().0.iter().flat_map(block));
}

fn half_at(block: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([block[at], block[at + 1]]).to_f32()
}

/// `worth` if bit `bit` of a byte or word is set, otherwise 0.
fn high(bits: impl Into<u32>, bit: usize, worth: u8) -> u8 {
    ((bits.into() >> bit) & 1) as u8 * worth
}

/// Sixteen bytes as 32 numbers of four bits: all low halves, then all high halves.
fn nibbles(quants: &[u8]) -> [u8; BLOCK] {
    std::array::from_fn(|i| if i < 16 { quants[i] & 15 } else { quants[i - 16] >> 4 })
}

fn fifth_bits(block: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]])
}

pub(super) fn q4_0(block: &Q4_0) -> [f32; BLOCK] {
    let scale = half_at(block, 0);
    nibbles(&block[2..]).map(|quant| (f32::from(quant) - 8.0) * scale)
}

pub(super) fn q4_1(block: &Q4_1) -> [f32; BLOCK] {
    let (scale, minimum) = (half_at(block, 0), half_at(block, 2));
    nibbles(&block[4..]).map(|quant| f32::from(quant) * scale + minimum)
}

pub(super) fn q5_0(block: &Q5_0) -> [f32; BLOCK] {
    let (scale, fifth, quants) = (half_at(block, 0), fifth_bits(block, 2), nibbles(&block[6..]));
    std::array::from_fn(|i| (f32::from(quants[i] | high(fifth, i, 16)) - 16.0) * scale)
}

pub(super) fn q5_1(block: &Q5_1) -> [f32; BLOCK] {
    let (scale, minimum) = (half_at(block, 0), half_at(block, 2));
    let (fifth, quants) = (fifth_bits(block, 4), nibbles(&block[8..]));
    std::array::from_fn(|i| f32::from(quants[i] | high(fifth, i, 16)) * scale + minimum)
}

pub(super) fn q8_0(block: &Q8_0) -> [f32; BLOCK] {
    let scale = half_at(block, 0);
    std::array::from_fn(|i| f32::from(block[2 + i] as i8) * scale)
}

/// The two bits of number `i` in a k-quant: 128 numbers share 32 bytes, and 32 numbers use the same pair of bits.
fn two_bits(quants: &[u8], i: usize) -> u8 {
    (quants[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2)) & 3
}

/// The four bits of number `i` in a k-quant: 64 numbers share 32 bytes, and 32 numbers use the same half of each.
fn four_bits(quants: &[u8], i: usize) -> u8 {
    (quants[i / 64 * 32 + i % 32] >> (i % 64 / 32 * 4)) & 15
}

pub(super) fn q2_k(block: &Q2K) -> [f32; SUPER_BLOCK] {
    let (scales, quants) = (&block[..16], &block[16..80]);
    let (scale, minimum) = (half_at(block, 80), half_at(block, 82));
    std::array::from_fn(|i| {
        let sixteenth = scales[i / 16];
        scale * f32::from(sixteenth & 15) * f32::from(two_bits(quants, i))
            - minimum * f32::from(sixteenth >> 4)
    })
}

pub(super) fn q3_k(block: &Q3K) -> [f32; SUPER_BLOCK] {
    let (high_bits, quants, scales) = (&block[..32], &block[32..96], &block[96..108]);
    let scale = half_at(block, 108);
    // There are sixteen 6-bit scales. Their low four bits fill bytes 0 to 7, their high two bits bytes 8 to 11.
    let sixteenth = |n: usize| {
        let low = (scales[n % 8] >> (n / 8 * 4)) & 15;
        let high = (scales[8 + n % 4] >> (n / 4 * 2)) & 3;
        f32::from(low | high << 4) - 32.0
    };
    std::array::from_fn(|i| {
        let third = high(high_bits[i % 32], i / 32, 4);
        scale * sixteenth(i / 16) * (f32::from(two_bits(quants, i) | third) - 4.0)
    })
}

/// The 6-bit scale and minimum of the `n`th 32 numbers of a q4_K or q5_K block.
fn scale_and_minimum(packed: &[u8], n: usize) -> (f32, f32) {
    let (scale, minimum) = if n < 4 {
        (packed[n] & 63, packed[n + 4] & 63)
    } else {
        let (low, scale_high, minimum_high) = (packed[n + 4], packed[n - 4] >> 6, packed[n] >> 6);
        (low & 15 | scale_high << 4, low >> 4 | minimum_high << 4)
    };
    (f32::from(scale), f32::from(minimum))
}

pub(super) fn q4_k(block: &Q4K) -> [f32; SUPER_BLOCK] {
    let (scale, minimum) = (half_at(block, 0), half_at(block, 2));
    let (scales, quants) = (&block[4..16], &block[16..]);
    std::array::from_fn(|i| {
        let (eighth_scale, eighth_minimum) = scale_and_minimum(scales, i / 32);
        scale * eighth_scale * f32::from(four_bits(quants, i)) - minimum * eighth_minimum
    })
}

pub(super) fn q5_k(block: &Q5K) -> [f32; SUPER_BLOCK] {
    let (scale, minimum) = (half_at(block, 0), half_at(block, 2));
    let (scales, fifth, quants) = (&block[4..16], &block[16..48], &block[48..]);
    std::array::from_fn(|i| {
        let (eighth_scale, eighth_minimum) = scale_and_minimum(scales, i / 32);
        let quant = four_bits(quants, i) | high(fifth[i % 32], i / 32, 16);
        scale * eighth_scale * f32::from(quant) - minimum * eighth_minimum
    })
}

pub(super) fn q6_k(block: &Q6K) -> [f32; SUPER_BLOCK] {
    let (low, high, scales) = (&block[..128], &block[128..192], &block[192..208]);
    let scale = half_at(block, 208);
    std::array::from_fn(|i| {
        // 128 numbers share 64 bytes; the first 64 numbers are the low halves.
        let four = (low[i / 128 * 64 + i % 64] >> (i % 128 / 64 * 4)) & 15;
        let quant = f32::from(four | two_bits(high, i) << 4) - 32.0;
        scale * f32::from(scales[i / 16] as i8) * quant
    })
}

/// Encodes `values`, which are whole ggml blocks, as ggml's `quantize_row_q8_0_ref` does.
pub(super) fn encode_q8_0(values: &[f32], bytes: &mut Vec<u8>) {
    for block in values.as_chunks::<BLOCK>().0 {
        let largest = block.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
        let scale = largest / 127.0;
        let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
        bytes.extend(f16::from_f32(scale).to_le_bytes());
        bytes.extend(block.map(|value| (value * inverse).round() as i8 as u8));
    }
}
