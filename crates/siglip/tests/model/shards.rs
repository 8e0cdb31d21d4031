//! A model shared out between workers, which are stepped together here.

use siglip::Error;
use siglip::model::{Model, ModelLoader, Pass, Precision, Shard, Step};

use crate::common::{RANDOM_SMALL, TINY, config, model, shard};
use crate::outputs::{Outputs, Towers};
use crate::recording::Recording;

/// All workers of a model, in the order of their indices.
struct Workers(Vec<Model>);

impl Workers {
    fn load(folder: &str, precision: Precision, count: usize) -> Workers {
        let worker = |index| shard(folder, "model.safetensors", precision, Shard::new(index, count).unwrap());
        Workers((0..count).map(worker).collect())
    }

    fn run(&mut self, begin: impl Fn(&Model) -> Result<Pass, Error>) -> Vec<f32> {
        let mut passes: Vec<Pass> = self.0.iter().map(|worker| begin(worker).unwrap()).collect();
        loop {
            let steps: Vec<Step> =
                self.0.iter_mut().zip(&mut passes).map(|(worker, pass)| worker.step(pass)).collect();
            assert!(steps.iter().all(|step| *step == steps[0]), "workers out of step: {steps:?}");
            match steps[0] {
                Step::Next => panic!("a worker that exchanges nothing"),
                Step::Exchange => self.exchange(),
                Step::Done => break,
            }
        }
        let mut embeddings = passes.into_iter().map(Pass::into_embeddings);
        let first = embeddings.next().unwrap();
        assert!(embeddings.all(|others| others.is_empty()));
        first
    }

    fn exchange(&mut self) {
        let parts: Vec<Vec<u32>> = self.0.iter().map(|worker| worker.part().to_vec()).collect();
        for (index, worker) in self.0.iter_mut().enumerate() {
            for (from, part) in parts.iter().enumerate() {
                if from == index {
                    worker.add_own_part();
                } else {
                    worker.add_part(part);
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
        self.run(|worker| worker.begin_image(pixel_values.clone()))
    }

    fn text_embeds(&mut self, input_ids: Vec<u32>) -> Vec<f32> {
        self.run(|worker| worker.begin_texts(input_ids.clone()))
    }

    fn logits_per_image(&self, image_embeds: &[f32], text_embeds: &[f32]) -> Vec<f32> {
        self.0[0].logits_per_image(image_embeds, text_embeds)
    }
}

/// `counts` of workers against one.
fn equal_one_worker(folder: &str, name: &str, counts: &[usize], precision: Precision, bound: f32) {
    let recording = Recording::read(name);
    let one = Outputs::of(&mut model(folder, precision), &recording);
    for &count in counts {
        let mut workers = Workers::load(folder, precision, count);
        let what = format!("{name} in {}, {count} workers", precision.name());
        // Logits are cosines of two embeddings, times 10 to 120.
        Outputs::of(&mut workers, &recording).assert_close(&one, bound, 100.0 * bound, &what);
    }
}

#[test]
fn workers_equal_one_in_f32() {
    equal_one_worker(RANDOM_SMALL, "random-small", &[2, 3, 4], Precision::F32, 1e-6);
    equal_one_worker(TINY, "tiny", &[2, 3], Precision::F32, 1e-6);
}

#[test]
fn workers_equal_one_to_the_last_bit_in_q8() {
    equal_one_worker(TINY, "tiny", &[2, 3], Precision::Q8, 0.0);
    equal_one_worker(RANDOM_SMALL, "random-small", &[2, 3, 4], Precision::Q8, 0.0);
}

#[test]
fn workers_share_the_memory() {
    for precision in [Precision::F32, Precision::Q8] {
        let one = model(RANDOM_SMALL, precision).bytes();
        let workers = Workers::load(RANDOM_SMALL, precision, 4).0;
        let largest = workers.iter().map(Model::bytes).max().unwrap();
        assert!(largest < one, "{largest} of {one} bytes");
    }
}

#[test]
fn more_workers_than_heads_are_refused() {
    let fifth = Shard::new(4, 5).unwrap();
    let error = ModelLoader::new(config(RANDOM_SMALL), Precision::Q8, fifth).unwrap_err();
    assert_eq!(error.code(), "bad-input");
    assert!(error.to_string().contains("5 workers for 4 attention heads"), "{error}");
    assert_eq!(Shard::new(2, 2).unwrap_err().code(), "bad-input");
}
