//! Training: draws, runs both towers forwards and backwards on both cores, steps.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use candle_core::{Tensor, Var};
use clap::Args;
use rand::SeedableRng;
use rand::rngs::SmallRng;

use crate::Error;
use crate::captions::Captions;
use crate::checkpoint;
use crate::data::{Batch, Pictures, Validation};
use crate::look;
use crate::loss::{self, Truths};
use crate::model::{Parameters, SCALARS, Weights, normalize};
use crate::optimizer::{Optimizer, Rates};
use crate::shape::Shape;

/// Each half of a batch has a core and a thread of its own.
const HALVES: usize = 2;

/// Trains a model; goes on where an earlier run with the same folder stopped.
#[derive(Args)]
pub struct Train {
    /// What the recipe wrote.
    #[arg(long)]
    data: PathBuf,
    /// Where the state is kept and the model written.
    #[arg(long)]
    out: PathBuf,
    /// Steps from the first to the last, over all runs.
    #[arg(long, default_value_t = 6800)]
    steps: usize,
    /// Pictures of a step.
    #[arg(long, default_value_t = 128)]
    batch: usize,
    /// Extra captions per step, of other pictures. Nearly all are negatives for every picture of the step.
    #[arg(long, default_value_t = 64)]
    strangers: usize,
    /// Share of the patches that are left out, but for the last steps (FLIP, 2212.00794).
    #[arg(long, default_value_t = 0.5)]
    dropped: f64,
    /// Share of the steps, at the end, that see whole pictures.
    #[arg(long, default_value_t = 0.1)]
    whole: f64,
    /// Weight of the sigmoid loss at the first step, beside the softmax loss; it is 1 at the last. At first it does little
    /// but draw everything together, as it begins with a bias for far larger batches.
    #[arg(long, default_value_t = 0.1)]
    sigmoid: f64,
    /// Weight of the teacher.
    #[arg(long, default_value_t = 2.0)]
    teacher: f64,
    /// Chance starts here.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Steps between two reports.
    #[arg(long, default_value_t = 500)]
    report: usize,
    #[command(flatten)]
    rates: Rates,
    #[command(flatten)]
    shape: Shape,
}

/// What a step cost, by name.
type Losses = [f32; 3];

impl Train {
    /// Runs to the last step.
    pub fn run(&self) -> Result<(), Error> {
        let captions = Captions::read(&self.data)?;
        let pictures = Pictures::read(&self.data, &captions)?;
        let validation = Validation::read(&self.data)?;
        let spread = pictures.spread()?;
        let words = captions.vectors.dim(1)?;
        let parameters = Parameters::random(self.shape, words, pictures.features, self.seed)?;
        std::fs::create_dir_all(&self.out).map_err(Error::file(&self.out))?;
        let (start, state) = checkpoint::resume(&self.out, &parameters)?;
        let mut optimizer = Optimizer::new(self.rates, state);
        let (started, mut sums) = (Instant::now(), Losses::default());
        for step in start + 1..=self.steps {
            let (gradients, losses) = self.gradients(step, &parameters, &captions, &pictures, &spread)?;
            optimizer.step(&parameters, &gradients, step, self.pace(step))?;
            sums.iter_mut().zip(losses).for_each(|(sum, loss)| *sum += loss);
            if step % self.report == 0 || step == self.steps {
                let seconds = started.elapsed().as_secs_f64();
                let [sigmoid, softmax, teacher] = sums.map(|sum| sum / self.report as f32);
                sums = Losses::default();
                let quick = look::quick(&parameters, &captions, &validation)?;
                println!(
                    "step {step}: {:.0} ms a step, sigmoid {sigmoid:.3}, softmax {softmax:.3}, teacher {teacher:.3}; {quick}",
                    1e3 * seconds / (step - start) as f64,
                );
                checkpoint::save(&self.out, &parameters, &optimizer.state, step)?;
            }
        }
        checkpoint::export(&self.out.join("model"), &self.data, &parameters, &captions)
    }

    /// The schedule: up in 300 steps, then down in a straight line to nothing.
    fn pace(&self, step: usize) -> f64 {
        let up = step as f64 / 300.0;
        let down = (self.steps - step) as f64 / (self.steps as f64 - 300.0).max(1.0);
        up.min(down).min(1.0)
    }

    /// Patches of a picture that the student sees at this step.
    fn kept(&self, step: usize) -> usize {
        let whole = step as f64 > self.steps as f64 * (1.0 - self.whole);
        let share = if whole { 1.0 } else { 1.0 - self.dropped };
        (self.shape.patches() as f64 * share).round() as usize
    }

