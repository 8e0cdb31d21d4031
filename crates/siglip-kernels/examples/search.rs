//! The search as a WebAssembly module of its own, for bench/search.js.

use std::cell::RefCell;

use siglip_kernels::{Rows, top_k};

struct Vectors {
    query: Vec<f32>,
    values: Vec<i8>,
    scales: Vec<f32>,
}

thread_local! {
    static VECTORS: RefCell<Option<Vectors>> = const { RefCell::new(None) };
}

/// Fills `count` vectors of `size` values with numbers that are neither equal nor sorted.
#[unsafe(no_mangle)]
pub extern "C" fn prepare(size: usize, count: usize) {
    let mut rng = fastrand::Rng::with_seed(1);
    let query = (0..size).map(|_| rng.f32() - 0.5).collect();
    let values = (0..size * count).map(|_| rng.i8(-127..)).collect();
    // The former ones are freed first: two do not fit into memory.
    VECTORS.set(None);
    VECTORS.set(Some(Vectors { query, values, scales: vec![1e-3; count] }));
}

/// Looks for the ten best. Returns the score of the best.
#[unsafe(no_mangle)]
pub extern "C" fn search() -> f32 {
    let best = |Vectors { query, values, scales }: &Vectors| {
        top_k(query, &[Rows { vectors: values, scales }], 10)[0].score
    };
    VECTORS.with_borrow(|vectors| vectors.as_ref().map_or(f32::NAN, best))
}
