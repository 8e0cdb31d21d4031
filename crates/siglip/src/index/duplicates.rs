//! Groups of pictures that are nearly the same.

use siglip_kernels::top_k;

use super::{Entry, Index};

/// Nearest pictures that each one is compared with. Larger groups are joined through their members.
const NEAREST: usize = 16;

impl Index {
    /// Groups of two pictures or more whose embeddings' cosine is at least `threshold`, directly or through others of the
    /// group; the largest group first. Every picture is compared with every other: 10,000 take seconds.
    pub fn duplicates(&self, threshold: f32) -> Vec<Vec<&Entry>> {
        let size = self.model.embedding_size;
        let mut leaders: Vec<usize> = (0..self.entries.len()).collect();
        for place in 0..self.entries.len() {
            let scale = self.scales[place];
            let query: Vec<f32> = self.vector(place).iter().map(|value| f32::from(*value) * scale).collect();
            let next = place + 1;
            for hit in top_k(&query, &self.vectors[next * size..], &self.scales[next..], NEAREST) {
                if hit.score < threshold {
                    break;
                }
                let (a, b) = (leader(&mut leaders, place), leader(&mut leaders, next + hit.place));
                leaders[a.max(b)] = a.min(b);
            }
        }
        let mut groups: Vec<Vec<&Entry>> = vec![Vec::new(); self.entries.len()];
        for (place, entry) in self.entries.iter().enumerate() {
            groups[leader(&mut leaders, place)].push(entry);
        }
        groups.retain(|group| group.len() > 1);
        groups.sort_by_key(|group| std::cmp::Reverse(group.len()));
        groups
    }
}

/// The first picture of a group. The way there becomes shorter for those who ask next.
fn leader(leaders: &mut [usize], mut place: usize) -> usize {
    while leaders[place] != place {
        leaders[place] = leaders[leaders[place]];
        place = leaders[place];
    }
    place
}
