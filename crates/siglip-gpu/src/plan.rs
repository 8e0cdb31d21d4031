//! The plan: what an executor creates and runs.

use alloc::string::String;
use alloc::vec::Vec;
use core::error::Error;
use core::fmt;

use crate::place::Place;
use crate::shader::checksum;
use crate::sizes::Sizes;
use crate::tower::Tower;
use crate::words::push_decimal;

/// Bytes that a small model's rows may take.
const SURPLUS: u64 = 32 << 20;

/// What a GPU has to do to run a model's blocks and heads.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The image tower's blocks, if it is loaded.
    pub image: Option<TowerPlan>,
    /// The text tower's blocks, if it is loaded.
    pub text: Option<TowerPlan>,
    /// Where the rows of packed weights go.
    pub places: Vec<Place>,
    /// The length of a row of every tensor, by its index, and last of [`pooling_queries`](crate::pooling_queries): batches of those
    /// without a place are skipped.
    pub row_lengths: Vec<usize>,
    /// WGSL that sums the words of a buffer; see [`checksum`](crate::checksum).
    pub checksum: String,
}

/// One tower's blocks.
#[derive(Debug, Clone, PartialEq)]
pub struct TowerPlan {
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Floats from one row of the residual stream to the next; those past `hidden_size` are zeros.
    pub hidden_stride: usize,
    /// Rows of a usual sequence: the patches of a square image, or the tokens of a text.
    pub length: usize,
    /// The most rows that run at once, unless one sequence has more: an executor divides the sequences of a larger pass. Then the
    /// buffers of both towers' weights and of one tower's rows are at most 1.2 times the model's packed weights and 32 MB.
    pub most_rows: usize,
    /// What a pass begins with, a row for each of its rows: an image's patches, or of a text the residual stream, which is the sum
    /// of its token and position embeddings.
    pub input: Rows,
    /// Of the image tower: patches are embedded by the first dispatch, which adds [`Buffer::Positions`].
    pub has_positions: bool,
    /// What a pass ends with, a row for each sequence: embeddings, not yet normalized. `None` if the tower has no head, or a head
    /// of another kind.
    pub embeddings: Option<Rows>,
    /// The number of blocks.
    pub blocks: usize,
    /// Bytes of the weight buffers: one a block, then that of the patch embedding, then that of the head. They start as zeros.
    pub weights: Vec<u64>,
    /// Buffers that grow with the number of rows. The first holds the residual stream.
    pub activations: Vec<Activation>,
    /// The pipelines. The entry point of each is `main`, its bindings are in group 0.
    pub pipelines: Vec<Pipeline>,
    /// What runs: one of those that are made for as many rows as there are. The first, unless an executor finds another faster.
    pub programs: Vec<Program>,
}

/// Rows of floats at the start of an activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rows {
    /// Floats of a row.
    pub size: usize,
    /// Floats from one row to the next; those past `size` are zeros.
    pub stride: usize,
    /// Which of [`TowerPlan::activations`].
    pub activation: usize,
}

/// The dispatches of a pass over some number of rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Program {
    /// It is made for so many rows; `None` for any number.
    pub most_rows: Option<usize>,
    /// What runs, in this order.
    pub dispatches: Vec<Dispatch>,
    /// The number of dispatches after which the residual stream is the first block's output.
    pub first_block: usize,
    /// The number of dispatches after which it is the last block's. What follows is the head.
    pub last_block: usize,
}

/// A buffer of f32 with one or more floats per row, for a multiple of 64 rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Activation {
    /// What it holds.
    pub label: &'static str,
    /// Floats per row.
    pub floats_per_row: usize,
}

/// A compute pipeline.
#[derive(Debug, Clone, PartialEq)]
pub struct Pipeline {
    /// Names it in messages.
    pub label: String,
    /// Its source.
    pub wgsl: String,
}

/// One run of a pipeline.
#[derive(Debug, Clone, PartialEq)]
pub struct Dispatch {
    /// Index of the pipeline.
    pub pipeline: usize,
    /// What it reads and writes. Binding 0 is the uniform buffer of the pass: four u32, which are the number of rows, that
    /// number rounded up to a multiple of 64, the rows of one sequence, and 0.
    pub bindings: Vec<Binding>,
    /// Workgroups in x, y and z.
    pub workgroups: [Count; 3],
}

