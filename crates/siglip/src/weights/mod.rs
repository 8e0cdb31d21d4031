//! Reading weight files: a push parser without I/O, and the list of tensors a configuration asks for.

mod dtype;
mod layout;
mod safetensors;

pub use dtype::Dtype;
pub use layout::{TensorShape, tensors};
pub use safetensors::{SafetensorsReader, header_bytes};

/// Takes a file's tensors as they arrive, some rows at a time.
pub trait TensorSink {
    /// Told once, before the first row, all that the file holds; an error here costs no byte of weights.
    ///
    /// # Errors
    /// Where the tensors are not those of the model.
    fn begin(&mut self, tensors: &[TensorShape]) -> Result<(), crate::Error>;

    /// Takes whole rows of `tensor`, in order: `values` holds rows `first_row..`, each as wide as the product of
    /// the shape's other dimensions.
    ///
    /// # Errors
    /// Where a value cannot be a weight (not finite).
    fn rows(&mut self, tensor: &TensorShape, first_row: usize, values: &[f32]) -> Result<(), crate::Error>;
}
