//! Where the rows of packed weights go.

/// The place of a tensor's rows in a weight buffer.
///
/// Rows before `first_row` are left out. Row r after it starts at byte `offset + rows.stored(r) * stride`; its value in column c is element `columns.stored(c)` of it. What
/// lies between is zero. The values are 8-bit levels or f32, as the packed rows are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Index in [`tensors`](siglip::weights::tensors). The number after the last one is that of [`pooling_queries`].
    pub tensor: usize,
    /// `image` or `text`.
    pub tower: &'static str,
    /// The block, and with it the buffer; past the last block that of the patch embedding, and then of the head.
    pub block: usize,
    /// The first row of the tensor that is stored.
    pub first_row: usize,
    /// First byte.
    pub offset: u64,
    /// Bytes from one row to the next.
    pub stride: u64,
    /// Columns of a row.
    pub columns: usize,
    /// How the rows are spread.
    pub row_group: Group,
    /// How the columns of a row are spread.
    pub column_group: Group,
    /// First byte of the scales of 8-bit rows, one f32 a row. They are spread as the rows are.
    pub scales: Option<u64>,
}

/// Rows or columns in groups, each of which is padded with zeros. A group is an attention head, or all there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Group {
    /// Rows or columns in a group.
    pub size: usize,
    /// From one group to the next.
    pub stride: usize,
}

impl Group {
    /// Not in groups: element i is stored at i.
    pub const ONE: Group = Group { size: 1, stride: 1 };

    /// Where element `index` is stored.
    pub fn stored(self, index: usize) -> usize {
        index / self.size * self.stride + index % self.size
    }
}

/// What a pooling head needs and no tensor holds, as a batch of packed weights in the manner of a [`Packer`](siglip::model::Packer):
/// [`Model::pooling_queries`](siglip::model::Model::pooling_queries) of a model whose weights have all arrived. Empty without such
/// a head.
#[cfg(feature = "config")]
pub fn pooling_queries(model: &siglip::model::Model) -> alloc::vec::Vec<u8> {
    let (queries, row_len) = (model.pooling_queries(), model.config().vision_config.hidden_size);
    if queries.is_empty() {
        return alloc::vec::Vec::new();
    }
    let header = [siglip::weights::tensors(model.config()).len(), 0, queries.len() / row_len, 0]
        .map(|word| word as u32);
    let values = queries.iter().flat_map(|value| value.to_le_bytes());
    header.into_iter().flat_map(u32::to_le_bytes).chain(values).collect()
}
