//! Damaged pictures.

use siglip::image::decode;

/// SplitMix64.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) % end as u64) as usize
    }
}

/// A picture or an error, whose message holds none of a decoder's insides.
pub fn decode_damaged(file: &[u8]) {
    if let Err(error) = decode(file) {
        let message = error.to_string();
        assert!(!message.contains(" { "), "the insides of a decoder: {message}");
    }
}
