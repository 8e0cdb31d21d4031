//! The numeric core of a SigLIP engine: everything a tower does to rows of f32, in one thread and without allocating.
//!
//! # From weights to a layer
//! ```
//! use siglip_kernels::{Epilogue, PackedMatrix, Precision, Scratch};
//!
//! // Once, as the weights arrive: torch's layout in, the layout the kernels read inside.
//! let (inputs, outputs) = (3, 2);
//! let mut weight = PackedMatrix::new(Precision::F32, inputs, outputs);
//! weight.pack(0, &[1.0, 2.0, 3.0]);
//! weight.pack(1, &[0.0, 0.0, 1.0]);
//!
//! // For every picture: the buffers of `scratch` grow with the first and are kept.
//! let mut scratch = Scratch::default();
//! let (x, bias) = ([1.0, 1.0, 1.0, 0.0, 1.0, 0.0], [0.5, 0.0]);
//! let mut y = [0.0; 4];
//! siglip_kernels::linear(&x, 2, &weight, Epilogue::Bias(&bias), &mut y, &mut scratch);
//! assert_eq!(y, [6.5, 1.0, 2.5, 0.0]);
//! ```
//! A transformer block is [`layer_norm`], [`linear()`] into queries, keys and values side by side, [`attention()`] on
//! views of those, and [`linear()`] with [`Epilogue::Residual`]; then [`layer_norm`], [`linear()`] with
//! [`Epilogue::BiasGelu`] and [`linear()`] with [`Epilogue::Residual`].
//!
//! # How it is fast
//! * A product reads both sides in the order they lie in memory: weights in panels of eight outputs, packed at load
//!   ([`PackedMatrix`]); activations in panels of a few rows, packed at each call, which is cheap beside the product.
//!   A tile of four or six rows by eight or sixteen outputs is summed in registers; bias, GELU and the residual are
//!   applied before it is stored.
//! * [`Precision::Q8`] keeps weights in 8 bits, with a scale for each output, and gives each row of activations 15 bits,
//!   or as many as the sums in i32 leave room for: 13 at 3072 inputs. The inner loop is one multiplication of 16-bit
//!   pairs and one addition, which plain WebAssembly SIMD has. So the weights' 8 bits are the only loss.
//! * Products of integers are exact, so that Strassen's seven products in place of eight cost no accuracy: an eighth of
//!   the multiplications is never made.
//! * [`attention()`] works on eight or sixteen queries at a time, with keys down and queries across the lanes: softmax
//!   needs no sums across lanes, and scores beyond those queries never exist. [`attention_q8`] does the same in 16 bits.
//!
//! # Instruction sets
//! The kernels are written once, over vectors of eight lanes (`src/simd/`), with one file for each instruction set:
//! WebAssembly's simd128, with what relaxed SIMD does better in a file of its own; AVX2 with FMA, found at run time;
//! and portable loops for everything else, or everywhere with the feature `portable`. On WebAssembly the build decides:
//! `-C target-feature=+simd128` or `+simd128,+relaxed-simd`. [`backend()`] tells which it is.
//!
//! Results of one instruction set are repeatable; between two they differ in the last bits, where one rounds a product
//! and a sum at once. Products of [`Precision::Q8`] are the same everywhere, and in any number of parts: [`linear_sums`].
//!
//! # Threads
//! Kernels run on the calling thread, and on those that have called [`join_thread_pool()`]: work is cut into parts, of which
//! each takes the next when it is done with one. Results are the same to the last bit with any number of threads.
//!
//! # Bad input
//! A slice of the wrong length is a mistake of the caller, and panics with the length it should have. Values are free:
//! infinities and NaN spread, at most to what depends on them, and never panic.
#![deny(missing_docs)]

mod activation;
mod attention;
mod disjoint_slice;
mod dispatch;
mod layout;
mod linear;
mod matrix;
mod microkernel;
mod norm;
mod pack;
mod precision;
mod quantize;
mod rows;
mod scratch;
mod simd;
mod thread_pool;
mod vector;

#[doc(hidden)]
pub use activation::{gelu_tanh, softmax};
pub use attention::{AttentionShape, attention, attention_q8};
pub use dispatch::backend;
pub use linear::{Epilogue, finish_sums, linear, linear_sums, row_magnitudes};
pub use matrix::PackedMatrix;
pub use norm::{l2_normalize, layer_norm};
pub use precision::Precision;
pub use quantize::quantize_rows;
pub use scratch::Scratch;
#[doc(hidden)]
pub use simd::Backend;
pub use thread_pool::join_thread_pool;
#[doc(hidden)]
pub use thread_pool::thread_pool_members;
pub use vector::{add_assign, dot};
