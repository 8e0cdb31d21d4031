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
    blocks_elsewhere: bool,
}

impl Shard {
    /// The only worker. It holds the whole model.
    pub const WHOLE: Shard = Shard { index: 0, count: 1, blocks_elsewhere: false };

    /// The only worker, but something else runs the blocks of both towers, such as a GPU: it takes what to begin with after
    /// [`Step::Blocks`](crate::model::Step::Blocks). This worker holds all the rest, and of each tower the first block, by
    /// which the other's results can be checked.
    pub const BLOCKS_ELSEWHERE: Shard = Shard { blocks_elsewhere: true, ..Shard::WHOLE };

    /// Worker `index` of `count`.
    ///
    /// # Errors
    /// [`Error::BadInput`] unless `index < count`.
    pub fn new(index: usize, count: usize) -> Result<Shard, Error> {
        if index >= count {
            return Err(Error::BadInput(format!("there is no worker {index} among {count}")));
        }
        Ok(Shard { index, count, ..Shard::WHOLE })
    }

    /// Whether this is the only worker.
    pub fn is_whole(self) -> bool {
        self.count == 1
    }

    /// Whether this is the first worker. Only the first has the pooling heads, and only it adds biases to sums in f32.
    pub fn is_first(self) -> bool {
        self.index == 0
    }

    /// Whether something else runs the blocks.
    pub fn has_blocks_elsewhere(self) -> bool {
        self.blocks_elsewhere
    }

    /// How many of a tower's blocks this worker holds, in whole or in part.
    pub(crate) fn blocks(self, total: usize) -> usize {
        if self.blocks_elsewhere { total.min(1) } else { total }
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
