use super::ImageError;

/// The largest picture that is decoded, in pixels: Pillow raises its `DecompressionBombError` above the same number,
/// twice its `MAX_IMAGE_PIXELS`.
pub const MAX_PIXELS: u64 = 2 * 89_478_485;

/// The most pixels that are decoded for one picture: those of frames that are not shown count, and so does what lies
/// beyond the picture's edge. Without a bound, a small file could keep a decoder busy for hours.
#[cfg(any(feature = "avif", feature = "rare-formats"))]
pub(super) const MOST_DECODED_PIXELS: u64 = 2 * MAX_PIXELS;

/// A picture in memory: 8 bits a channel, R G B, rows from the top without padding.
#[derive(Clone, PartialEq, Eq)]
pub struct RgbImage {
    width: u32,
    height: u32,
    data: Vec<u8>,
}

impl RgbImage {
    /// Takes `width * height` pixels of R G B.
    ///
    /// # Errors
    /// [`ImageError::Empty`] for a side of zero, [`ImageError::WrongLength`] where `data` does not fit the sides,
    /// [`ImageError::TooLarge`] above [`MAX_PIXELS`].
    pub fn from_rgb(width: u32, height: u32, data: Vec<u8>) -> Result<RgbImage, ImageError> {
        check_length(width, height, 3, data.len())?;
        Ok(RgbImage { width, height, data })
    }

    /// Copies `width * height` pixels of R G B A. Alpha is dropped, as by Pillow's `convert("RGB")`.
    ///
    /// # Errors
    /// As [`RgbImage::from_rgb`].
    pub fn from_rgba(width: u32, height: u32, rgba: &[u8]) -> Result<RgbImage, ImageError> {
        check_length(width, height, 4, rgba.len())?;
        RgbImage::from_pixels(width, height, rgba.chunks_exact(4).map(|pixel| [pixel[0], pixel[1], pixel[2]]))
    }

    /// As many of `pixels` as the sides say, which are to be checked.
    pub(super) fn from_pixels(
        width: u32,
        height: u32,
        pixels: impl Iterator<Item = [u8; 3]>,
    ) -> Result<RgbImage, ImageError> {
        let mut data = buffer(width, height, 3)?;
        for (rgb, pixel) in data.chunks_exact_mut(3).zip(pixels) {
            rgb.copy_from_slice(&pixel);
        }
        Ok(RgbImage { width, height, data })
    }

    /// Width in pixels, at least 1.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels, at least 1.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// The pixels: `3 * width * height` bytes, R G B, rows from the top.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// The pixels, as [`RgbImage::data`] shows them.
    pub fn into_data(self) -> Vec<u8> {
        self.data
    }
}

impl std::fmt::Debug for RgbImage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RgbImage({} x {})", self.width, self.height)
    }
}

/// Refuses pictures without pixels and picture bombs, before anything is allocated for them.
pub(super) fn check_sides(width: u32, height: u32) -> Result<(), ImageError> {
    match u64::from(width) * u64::from(height) {
        0 => Err(ImageError::Empty),
        pixels if pixels > MAX_PIXELS => Err(ImageError::TooLarge { width, height }),
        _ => Ok(()),
    }
}

fn check_length(width: u32, height: u32, channels: usize, found: usize) -> Result<(), ImageError> {
    check_sides(width, height)?;
    let expected = width as usize * height as usize * channels;
    if found != expected {
        return Err(ImageError::WrongLength { width, height, expected, found });
    }
    Ok(())
}

/// Zeros for a picture of these sides. Out of memory is an error: a panic would end a wasm instance.
pub(super) fn buffer(width: u32, height: u32, bytes_per_pixel: usize) -> Result<Vec<u8>, ImageError> {
    check_sides(width, height)?;
    let too_large = ImageError::TooLarge { width, height };
    let Some(len) = (width as usize * height as usize).checked_mul(bytes_per_pixel) else {
        return Err(too_large);
    };
    let mut data = Vec::new();
    data.try_reserve_exact(len).map_err(|_| too_large)?;
    data.resize(len, 0);
    Ok(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_alpha() {
        let image = RgbImage::from_rgba(2, 1, &[1, 2, 3, 0, 4, 5, 6, 128]).unwrap();
        assert_eq!(image.data(), [1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn refuses_what_does_not_fit() {
        let wrong = ImageError::WrongLength { width: 2, height: 2, expected: 12, found: 11 };
        assert_eq!(RgbImage::from_rgb(2, 2, vec![0; 11]), Err(wrong));
        assert_eq!(RgbImage::from_rgba(0, 2, &[]), Err(ImageError::Empty));
        assert_eq!(RgbImage::from_rgb(2, 0, vec![]), Err(ImageError::Empty));
        let large = ImageError::TooLarge { width: 50_000, height: 50_000 };
        assert_eq!(RgbImage::from_rgba(50_000, 50_000, &[]), Err(large.clone()));
        assert_eq!(
            buffer(u32::MAX, u32::MAX, 4),
            Err(ImageError::TooLarge { width: u32::MAX, height: u32::MAX })
        );
    }
}
