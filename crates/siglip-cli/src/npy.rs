//! NumPy's file format, version 1.0.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use crate::error::Error;

/// Writes an array. `dtype` is NumPy's, such as `<f4`; `values` are its bytes, row-major.
pub fn write(path: &Path, dtype: &str, shape: &[usize], values: &[u8]) -> Result<(), Error> {
    // With a comma behind each number a single one is a tuple as well.
    let shape: String = shape.iter().map(|side| format!("{side}, ")).collect();
    let header = format!("{{'descr': '{dtype}', 'fortran_order': False, 'shape': ({shape}), }}");
    // Magic, version, length, header and a line feed take a multiple of 64 bytes.
    let length = (10 + header.len() + 1).next_multiple_of(64) - 10;
    let write = || {
        let mut file = BufWriter::new(File::create(path)?);
        file.write_all(b"\x93NUMPY\x01\0")?;
        file.write_all(&(length as u16).to_le_bytes())?;
        writeln!(file, "{header:width$}", width = length - 1)?;
        file.write_all(values)?;
        file.flush()
    };
    write().map_err(Error::file(path))
}
