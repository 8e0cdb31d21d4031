//! Workers that share a model, stepped together in one thread.

use siglip::model::{Model, Pass, Step};
use siglip::{Error, PixelValues, Precision, Shard};

use super::checkpoints::shard;
use super::reference::Towers;

/// All workers of a model, in the order of their indices.
pub struct Workers(pub Vec<Model>);

impl Workers {
    /// A checkpoint of the repository, shared by `count` workers.
    pub fn load(folder: &str, precision: Precision, count: usize) -> Workers {
        Workers::new(count, |worker| shard(folder, precision, worker))
    }

    pub fn new(count: usize, model: impl Fn(Shard) -> Model) -> Workers {
        Workers((0..count).map(|index| model(Shard::new(index, count).unwrap())).collect())
    }

    /// Runs a pass to its end. Only the first worker may return embeddings.
    pub fn run(&mut self, begin: impl Fn(&Model) -> Result<Pass, Error>) -> Vec<f32> {
        let mut passes: Vec<Pass> = self.0.iter().map(|worker| begin(worker).unwrap()).collect();
        loop {
            let steps: Vec<Step> =
                self.0.iter_mut().zip(&mut passes).map(|(worker, pass)| worker.step(pass)).collect();
            assert!(steps.iter().all(|step| *step == steps[0]), "workers out of step: {steps:?}");
            match steps[0] {
                Step::Next => assert_eq!(self.0.len(), 1, "workers that exchange nothing"),
                Step::AllReduce => self.all_reduce(),
                Step::Blocks => unreachable!("these workers hold blocks"),
                Step::Done => break,
            }
        }
        let mut embeddings = passes.into_iter().map(Pass::into_embeddings);
        let first = embeddings.next().unwrap();
        assert!(embeddings.all(|others| others.is_empty()));
        first
    }

    fn all_reduce(&mut self) {
        let contributions: Vec<Vec<u32>> =
            self.0.iter().map(|worker| worker.contribution().to_vec()).collect();
        for (index, worker) in self.0.iter_mut().enumerate() {
            for (from, contribution) in contributions.iter().enumerate() {
                if from == index {
                    worker.add_own_contribution();
                } else {
                    worker.add_contribution(contribution);
                }
            }
        }
    }
}

impl Towers for Workers {
    fn image_size(&self) -> usize {
        self.0[0].image_size()
    }

    fn image_embeds(&mut self, pixel_values: Vec<f32>) -> Vec<f32> {
        let image = PixelValues::new(pixel_values, self.image_size());
        self.run(|worker| worker.begin_image(image.clone()))
    }

    fn text_embeds(&mut self, input_ids: Vec<u32>) -> Vec<f32> {
        self.run(|worker| worker.begin_texts(input_ids.clone(), true))
    }

    fn logits_per_image(&self, image_embeds: &[f32], text_embeds: &[f32]) -> Vec<f32> {
        self.0[0].logits_per_image(image_embeds, text_embeds)
    }
}
