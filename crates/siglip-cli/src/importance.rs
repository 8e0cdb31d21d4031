//! How much the inputs of a model's matrices count, by pictures.

use std::collections::HashMap;

use siglip::image::RgbImage;
use siglip::model::{InputMoments, Model};
use siglip::weights::MatrixType;
use siglip::{LoadOptions, Siglip, Towers};

use crate::checkpoint::Source;
use crate::error::Error;
use crate::loss::exact;

/// # Errors
/// For types whose scales do not depend on what counts.
pub fn check(matrices: MatrixType) -> Result<(), Error> {
    match matrices {
        MatrixType::Q6K | MatrixType::Q5K | MatrixType::Q4K => Ok(()),
        _ => Err(Error::Usage(
            "--calibrate is for --to q6_k, q5_k and q4_k; other types do not depend on pictures".into(),
        )),
    }
}

/// The mean square of each input of the image tower's matrices, over these pictures.
pub fn of_inputs(source: &Source, pictures: &[RgbImage]) -> Result<HashMap<String, Vec<f32>>, Error> {
    let mut siglip: Siglip<Model> = source.load(LoadOptions { towers: Towers::Image, ..exact() })?;
    let mut moments = InputMoments::default();
    for picture in pictures {
        let pixels = siglip.pixel_values(picture)?;
        siglip.engine_mut().add_input_moments(pixels, &mut moments)?;
    }
    Ok(moments.means())
}
