//! The compressions, by the standard's numbers. Each fills the rows of a part, or fails as libtiff does.

use std::io::{ErrorKind, Read};

use lzma_rust2::XzReader;
use miniz_oxide::inflate::core::inflate_flags::{
    TINFL_FLAG_IGNORE_ADLER32, TINFL_FLAG_PARSE_ZLIB_HEADER, TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF,
};
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};
use ruzstd::decoding::StreamingDecoder;
use weezl::BitOrder;
use weezl::decode::Configuration;

use super::super::super::ImageError;
use super::{broken, cut_short, unsupported};

pub const NONE: i64 = 1;
pub const HUFFMAN: i64 = 2;
pub const GROUP_3: i64 = 3;
pub const GROUP_4: i64 = 4;
pub const LZW: i64 = 5;
pub const OLD_JPEG: i64 = 6;
pub const JPEG: i64 = 7;
pub const DEFLATE: i64 = 8;
pub const PACKBITS: i64 = 32773;
pub const OLD_DEFLATE: i64 = 32946;
pub const LZMA: i64 = 34925;
pub const ZSTANDARD: i64 = 50000;

/// The largest dictionary of LZMA and window of Zstandard, in bytes: those of their strongest usual settings.
const WINDOW: u32 = 128 << 20;

/// What a compression that is not decoded here is called.
pub fn name(compression: i64) -> String {
    let name = match compression {
        9 | 10 => "JBIG",
        32766 | 32771 | 32809 => "one of old scanners and printers",
        34676 | 34677 => "SGI's LogLuv",
        33003 | 33005 | 34712 => "JPEG 2000",
        34887 => "LERC",
        34934 | 52546 => "JPEG XR or JPEG XL",
        50001 => "WebP",
        _ => return format!("compression {compression}"),
    };
    format!("compression {compression}, {name}")
}

pub fn lzw(data: &[u8], pixels: &mut [u8]) -> Result<(), ImageError> {
    // Files of before 1990 have the codes of GIF: their bits in the other order, and longer ones a code later.
    let is_old = matches!(data, [0, second, ..] if second & 1 == 1);
    let mut decoder = if is_old {
        Configuration::new(BitOrder::Lsb, 8).build()
    } else {
        Configuration::with_tiff_size_switch(BitOrder::Msb, 8).build()
    };
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

pub fn lzma(data: &[u8], pixels: &mut [u8]) -> Result<(), ImageError> {
    let mut reader = XzReader::new_mem_limit(data, false, WINDOW / 1024);
    reader.read_exact(pixels).map_err(|error| match error.kind() {
        ErrorKind::UnexpectedEof => cut_short(),
        ErrorKind::OutOfMemory | ErrorKind::Unsupported => unsupported(format!("LZMA: {error}")),
        _ => broken("its compressed data makes no sense"),
    })
}

pub fn zstandard(data: &[u8], pixels: &mut [u8]) -> Result<(), ImageError> {
    let makes_no_sense = |_| broken("its compressed data makes no sense");
    let decoder = StreamingDecoder::new_with_max_window_size(data, WINDOW.into());
    decoder.map_err(makes_no_sense)?.read_exact(pixels).map_err(|error| match error.kind() {
        ErrorKind::UnexpectedEof => cut_short(),
        _ => broken("its compressed data makes no sense"),
    })
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
