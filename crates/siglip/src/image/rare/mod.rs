//! Formats that few pictures have, read as Pillow reads them where it does.

mod grey;
mod icon;
mod jxl;
mod pnm;
mod qoi;
mod tga;
mod tiff;

use super::format::Rare;
use super::{Decoded, ImageError};

pub(super) fn decode(format: Rare, bytes: &[u8]) -> Result<Decoded, ImageError> {
    match format {
        Rare::Icon => icon::decode(bytes),
        Rare::JpegXl => jxl::decode(bytes),
        Rare::Pnm => pnm::decode(bytes).map(Decoded::from),
        Rare::Qoi => qoi::decode(bytes).map(Decoded::from),
        Rare::Tga => tga::decode(bytes).map(Decoded::from),
        Rare::Tiff => tiff::decode(bytes).map(Decoded::from),
    }
}
