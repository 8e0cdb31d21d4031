//! Which rows a pass holds, and which of them a block computes.

/// The rows of a pass: sequences of equal length. Each attends within itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sequences {
    pub count: usize,
    /// Rows of one sequence.
    pub length: usize,
}

/// The rows of each sequence that a block computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OutputRows {
    /// Every row.
    All,
    /// Only the last row, which the text tower pools. From then on `x` holds only these rows.
    Last,
}
