//! The matrix product alone, to measure its rate in a browser. The rate of a whole tower is compared with it.
//!
//! It is a module of its own, so the engine carries none of it:
//! `cargo build --release -p siglip-kernels --example rate --target wasm32-unknown-unknown`.

use std::cell::RefCell;

use siglip_kernels::{Epilogue, PackedMatrix, Precision, Scratch};

/// A product and its buffers.
struct Product {
    rows: usize,
    x: Vec<f32>,
    weight: PackedMatrix,
    out: Vec<f32>,
    scratch: Scratch,
}

thread_local! {
    static PRODUCT: RefCell<Option<Product>> = const { RefCell::new(None) };
}

/// Prepares x [rows, inputs] and a matrix [outputs, inputs]; `q8` is 0 for f32.
#[unsafe(no_mangle)]
pub extern "C" fn prepare(q8: u32, rows: usize, inputs: usize, outputs: usize) {
    let precision = if q8 == 0 { Precision::F32 } else { Precision::Q8 };
    let value = |i: usize| (i as f32 * 0.37).sin();
    let mut weight = PackedMatrix::new(precision, inputs, outputs);
    weight.pack(0, &(0..inputs * outputs).map(value).collect::<Vec<_>>());
    let x = (0..rows * inputs).map(value).collect();
    let product = Product { rows, x, weight, out: vec![0.0; rows * outputs], scratch: Scratch::default() };
    PRODUCT.with(|kept| *kept.borrow_mut() = Some(product));
}

/// Multiplies `times` times.
#[unsafe(no_mangle)]
pub extern "C" fn multiply(times: u32) {
    PRODUCT.with(|kept| {
        let Some(Product { rows, x, weight, out, scratch }) = &mut *kept.borrow_mut() else { return };
        for _ in 0..times {
            siglip_kernels::linear(x, *rows, weight, Epilogue::None, out, scratch);
        }
    });
}
