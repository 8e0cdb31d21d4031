//! The compressions, by the standard's numbers. Each fills the rows of a part, or fails as libtiff does.

use miniz_oxide::inflate::core::inflate_flags::{
    TINFL_FLAG_IGNORE_ADLER32, TINFL_FLAG_PARSE_ZLIB_HEADER, TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF,
};
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};
use weezl::BitOrder;
use weezl::decode::Configuration;

use super::super::super::ImageError;
use super::{broken, cut_short, unsupported};

pub const NONE: i64 = 1;
pub const HUFFMAN: i64 = 2;
pub const GROUP_3: i64 = 3;
pub const GROUP_4: i64 = 4;
pub const LZW: i64 = 5;
pub const JPEG: i64 = 7;
pub const DEFLATE: i64 = 8;
pub const PACKBITS: i64 = 32773;
pub const OLD_DEFLATE: i64 = 32946;

/// What a compression that is not decoded here is called.
pub fn name(compression: i64) -> String {
    let name = match compression {
        6 => "JPEG of the first TIFF standard",
        9 | 10 => "JBIG",
        32766 | 32771 | 32809 => "one of old scanners and printers",
        34676 | 34677 => "SGI's LogLuv",
        33003 | 33005 | 34712 => "JPEG 2000",
        34887 => "LERC",
        34925 => "LZMA",
        34934 | 52546 => "JPEG XR or JPEG XL",
        50000 => "Zstandard",
        50001 => "WebP",
        _ => return format!("compression {compression}"),
    };
    format!("compression {compression}, {name}")
}

pub fn lzw(data: &[u8], pixels: &mut [u8]) -> Result<(), ImageError> {
    // Files of before 1990 have the bits of their codes in the other order.
    if matches!(data, [0, second, ..] if second & 1 == 1) {
        return Err(unsupported("LZW of the first TIFF writers"));
    }
    let mut decoder = Configuration::with_tiff_size_switch(BitOrder::Msb, 8).build();
    let mut unpacked = 0;
    let mut rest = data;
    while unpacked < pixels.len() {
        let result = decoder.decode_bytes(rest, &mut pixels[unpacked..]);
        rest = &rest[result.consumed_in..];
        unpacked += result.consumed_out;
        match result.status {
            Ok(weezl::LzwStatus::Ok) if result.consumed_in + result.consumed_out > 0 => {}
            _ if unpacked == pixels.len() => {}
            Ok(_) => return Err(cut_short()),
            Err(_) => return Err(broken("its compressed data makes no sense")),
        }
    }
    Ok(())
}

pub fn deflate(data: &[u8], pixels: &mut [u8]) -> Result<(), ImageError> {
    let flags =
        TINFL_FLAG_PARSE_ZLIB_HEADER | TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF | TINFL_FLAG_IGNORE_ADLER32;
    let (_, _, unpacked) = decompress(&mut DecompressorOxide::new(), data, pixels, 0, flags);
    if unpacked < pixels.len() { Err(cut_short()) } else { Ok(()) }
}

/// What exceeds the part is dropped.
pub fn packbits(data: &[u8], mut pixels: &mut [u8]) -> Result<(), ImageError> {
    let mut bytes = data;
    while !pixels.is_empty() {
        let (&code, rest) = bytes.split_first().ok_or_else(cut_short)?;
        let code = code as i8;
        bytes = rest;
        if code == -128 {
            continue;
        }
        let (filled, left) = pixels.split_at_mut((usize::from(code.unsigned_abs()) + 1).min(pixels.len()));
        if code < 0 {
            let (&byte, rest) = bytes.split_first().ok_or_else(cut_short)?;
            filled.fill(byte);
            bytes = rest;
        } else {
            let (stored, rest) = bytes.split_at_checked(filled.len()).ok_or_else(cut_short)?;
            filled.copy_from_slice(stored);
            bytes = rest;
        }
        pixels = left;
    }
    Ok(())
}
