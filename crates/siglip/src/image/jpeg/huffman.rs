//! Huffman codes.

use super::source::{Bits, Decoded, Fault, LOOKAHEAD};

/// The largest number of bits of a DC difference.
pub const DC_BITS: u8 = 15;

/// Why a block cannot be decoded.
pub const NO_CODE: Fault = Fault::Broken("a Huffman code is missing");

/// A code as a file defines it.
#[derive(Clone)]
pub struct Definition {
    /// How many symbols have a code of 1 bit, of 2 bits and so on.
    pub lengths: [u8; 16],
    /// The symbols, shortest codes first.
    pub symbols: [u8; 256],
}

impl Definition {
    fn new(lengths: [u8; 16], listed: &[u8]) -> Definition {
        let mut symbols = [0; 256];
        symbols[..listed.len()].copy_from_slice(listed);
        Definition { lengths, symbols }
    }
}

/// The codes that a file without any, such as a frame of a Motion JPEG, means (JPEG, annex K.3): those of DC and AC
/// coefficients, each for luma and chroma.
pub fn defaults() -> [[Definition; 2]; 2] {
    const DC: [u8; 12] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
    [
        [
            Definition::new([0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0], &DC),
            Definition::new([0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0], &DC),
        ],
        [
            Definition::new([0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 0x7d], &LUMA_AC),
            Definition::new([0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 0x77], &CHROMA_AC),
        ],
    ]
}

#[rustfmt::skip]
const LUMA_AC: [u8; 162] = [
    0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51, 0x61, 0x07, 0x22, 0x71,
    0x14, 0x32, 0x81, 0x91, 0xa1, 0x08, 0x23, 0x42, 0xb1, 0xc1, 0x15, 0x52, 0xd1, 0xf0, 0x24, 0x33, 0x62, 0x72,
    0x82, 0x09, 0x0a, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2a, 0x34, 0x35, 0x36, 0x37,
    0x38, 0x39, 0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59,
    0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x83,
    0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0xa2, 0xa3,
    0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xc2, 0xc3,
    0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda, 0xe1, 0xe2,
    0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa,
];

#[rustfmt::skip]
const CHROMA_AC: [u8; 162] = [
    0x00, 0x01, 0x02, 0x03, 0x11, 0x04, 0x05, 0x21, 0x31, 0x06, 0x12, 0x41, 0x51, 0x07, 0x61, 0x71, 0x13, 0x22,
    0x32, 0x81, 0x08, 0x14, 0x42, 0x91, 0xa1, 0xb1, 0xc1, 0x09, 0x23, 0x33, 0x52, 0xf0, 0x15, 0x62, 0x72, 0xd1,
    0x0a, 0x16, 0x24, 0x34, 0xe1, 0x25, 0xf1, 0x17, 0x18, 0x19, 0x1a, 0x26, 0x27, 0x28, 0x29, 0x2a, 0x35, 0x36,
    0x37, 0x38, 0x39, 0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58,
    0x59, 0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a,
    0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a,
    0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba,
    0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda,
    0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa,
];

/// A code to decode with.
pub struct Code {
    /// By the next [`LOOKAHEAD`] bits: length and symbol, or a greater length where the code is longer.
    lookup: [(u8, u8); 1 << LOOKAHEAD],
    /// The largest code of each length, or -1; of length 17 one that is never exceeded.
    largest: [i32; 18],
    /// What added to a code of each length gives its place among the symbols.
    offset: [i32; 18],
    symbols: [u8; 256],
}

/// Annex C. `largest_symbol` is that of a DC code, whose symbols are numbers of bits.
pub fn code(definition: &Definition, largest_symbol: Option<u8>) -> Decoded<Code> {
    const WRONG: Fault = Fault::Broken("a Huffman code makes no sense");
    let mut lookup = [(LOOKAHEAD as u8 + 1, 0); 1 << LOOKAHEAD];
    let (mut largest, mut offset) = ([-1; 18], [0; 18]);
    let (mut code, mut place) = (0u32, 0usize);
    for (length, &count) in (1u32..).zip(&definition.lengths) {
        let count = usize::from(count);
        if place + count > 256 || code + count as u32 > 1 << length {
            return Err(WRONG);
        }
        if count > 0 {
            offset[length as usize] = place as i32 - code as i32;
            for symbol in &definition.symbols[place..place + count] {
                if let Some(spare) = LOOKAHEAD.checked_sub(length) {
                    let first = (code << spare) as usize;
                    lookup[first..first + (1 << spare)].fill((length as u8, *symbol));
                }
                code += 1;
            }
            place += count;
            largest[length as usize] = code as i32 - 1;
        }
        code <<= 1;
    }
    largest[17] = i32::MAX;
    if largest_symbol
        .is_some_and(|largest| definition.symbols[..place].iter().any(|&symbol| symbol > largest))
    {
        return Err(WRONG);
    }
    Ok(Code { lookup, largest, offset, symbols: definition.symbols })
}

impl Code {
    pub fn symbol(&self, bits: &mut Bits) -> Decoded<u32> {
        let mut length = 1;
        if let Some(next) = bits.peek()? {
            let (found, symbol) = self.lookup[next];
            if u32::from(found) <= LOOKAHEAD {
                bits.pass(u32::from(found));
                return Ok(u32::from(symbol));
            }
            length = LOOKAHEAD + 1;
        }
        let mut code = bits.take(length)? as i32;
        while code > self.largest[length as usize] {
            code = code << 1 | bits.take(1)? as i32;
            length += 1;
        }
        Ok(self.long_symbol(bits, code, length))
    }

    /// The same where [`Bits::is_ample`].
    #[inline(always)]
    pub fn fast_symbol(&self, bits: &mut Bits) -> u32 {
        let (found, symbol) = self.lookup[bits.fast_peek()];
        if u32::from(found) <= LOOKAHEAD {
            bits.pass(u32::from(found));
            return u32::from(symbol);
        }
        self.fast_long_symbol(bits)
    }

    fn fast_long_symbol(&self, bits: &mut Bits) -> u32 {
        let mut length = LOOKAHEAD + 1;
        let mut code = bits.fast_take(length) as i32;
        while code > self.largest[length as usize] {
            code = code << 1 | bits.fast_take(1) as i32;
            length += 1;
        }
        self.long_symbol(bits, code, length)
    }

    /// Bits that are no code stand for 0.
    fn long_symbol(&self, bits: &mut Bits, code: i32, length: u32) -> u32 {
        if length > 16 {
            bits.source.damage = Some("its data makes no sense");
            return 0;
        }
        u32::from(self.symbols[(code + self.offset[length as usize]) as usize & 0xff])
    }
}

/// The coefficient that `count` bits stand for (figure F.12).
#[inline(always)]
pub fn extend(bits: u32, count: u32) -> i32 {
    let value = bits as i32;
    if count > 0 && value < 1 << (count - 1) { value - (1 << count) + 1 } else { value }
}
