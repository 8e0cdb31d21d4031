use std::ops::Range;

use crate::Error;

/// One worker's share of a model that several workers run together, by tensor parallelism as in Megatron-LM (Shoeybi
/// et al., 1909.08053).
///
/// Each worker holds some heads of every attention, some columns of every MLP's hidden layer and some rows of the token
/// table. Their outputs are summed by an all-reduce after every sub-layer. The default is the only worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    index: usize,
    count: usize,
}

impl Shard {
    /// The only worker. It holds the whole model.
    pub const WHOLE: Shard = Shard { index: 0, count: 1 };

    /// Worker `index` of `count`.
    ///
    /// # Errors
    /// [`Error::BadInput`] unless `index < count`.
    pub fn new(index: usize, count: usize) -> Result<Shard, Error> {
        if index >= count {
            return Err(Error::BadInput(format!("there is no worker {index} among {count}")));
        }
        Ok(Shard { index, count })
    }

    /// Whether this worker holds the whole model.
    pub fn is_whole(self) -> bool {
        self.count == 1
    }

    /// Whether this is the first worker. Only the first has the pooling heads, and only it adds biases to sums in f32.
    pub fn is_first(self) -> bool {
        self.index == 0
    }

    /// Number of workers.
    pub fn count(self) -> usize {
        self.count
    }

    /// The range of `total` heads, columns or rows that this worker holds.
    pub(crate) fn range(self, total: usize) -> Range<usize> {
        total * self.index / self.count..total * (self.index + 1) / self.count
    }
}

impl Default for Shard {
    fn default() -> Shard {
        Shard::WHOLE
    }
}
