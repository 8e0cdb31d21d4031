//! Training: draws, runs both towers forwards and backwards on both cores, steps.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Instant;

use candle_core::{DType, Device, Tensor, Var};
use clap::Args;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::Error;
use crate::captions::Captions;
use crate::checkpoint;
use crate::data::{Batch, Pictures, Validation};
use crate::init::start_from;
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
    /// A model of an earlier run to begin with. A tower of another width begins with random numbers.
    #[arg(long)]
    init: Option<PathBuf>,
    /// Steps from the first to the last, over all runs.
    #[arg(long, default_value_t = 4000)]
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
    #[arg(long, default_value_t = 0.3)]
    sigmoid: f64,
    /// Weight of the teacher's features: none from a warm start, where the projection onto them would begin at random.
    #[arg(long, default_value_t = 0.0)]
    teacher: f64,
    /// Weight of the teacher's classes.
    #[arg(long, default_value_t = 1.0)]
    distillation: f64,
    /// Classes of the teacher in a step beyond those that it sees in the step's pictures.
    #[arg(long, default_value_t = 32)]
    other_classes: usize,
    /// Chance starts here.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Steps between two reports.
    #[arg(long, default_value_t = 200)]
    report: usize,
    /// Steps after which the state is kept.
    #[arg(long, default_value_t = 50)]
    save: usize,
    #[command(flatten)]
    rates: Rates,
    #[command(flatten)]
    shape: Shape,
}

/// What a step cost, by name.
type Losses = [f32; 4];

/// Steps between two moves of the averaged weights, and the share of the way that they go.
const AVERAGED: (usize, f64) = (10, 0.03);

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
        let averages = parameters.copied()?;
        let (start, state) = match checkpoint::resume(&self.out, &parameters, &averages)? {
            Some(resumed) => resumed,
            None => {
                if let Some(folder) = &self.init {
                    let found = start_from(folder, &parameters, &captions)?;
                    println!("{} gives {}", folder.display(), found.join(" and "));
                    averages.follow(&parameters, 1.0)?;
                    println!("step 0: {}", look::quick(&averages, &captions, &validation)?);
                    checkpoint::save(&self.out, &parameters, &averages, &BTreeMap::new(), 0)?;
                }
                (0, BTreeMap::new())
            }
        };
        let mut optimizer = Optimizer::new(self.rates, state);
        let (started, mut sums, mut summed) = (Instant::now(), Losses::default(), 0);
        for step in start + 1..=self.steps {
            let (gradients, losses) = self.gradients(step, &parameters, &captions, &pictures, &spread)?;
            optimizer.step(&parameters, &gradients, step, self.pace(step))?;
            if step % AVERAGED.0 == 0 {
                // Early on the average reaches no further back than half of the steps.
                let share = AVERAGED.1.max(2.0 * AVERAGED.0 as f64 / step as f64).min(1.0);
                averages.follow(&parameters, share)?;
            }
            sums.iter_mut().zip(losses).for_each(|(sum, loss)| *sum += loss);
            summed += 1;
            let last = step == self.steps;
            if step % self.report == 0 || last {
                let seconds = started.elapsed().as_secs_f64();
                let [sigmoid, softmax, classes, teacher] = sums.map(|sum| sum / summed as f32);
                (sums, summed) = (Losses::default(), 0);
                let quick = look::quick(&averages, &captions, &validation)?;
                println!(
                    "step {step}: {:.0} ms a step, sigmoid {sigmoid:.3}, softmax {softmax:.3}, classes {classes:.3}, \
                     features {teacher:.3}; {quick}",
                    1e3 * seconds / (step - start) as f64,
                );
            }
            if step % self.save == 0 || last {
                checkpoint::save(&self.out, &parameters, &averages, &optimizer.state, step)?;
            }
        }
        checkpoint::export(&self.out.join("model"), &self.data, &averages, &captions)
    }

    /// The schedule: up in a twentieth of the steps, but at most 300, then down in a straight line to nothing.
    fn pace(&self, step: usize) -> f64 {
        let warm = (self.steps as f64 / 20.0).min(300.0);
        let down = (self.steps - step) as f64 / (self.steps as f64 - warm).max(1.0);
        (step as f64 / warm).min(down).min(1.0)
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
        let mut sentences: Vec<String> = prompts.into_values().collect();
        let targets = (self.distillation > 0.0)
            .then(|| TeacherTargets::new(self, &batches, &phrases, captions, pictures, &mut random))
            .transpose()?;
        sentences.extend(targets.iter().flat_map(|targets| targets.sentences.iter().cloned()));
        let weights = parameters.tracked();

        let halves = sentences.chunks(sentences.len().div_ceil(HALVES));
        let forward = in_threads(batches.iter().zip(halves), |(batch, sentences)| {
            let images = weights.image_features(&batch.patches, &batch.positions, batch.classes.len())?;
            let teacher = if self.teacher > 0.0 {
                loss::teacher(&weights.teacher(&images)?, &batch.features, spread)?
            } else {
                Tensor::zeros((), DType::F32, &Device::Cpu)?
            };
            let texts = weights.text_features(&captions.input_ids(sentences)?, &captions.vectors)?;
            Ok(Forward { images: normalize(&images)?, texts: normalize(&texts)?, teacher })
        })?;

        let classes: Vec<usize> = batches.iter().flat_map(|batch| batch.classes.iter().copied()).collect();
        let truths = Truths::new(captions, &classes, &phrases)?;
        let joint = self.joint_loss(step, &forward, &truths, targets.as_ref(), &weights)?;

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
        let [sigmoid, softmax, classes] = joint.losses;
        Ok((gradients, [sigmoid, softmax, classes, teacher / HALVES as f32]))
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
        targets: Option<&TeacherTargets>,
        weights: &Weights,
    ) -> Result<Joint, Error> {
        let join = |part: fn(&Forward) -> &Tensor| -> Result<Var, Error> {
            let parts: Vec<Tensor> = forward.iter().map(|half| part(half).detach()).collect();
            Ok(Var::from_tensor(&Tensor::cat(&parts, 0)?)?)
        };
        let (images, texts) = (join(|half| &half.images)?, join(|half| &half.texts)?);
        let cosines = images.as_tensor().matmul(&texts.as_tensor().t()?)?;
        let of_captions = cosines.narrow(1, 0, truths.phrases()?)?;
        let scaled_by = |name: &str| weights.get(name).exp();
        let logits =
            of_captions.broadcast_mul(&scaled_by(SCALARS[0])?)?.broadcast_add(weights.get(SCALARS[1]))?;
        let sigmoid = truths.sigmoid(&logits, 256)?;
        let softmax = truths.softmax(&of_captions.broadcast_mul(&scaled_by(SCALARS[2])?)?)?;
        let classes = match targets {
            Some(targets) => {
                let taught =
                    cosines.index_select(&targets.columns, 1)?.broadcast_mul(&scaled_by(SCALARS[2])?)?;
                loss::distillation(&taught, &targets.logits, &targets.weights)?
            }
            None => Tensor::zeros((), DType::F32, &Device::Cpu)?,
        };
        let weight = self.sigmoid + (1.0 - self.sigmoid) * step as f64 / self.steps as f64;
        let gradients = (((&sigmoid * weight)? + &softmax)? + (&classes * self.distillation)?)?.backward()?;
        let of = |tensor: &Tensor| gradients.get(tensor).cloned().map_or_else(|| tensor.zeros_like(), Ok);
        let scalars = SCALARS.iter().map(|&name| Ok((name.into(), of(weights.get(name))?)));
        Ok(Joint {
            images: of(&images)?,
            texts: of(&texts)?,
            scalars: scalars.collect::<Result<_, Error>>()?,
            losses: [sigmoid.to_scalar()?, softmax.to_scalar()?, classes.to_scalar()?],
        })
    }
}