    /// The gradients of one step's loss, by parameter.
    fn gradients(
        &self,
        step: usize,
        parameters: &Parameters,
        captions: &Captions,
        pictures: &Pictures,
        spread: &Tensor,
    ) -> Result<(BTreeMap<String, Tensor>, Losses), Error> {
        let mut random = SmallRng::seed_from_u64(self.seed << 32 | step as u64);
        let kept = self.kept(step);
        let batches: Vec<Batch> = (0..HALVES)
            .map(|_| pictures.draw(self.batch / HALVES, kept, &self.shape, &mut random))
            .collect::<Result<_, _>>()?;
        let prompts = self.prompts(&batches, captions, pictures, &mut random);
        let phrases: Vec<usize> = prompts.keys().copied().collect();
        let sentences: Vec<String> = prompts.into_values().collect();
        let weights = parameters.tracked();

        let halves = sentences.chunks(sentences.len().div_ceil(HALVES));
        let forward = in_threads(batches.iter().zip(halves), |(batch, sentences)| {
            let images = weights.image_features(&batch.patches, &batch.positions, batch.classes.len())?;
            let teacher = loss::teacher(&weights.teacher(&images)?, &batch.features, spread)?;
            let texts = weights.text_features(&captions.input_ids(sentences)?, &captions.vectors)?;
            Ok(Forward { images: normalize(&images)?, texts: normalize(&texts)?, teacher })
        })?;

        let classes: Vec<usize> = batches.iter().flat_map(|batch| batch.classes.iter().copied()).collect();
        let truths = Truths::new(captions, &classes, &phrases)?;
        let joint = self.joint_loss(step, &forward, &truths, &weights)?;

        let mut offsets = (0, 0);
        let parts: Vec<_> = forward
            .iter()
            .map(|half| {
                let at = offsets;
                offsets = (at.0 + half.images.dims()[0], at.1 + half.texts.dims()[0]);
                (half, at)
            })
            .collect();
        let backward = in_threads(parts.into_iter(), |(half, (image, text))| {
            let images = joint.images.narrow(0, image, half.images.dim(0)?)?;
            let texts = joint.texts.narrow(0, text, half.texts.dim(0)?)?;
            let pulled = ((&half.images * images)?.sum_all()? + (&half.texts * texts)?.sum_all()?)?;
            Ok((pulled + (&half.teacher * (self.teacher / HALVES as f64))?)?.backward()?)
        })?;

        let mut gradients = joint.scalars;
        for (name, var) in &parameters.vars {
            for store in &backward {
                if let Some(gradient) = store.get(var.as_tensor()) {
                    let sum = match gradients.remove(name) {
                        Some(sum) => (sum + gradient)?,
                        None => gradient.contiguous()?,
                    };
                    gradients.insert(name.clone(), sum);
                }
            }
        }
        let teacher: f32 =
            forward.iter().map(|half| half.teacher.to_scalar::<f32>()).sum::<Result<f32, _>>()?;
        let [sigmoid, softmax] = joint.losses;
        Ok((gradients, [sigmoid, softmax, teacher / HALVES as f32]))
    }

    /// The phrases of a step with a sentence about each: one for every picture, and some strangers.
    fn prompts(
        &self,
        batches: &[Batch],
        captions: &Captions,
        pictures: &Pictures,
        random: &mut SmallRng,
    ) -> BTreeMap<usize, String> {
        let mut prompts = BTreeMap::new();
        for batch in batches {
            for (&class, &drawing) in batch.classes.iter().zip(&batch.drawings) {
                let phrase = captions.draw(class, random);
                prompts.insert(phrase, captions.say(phrase, drawing, random));
            }
        }
        for _ in 0..self.strangers {
            let phrase = captions.draw(pictures.draw_class(random), random);
            prompts.entry(phrase).or_insert_with(|| captions.say(phrase, false, random));
        }
        prompts
    }

    /// The loss over all pairs of the batch, down to its gradients of the embeddings: the towers take it from there.
    fn joint_loss(
        &self,
        step: usize,
        forward: &[Forward],
        truths: &Truths,
        weights: &Weights,
    ) -> Result<Joint, Error> {
        let join = |part: fn(&Forward) -> &Tensor| -> Result<Var, Error> {
            let parts: Vec<Tensor> = forward.iter().map(|half| part(half).detach()).collect();
            Ok(Var::from_tensor(&Tensor::cat(&parts, 0)?)?)
        };
        let (images, texts) = (join(|half| &half.images)?, join(|half| &half.texts)?);
        let cosines = images.as_tensor().matmul(&texts.as_tensor().t()?)?;
        let scaled_by = |name: &str| cosines.broadcast_mul(&weights.get(name).exp()?);
        let sigmoid = truths.sigmoid(&scaled_by(SCALARS[0])?.broadcast_add(weights.get(SCALARS[1]))?, 256)?;
        let softmax = truths.softmax(&scaled_by(SCALARS[2])?)?;
        let weight = self.sigmoid + (1.0 - self.sigmoid) * step as f64 / self.steps as f64;
        let gradients = ((&sigmoid * weight)? + &softmax)?.backward()?;
        let of = |tensor: &Tensor| gradients.get(tensor).cloned().map_or_else(|| tensor.zeros_like(), Ok);
        let scalars = SCALARS.iter().map(|&name| Ok((name.into(), of(weights.get(name))?)));
        Ok(Joint {
            images: of(&images)?,
            texts: of(&texts)?,
            scalars: scalars.collect::<Result<_, Error>>()?,
            losses: [sigmoid.to_scalar()?, softmax.to_scalar()?],
        })
    }
}

/// What a half of the batch comes to, with what its gradients need.
struct Forward {
    images: Tensor,
    texts: Tensor,
    teacher: Tensor,
}

/// The loss over all pairs, by what it depends on.
struct Joint {
    images: Tensor,
    texts: Tensor,
    scalars: BTreeMap<String, Tensor>,
    losses: [f32; 2],
}

/// Does the work on each item in a thread of its own.
fn in_threads<T: Send, R: Send>(
    items: impl Iterator<Item = T>,
    work: impl Fn(T) -> Result<R, Error> + Sync,
) -> Result<Vec<R>, Error> {
    std::thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = items.map(|item| scope.spawn(move || work(item))).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("a thread that only does arithmetic ends"))
            .collect()
    })
}