/// A storage buffer, or a section of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding {
    /// Its number in the shader.
    pub binding: u32,
    /// The buffer.
    pub buffer: Buffer,
    /// First byte, a multiple of 256.
    pub offset: u64,
    /// Bytes; `None` for a whole activation.
    pub size: Option<u64>,
}

/// A buffer of a tower.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Buffer {
    /// The weights of this block; past the last one those of the patch embedding, and then those of the head.
    Weights(usize),
    /// This one of [`TowerPlan::activations`].
    Activation(usize),
    /// The position embeddings of a sequence, each [`TowerPlan::hidden_stride`] floats long.
    Positions,
}

/// A number of workgroups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// Always this many.
    Fixed(usize),
    /// One for every so many rows of the pass, rounded up.
    Rows(usize),
    /// One for every so many rows of a sequence, rounded up.
    Length(usize),
    /// One for each sequence.
    Sequences,
}

/// Why a model has no plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unsupported {
    /// Precision q8-exact has integer sums, the same everywhere; a GPU's sums are floats.
    Exact,
    /// Precision bf16 is of processors that multiply such numbers.
    Bf16,
    /// An attention head is wider than a workgroup's memory allows.
    HeadDim(usize, usize),
    /// The weights of one block exceed what every WebGPU device binds.
    BlockBytes(u64, u64),
}

impl Unsupported {
    /// The reason as a sentence. By hand, as all text here: a page's module goes without `core::fmt`.
    pub fn reason(&self) -> String {
        let mut reason = String::new();
        match *self {
            Unsupported::Exact => reason += "precision q8-exact runs on the CPU alone",
            Unsupported::Bf16 => reason += "precision bf16 runs on the CPU alone",
            Unsupported::HeadDim(values, most) => {
                reason += "attention heads of ";
                push_decimal(&mut reason, values as u64);
                reason += " values are too wide for the GPU's kernels; ";
                push_decimal(&mut reason, most as u64);
                reason += " is the most";
            }
            Unsupported::BlockBytes(bytes, most) => {
                reason += "the ";
                push_decimal(&mut reason, bytes);
                reason += " bytes of one block's weights are more than a GPU binds, ";
                push_decimal(&mut reason, most);
            }
        }
        reason
    }
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason())
    }
}

impl Error for Unsupported {}

impl Program {
    /// Whether it is made for so many rows.
    pub fn fits(&self, rows: usize) -> bool {
        self.most_rows.is_none_or(|most| rows <= most)
    }
}

impl Plan {
    /// The plan of a model's loaded towers.
    ///
    /// # Errors
    /// [`Unsupported`] says what the kernels do not do.
    #[cfg(feature = "config")]
    pub fn new(
        config: &siglip::Config,
        towers: siglip::Towers,
        precision: siglip::Precision,
    ) -> Result<Plan, Unsupported> {
        Plan::of(&Sizes::new(config, towers, precision)?)
    }

    /// The plan of a model of these sizes.
    ///
    /// # Errors
    /// As [`Plan::new`].
    pub fn of(sizes: &Sizes) -> Result<Plan, Unsupported> {
        let mut towers = Vec::new();
        for (name, sizes_of_tower) in [("image", sizes.image), ("text", sizes.text)] {
            if let Some(sizes_of_tower) = sizes_of_tower {
                towers.push(Tower::new(name, sizes_of_tower, sizes.quantized)?);
            }
        }
        let (mut places, mut row_lengths) = (Vec::new(), Vec::new());
        for (index, (name, row_len)) in sizes.tensors.iter().enumerate() {
            for tower in &towers {
                if let Some(place) = tower.place(index, name) {
                    places.push(place);
                }
            }
            row_lengths.push(*row_len);
        }
        for tower in &towers {
            if let Some(place) = tower.queries(sizes.tensors.len()) {
                row_lengths.push(place.columns);
                places.push(place);
            }
        }
        let packed = sizes.packed_bytes;
        let weights: u64 = towers.iter().map(Tower::bytes).sum();
        let room = (packed + packed / 5 + SURPLUS).saturating_sub(weights);
        let mut plans = towers.iter().map(|tower| tower.plan(room));
        Ok(Plan {
            image: sizes.image.and_then(|_| plans.next()),
            text: sizes.text.and_then(|_| plans.next()),
            places,
            row_lengths,
            checksum: checksum(),
        })
    }
}
