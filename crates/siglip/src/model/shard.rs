use std::ops::Range;

use crate::Error;

/// One of several workers that share a model out, as Megatron-LM does (Shoeybi et al., 1909.08053): each holds
/// some heads of every attention, some columns of every MLP, some rows of the token table, and adds what it makes
/// of them to the others' part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    index: usize,
    count: usize,
}

impl Shard {
    /// The only worker, which holds everything.
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

    /// Whether it holds everything.
    pub fn is_whole(self) -> bool {
        self.count == 1
    }

    /// Whether it is the worker that has the pooling heads, and adds the biases to sums in f32.
    pub fn is_first(self) -> bool {
        self.index == 0
    }

    /// Workers in all.
    pub fn count(self) -> usize {
        self.count
    }

    /// Its part of `total` things.
    pub(crate) fn part(self, total: usize) -> Range<usize> {
        total * self.index / self.count..total * (self.index + 1) / self.count
    }
}
