//! Groups of pictures that are nearly the same.

use siglip_kernels::{Epilogue, PackedMatrix, Precision, Scratch, linear};

use super::{Entry, Index};

/// Pictures that are compared with all later ones at a time: their packed embeddings stay in the second-level cache.
const BLOCK: usize = 256;
/// Later pictures whose products with a block are made at a time.
const CHUNK: usize = 256;
/// Chunks of a step: some ten milliseconds.
const CHUNKS: usize = 8;

/// A comparison of every picture with every other, made in steps, so that it can show progress and be given up.
#[derive(Debug)]
pub struct DuplicateSearch {
    threshold: f32,
    /// Of each picture one of its group, or itself.
    leaders: Vec<usize>,
    /// The first picture of the block, and the next that it is compared with.
    block: usize,
    next: usize,
    packed: Option<PackedMatrix>,
    scratch: Scratch,
}

impl Index {
    /// Groups of two pictures or more whose embeddings' cosine is at least `threshold`, directly or through others of the
    /// group; the largest group first.
    pub fn duplicates(&self, threshold: f32) -> Vec<Vec<Entry<'_>>> {
        let mut search = self.begin_duplicates(threshold);
        while !self.compare(&mut search) {}
        self.duplicates_found(search)
    }

    /// Begins a search for duplicates among the pictures that there are. None may be removed before it ends.
    pub fn begin_duplicates(&self, threshold: f32) -> DuplicateSearch {
        let leaders = (0..self.len()).collect();
        DuplicateSearch { threshold, leaders, block: 0, next: 0, packed: None, scratch: Scratch::default() }
    }

    /// Makes a step. Returns whether it was the last.
    pub fn compare(&self, search: &mut DuplicateSearch) -> bool {
        let count = search.leaders.len().min(self.len());
        let size = self.model.embedding_size;
        let (mut rows, mut products) = (vec![0.0; CHUNK * size], vec![0.0; CHUNK * BLOCK]);
        for _ in 0..CHUNKS {
            if search.block >= count {
                return true;
            }
            let block = search.block..count.min(search.block + BLOCK);
            let packed = search.packed.get_or_insert_with(|| {
                let mut packed = PackedMatrix::new(Precision::Q8Exact, size, block.len());
                for (output, place) in block.clone().enumerate() {
                    let (scale, vector) = self.row(place);
                    packed.pack_quantized_row(output, scale, vector);
                }
                packed
            });
            let chunk = search.next..count.min(search.next + CHUNK);
            let (rows, products) =
                (&mut rows[..chunk.len() * size], &mut products[..chunk.len() * block.len()]);
            for (row, place) in rows.chunks_exact_mut(size).zip(chunk.clone()) {
                let (scale, vector) = self.row(place);
                row.iter_mut().zip(vector).for_each(|(to, value)| *to = f32::from(*value) * scale);
            }
            linear(rows, chunk.len(), packed, Epilogue::None, products, &mut search.scratch);
            for (products, second) in products.chunks_exact(block.len()).zip(chunk.clone()) {
                for (product, first) in products.iter().zip(block.clone()) {
                    if *product >= search.threshold && first < second {
                        join(&mut search.leaders, first, second);
                    }
                }
            }
            search.next = chunk.end;
            if search.next == count {
                (search.block, search.packed) = (block.end, None);
                search.next = search.block;
            }
        }
        search.block >= count
    }

    /// The groups that a search has found.
    pub fn duplicates_found(&self, search: DuplicateSearch) -> Vec<Vec<Entry<'_>>> {
        let mut leaders = search.leaders;
        let mut groups: Vec<Vec<Entry>> = vec![Vec::new(); leaders.len()];
        for (place, entry) in self.entries().enumerate().take(leaders.len()) {
            groups[leader(&mut leaders, place)].push(entry);
        }
        groups.retain(|group| group.len() > 1);
        groups.sort_by_key(|group| std::cmp::Reverse(group.len()));
        groups
    }
}

impl DuplicateSearch {
    /// The share of the pairs that are compared, from 0 to 1.
    pub fn progress(&self) -> f64 {
        let count = self.leaders.len() as f64;
        let (left, row) = (count - self.block as f64, BLOCK as f64);
        let pairs = left * left - 2.0 * row.min(left) * (self.next - self.block) as f64;
        1.0 - (pairs / (count * count).max(1.0)).clamp(0.0, 1.0)
    }
}

fn join(leaders: &mut [usize], a: usize, b: usize) {
    let (a, b) = (leader(leaders, a), leader(leaders, b));
    leaders[a.max(b)] = a.min(b);
}

/// The first picture of a group. The way there becomes shorter for those who ask next.
fn leader(leaders: &mut [usize], mut place: usize) -> usize {
    while leaders[place] != place {
        leaders[place] = leaders[leaders[place]];
        place = leaders[place];
    }
    place
}
