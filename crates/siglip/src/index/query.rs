//! Queries of several parts: texts and pictures, for and against.

use siglip_kernels::{Rows, top_k};

use super::segment::Segment;
use super::{Index, IndexError};

/// Pictures that the spread of a part's scores is measured on.
const SAMPLE: usize = 2000;

/// A part of a query.
#[derive(Debug, Clone, PartialEq)]
pub struct QueryPart {
    /// Of a text or a picture.
    pub embedding: Vec<f32>,
    /// Positive for what is looked for, negative for what is not.
    pub weight: f32,
}

impl Index {
    /// One query of L2 norm 1 from several parts.
    ///
    /// The cosines of a text with all pictures differ by a few hundredths, those of a picture by some tenths. Each part is
    /// therefore divided by the standard deviation of its scores in this index: otherwise pictures would decide alone.
    ///
    /// # Errors
    /// [`IndexError::EmptyQuery`] without a part or if the parts cancel each other, and [`IndexError::BadEmbedding`].
    pub fn query(&self, parts: &[QueryPart]) -> Result<Vec<f32>, IndexError> {
        let mut sums = vec![0.0f64; self.model.embedding_size];
        for part in parts {
            let is_finite = part.weight.is_finite() && part.embedding.iter().all(|value| value.is_finite());
            if part.embedding.len() != sums.len() || !is_finite {
                let expected = sums.len();
                let reason = format!("it must have {expected} finite values, and a finite weight");
                return Err(IndexError::BadEmbedding { name: "the query".into(), reason });
            }
            let spread = if parts.len() == 1 { 1.0 } else { self.spread(&part.embedding) };
            let weight = f64::from(part.weight) / spread;
            sums.iter_mut().zip(&part.embedding).for_each(|(sum, value)| *sum += weight * f64::from(*value));
        }
        let norm = sums.iter().map(|sum| sum * sum).sum::<f64>().sqrt();
        if norm < 1e-9 {
            return Err(IndexError::EmptyQuery);
        }
        Ok(sums.into_iter().map(|sum| (sum / norm) as f32).collect())
    }

    /// The standard deviation of the scores of a query, on the first pictures.
    fn spread(&self, query: &[f32]) -> f64 {
        let Some(Rows { vectors, scales }) = self.segments.first().map(Segment::rows) else { return 1.0 };
        let count = scales.len().min(SAMPLE);
        if count < 2 {
            return 1.0;
        }
        let sample = Rows { vectors: &vectors[..count * query.len()], scales: &scales[..count] };
        let hits = top_k(query, &[sample], count);
        let mean = hits.iter().map(|hit| f64::from(hit.score)).sum::<f64>() / count as f64;
        let variance =
            hits.iter().map(|hit| (f64::from(hit.score) - mean).powi(2)).sum::<f64>() / count as f64;
        // Pictures that all score alike leave no spread to divide by.
        if variance > 1e-12 { variance.sqrt() } else { 1.0 }
    }
}
