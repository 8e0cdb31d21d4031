//! NumPy's file format, version 1.0.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use siglip::index::npy::header;

use crate::error::Error;

/// Writes an array. `dtype` is NumPy's, such as `<f4`; `values` are its bytes, row-major.
pub fn write(path: &Path, dtype: &str, shape: &[usize], values: &[u8]) -> Result<(), Error> {
    let write = || {
        let mut file = BufWriter::new(File::create(path)?);
        file.write_all(&header(dtype, shape))?;
        file.write_all(values)?;
        file.flush()
    };
    write().map_err(Error::file(path))
}
