use super::MAX_PIXELS;

/// Why a picture cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// There is nothing in it: no bytes, or no pixels.
    #[error("the picture is empty; is the file complete?")]
    Empty,
    /// The file is of a format that is not decoded here.
    #[error("{}", unsupported_format(*.format))]
    UnsupportedFormat {
        /// The format's name, where the first bytes tell it.
        format: Option<&'static str>,
    },
    /// The file is of a format that the crate's feature `rare-formats` decodes, and this build lacks it.
    #[error("{}", unsupported_format(Some(*.format)))]
    RareFormat {
        /// The format's name.
        format: &'static str,
    },
    /// The file is of a known format, but of a rare kind of it.
    #[error("this {format} is of a kind that is not decoded here ({reason}); convert it to PNG")]
    UnsupportedKind {
        /// The format's name.
        format: &'static str,
        /// What is out of the ordinary.
        reason: String,
    },
    /// The file is damaged or cut short.
    #[error("this {format} file is broken or cut short ({reason}); fetch or save it again")]
    Broken {
        /// The format's name.
        format: &'static str,
        /// What the decoder stumbled over.
        reason: String,
    },
    /// More pixels than [`MAX_PIXELS`], or than memory holds.
    #[error(
        "a picture of {width} x {height} pixels is too large: {MAX_PIXELS} pixels at most, and what memory holds; \
         scale it down"
    )]
    TooLarge {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// Pixel data that does not fit its sides.
    #[error("{found} bytes of pixels where {width} x {height} pixels have {expected}")]
    WrongLength {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// Bytes there should be.
        expected: usize,
        /// Bytes there are.
        found: usize,
    },
}

fn unsupported_format(format: Option<&str>) -> String {
    const CONVERT: &str = "convert it to PNG, JPEG, GIF, WebP or BMP";
    match format {
        // What iPhones take photos in unless told otherwise.
        Some("HEIC") => {
            "this is HEIC, which is not decoded here: save or share it as JPEG, or have an iPhone take \
            JPEGs (Settings, Camera, Formats, Most Compatible)"
                .into()
        }
        Some(format) => format!("this is {format}, which is not decoded here; {CONVERT}"),
        None => format!("this is no picture in a known format; {CONVERT}"),
    }
}

impl ImageError {
    /// Whether the file may be fine and only its format or kind is not decoded here, so that the browser's decoder
    /// is worth a try.
    pub fn is_unsupported_format(&self) -> bool {
        matches!(
            self,
            ImageError::UnsupportedFormat { .. }
                | ImageError::RareFormat { .. }
                | ImageError::UnsupportedKind { .. }
        )
    }

    pub(super) fn broken(format: &'static str, reason: impl ToString) -> ImageError {
        ImageError::Broken { format, reason: reason.to_string() }
    }

    pub(super) fn unsupported(format: &'static str, reason: impl ToString) -> ImageError {
        ImageError::UnsupportedKind { format, reason: reason.to_string() }
    }
}