/// What the teacher says of a step's pictures over some of its classes.
struct TeacherTargets {
    /// Further sentences, after those of the captions, about classes that no caption names.
    sentences: Vec<String>,
    /// `[classes]`, the column of each class's phrase among all sentences.
    columns: Tensor,
    /// [pictures, classes]
    logits: Tensor,
    /// [pictures, 1]: 1 for photographs, 0 for drawings, which the teacher has hardly seen.
    weights: Tensor,
}

impl TeacherTargets {
    /// Draws a class for each picture as the teacher sees it there, and some others.
    fn new(
        train: &Train,
        batches: &[Batch],
        phrases: &[usize],
        captions: &Captions,
        pictures: &Pictures,
        random: &mut SmallRng,
    ) -> Result<TeacherTargets, Error> {
        let (weight, bias) = &pictures.classifier;
        let features: Vec<&Tensor> = batches.iter().map(|batch| &batch.features).collect();
        let logits = Tensor::cat(&features, 0)?.matmul(&weight.t()?)?.broadcast_add(bias)?;
        let drawings: Vec<bool> = batches.iter().flat_map(|batch| batch.drawings.iter().copied()).collect();
        let mut classes = BTreeSet::new();
        for (row, drawing) in logits.to_vec2::<f32>()?.iter().zip(&drawings) {
            if !drawing {
                // The largest after adding Gumbel's noise is a draw from the softmax.
                let noisy = |x: f32, random: &mut SmallRng| x - (-random.random::<f32>().max(1e-9).ln()).ln();
                let drawn = row.iter().enumerate().map(|(class, &x)| (class, noisy(x, random)));
                classes.extend(drawn.max_by(|a, b| a.1.total_cmp(&b.1)).map(|(class, _)| class));
            }
        }
        classes.extend((0..train.other_classes).map(|_| random.random_range(0..captions.teacher.len())));
        let mut columns: BTreeMap<usize, u32> = phrases.iter().copied().zip(0..).collect();
        let (mut sentences, mut taught, mut taught_columns) = (Vec::new(), Vec::new(), BTreeSet::new());
        let mut places = Vec::new();
        for class in classes {
            let Some(phrase) = captions.draw_teacher(class, random) else { continue };
            let next = (phrases.len() + sentences.len()) as u32;
            let column = *columns.entry(phrase).or_insert_with(|| {
                sentences.push(captions.say(phrase, false, random));
                next
            });
            // Two classes of one name ("crane") can't be told apart by it.
            if taught_columns.insert(column) {
                taught.push(class as u32);
                places.push(column);
            }
        }
        let count = taught.len();
        let weights: Vec<f32> = drawings.iter().map(|&drawing| f32::from(u8::from(!drawing))).collect();
        Ok(TeacherTargets {
            sentences,
            columns: Tensor::from_vec(places, count, &Device::Cpu)?,
            logits: logits.index_select(&Tensor::from_vec(taught, count, &Device::Cpu)?, 1)?,
            weights: Tensor::from_vec(weights, (drawings.len(), 1), &Device::Cpu)?,
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
    losses: [f32; 3],
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
