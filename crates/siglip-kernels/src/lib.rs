//! The numeric kernels of a SigLIP engine: matrix products, attention, softmax, layer norm and GELU on rows of f32.
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
//! // For each image. The buffers of `scratch` grow in the first call; later calls allocate nothing.
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
//! * Weights are packed at load ([`PackedMatrix`]), activations at each call, both in the order the inner loop reads them. A
//!   tile of four or six rows by eight or sixteen outputs is summed in registers; bias, GELU and the residual are applied
//!   before it is stored.
//! * [`Precision::Q8Exact`] keeps weights in 8 bits with one scale per output, and quantizes each row of activations to 15
//!   bits, or as many as the sums in i32 leave room for: 13 at 3072 inputs. So the weights' 8 bits are the only noticeable loss.
//!   [`Precision::Q8`] quantizes activations to bytes where the processor has dot products of bytes and a row has no outliers,
//!   which is twice as fast.
//! * [`Precision::Bf16`] rounds both factors to bfloat16 where the processor adds up two products of such numbers at a time.
//! * Products of integers are exact. Strassen's algorithm therefore costs no accuracy: it makes seven products in place of
//!   eight. Winograd's inner product halves the multiplications of each of the seven.
//! * [`attention()`] works on eight to 32 queries at a time, with keys down and queries across the lanes, so softmax
//!   needs no reductions across lanes. [`attention_q8`] does the same in 16-bit integers.
//! * [`top_k`] reads each embedding once, as bytes. Four of them share every load of the query, and memory sets the pace.
//!
//! docs/kernels.md explains each of these, and why no integer overflows.
//!
//! # Instruction sets
//! The kernels are written once, over vectors of eight lanes or of any number; `src/simd/` has one file for each instruction set. There is
//! WebAssembly's simd128, with what relaxed SIMD does better in a file of its own; AVX2 with FMA, AVX-VNNI on top of it, and
//! AVX-512 with VNNI, all detected at run time; NEON, with its dot products of bytes or its products of matrices of bytes
//! (`i8mm`) where a processor has them; and portable loops for everything else, or everywhere with the feature `portable`. On WebAssembly the build decides: `-C target-feature=+simd128` or `+simd128,+relaxed-simd`. What relaxed SIMD's
//! dot product of bytes is exact for depends on the processor, and a test at run time finds it out. [`backend()`] tells which
//! is in use.
//!
//! Results on one instruction set are repeatable. Between two instruction sets f32 results differ in the last bits, where one
//! rounds a product and its sum together. The integer sums of [`Precision::Q8Exact`] are the same everywhere. With any number of
//! workers both 8-bit precisions give the same bits: [`linear_sums`].
//!
//! # Threads
//! A kernel runs on the calling thread and on all threads that have called [`join_thread_pool()`]. Results are the same to the
//! last bit with any number of threads.
//!
//! # Bad input
//! A slice of the wrong length is a mistake of the caller and panics with the length it should have. Any float is accepted;
//! NaN and infinity affect only dependent outputs.
#![deny(missing_docs)]
// Only AVX-512 has wide vectors. Other builds compile the code for them and never run it.
#![cfg_attr(any(feature = "portable", not(target_arch = "x86_64")), allow(dead_code))]

mod activation;
mod attention;
mod bf16;
#[cfg(test)]
#[path = "../tests/common/mod.rs"]
mod common;
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
mod search;
mod simd;
mod thread_pool;
mod vector;

#[doc(hidden)]
pub use activation::{Gelu, gelu, softmax};
pub use attention::{AttentionShape, attention, attention_q8};
pub use dispatch::backend;
pub use linear::{Epilogue, RowRange, finish_sums, linear, linear_sums, merge_row_ranges, row_ranges};
pub use matrix::PackedMatrix;
pub use norm::{l2_normalize, layer_norm};
pub use precision::Precision;
pub use quantize::quantize_rows;
pub use scratch::Scratch;
pub use search::{Hit, Rows, top_k};
#[doc(hidden)]
pub use simd::Backend;
pub use thread_pool::join_thread_pool;
#[doc(hidden)]
pub use thread_pool::thread_pool_members;
pub use vector::{add_assign, dot};
