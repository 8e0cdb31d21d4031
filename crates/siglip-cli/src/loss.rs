//! What a conversion costs: how far the written model's answers are from the source's.

use std::fmt;
use std::path::Path;

use siglip::image::RgbImage;
use siglip::text::Template;
use siglip::{LoadOptions, Precision, Siglip, Towers};

use crate::checkpoint::{self, Source};
use crate::error::Error;
use crate::search::{collect_files, is_no_picture};

/// The most pictures of a folder that are looked at.
const MOST_PICTURES: usize = 64;
/// Patterns that are looked at without a folder, and their side.
const PATTERNS: u32 = 8;
const SIDE: u32 = 256;
const LABELS: [&str; 16] = [
    "a cat",
    "a dog",
    "a bird",
    "a horse",
    "a boat",
    "a car",
    "a house",
    "a tree",
    "a flower",
    "a mountain",
    "a person",
    "a crowd",
    "food",
    "text",
    "a pattern",
    "water",
];

/// The pictures and labels that both models are asked about.
pub struct Questions {
    pictures: Vec<RgbImage>,
    labels: Vec<String>,
}

/// What a model makes of them. Empty for a tower that the model lacks.
struct Answers {
    images: Vec<Vec<f32>>,
    texts: Vec<Vec<f32>>,
}

/// The difference of two models' answers.
#[derive(Debug, PartialEq)]
pub struct Loss {
    images: Option<Cosines>,
    texts: Option<Cosines>,
    order: Option<Order>,
}

/// The cosines of the same input's embeddings by two models.
#[derive(Debug, PartialEq)]
struct Cosines {
    count: usize,
    mean: f64,
    least: f64,
}

/// How the labels' order changes.
#[derive(Debug, PartialEq)]
struct Order {
    /// Pictures, and those with another best label.
    pictures: usize,
    other_best: usize,
    /// The share of pairs of labels, over all pictures, that change places.
    swapped: f64,
}

impl Questions {
    /// The pictures of a folder, the first in the order of their names, or patterns.
    pub fn new(folder: Option<&Path>) -> Result<Questions, Error> {
        let pictures = match folder {
            Some(folder) => pictures_in(folder)?,
            None => (0..PATTERNS).map(pattern).collect::<Result<_, _>>()?,
        };
        Ok(Questions { pictures, labels: LABELS.map(String::from).into() })
    }

    /// Every other picture of a folder, and questions about the rest.
    pub fn halves(folder: &Path) -> Result<(Vec<RgbImage>, Questions), Error> {
        let (mut first, mut rest) = (Vec::new(), Vec::new());
        for (at, picture) in pictures_in(folder)?.into_iter().enumerate() {
            if at % 2 == 0 { first.push(picture) } else { rest.push(picture) }
        }
        if rest.is_empty() {
            let folder = folder.display();
            return Err(Error::Usage(format!(
                "{folder} holds one picture; two or more tell whether it helps"
            )));
        }
        Ok((first, Questions { pictures: rest, labels: LABELS.map(String::from).into() }))
    }

    /// What a target has lost. Loads both in single precision, one after the other.
    pub fn loss(&self, source: &Source, target: &Path) -> Result<Loss, Error> {
        let [loss] = self.losses(source, [target])?;
        Ok(loss)
    }

    /// What each target has lost.
    pub fn losses<const N: usize>(&self, source: &Source, targets: [&Path; N]) -> Result<[Loss; N], Error> {
        let towers = source.files()?.towers();
        let before = self.answers(source.load(exact())?, towers)?;
        let mut losses = [const { Loss { images: None, texts: None, order: None } }; N];
        for (loss, target) in losses.iter_mut().zip(targets) {
            let after = self.answers(Source::Gguf(target.into()).load(exact())?, towers)?;
            *loss = Loss::between(&before, &after);
        }
        Ok(losses)
    }

    fn answers(&self, mut siglip: Siglip, towers: Towers) -> Result<Answers, Error> {
        let mut answers = Answers { images: Vec::new(), texts: Vec::new() };
        if towers.has_image() {
            for picture in &self.pictures {
                answers.images.push(siglip.image_embeds(picture)?);
            }
        }
        if towers.has_text() {
            let template = Template::new(siglip::text::DEFAULT_TEMPLATE)?;
            answers.texts = siglip.label_embeds(&self.labels, &template)?;
        }
        Ok(answers)
    }
}

/// How models are loaded to be compared.
pub fn exact() -> LoadOptions {
    LoadOptions { precision: Precision::F32, ..LoadOptions::default() }
}

fn pictures_in(folder: &Path) -> Result<Vec<RgbImage>, Error> {
    let mut paths = Vec::new();
    collect_files(folder, &mut paths)?;
    paths.sort();
    let mut pictures = Vec::new();
    for path in paths {
        match checkpoint::image(&path) {
            Ok(decoded) => pictures.push(decoded.image),
            Err(error) if is_no_picture(&error) => continue,
            Err(error) => return Err(Error::Usage(format!("{}: {error}", path.display()))),
        }
        if pictures.len() == MOST_PICTURES {
            break;
        }
    }
    if pictures.is_empty() {
        return Err(Error::Usage(format!("{} holds no pictures", folder.display())));
    }
    Ok(pictures)
}

/// A picture of three waves a channel and a disc, another for each `seed`.
fn pattern(seed: u32) -> Result<RgbImage, Error> {
    // Multiples of the golden ratio spread evenly over the numbers below 1.
    let spread = |n: u32| ((32 * seed + n + 1) as f32 * 0.618_034).fract();
    let waves: [[f32; 3]; 9] = std::array::from_fn(|n| {
        let n = 3 * n as u32;
        [spread(n) * 0.3 - 0.15, spread(n + 1) * 0.3 - 0.15, spread(n + 2) * std::f32::consts::TAU]
    });
    let within = |n: u32, least: f32, most: f32| (least + spread(n) * (most - least)) as u32;
    let (centre, radius) = ([within(27, 60.0, 200.0), within(28, 60.0, 200.0)], within(29, 20.0, 60.0));
    let disc = [within(30, 0.0, 255.0) as u8, within(31, 0.0, 255.0) as u8, 128];
    let mut data = Vec::with_capacity((SIDE * SIDE * 3) as usize);
    for (y, x) in (0..SIDE).flat_map(|y| (0..SIDE).map(move |x| (y, x))) {
        let inside = x.abs_diff(centre[0]).pow(2) + y.abs_diff(centre[1]).pow(2) < radius * radius;
        for (channel, waves) in waves.as_chunks::<3>().0.iter().enumerate() {
            let value: f32 = waves
                .iter()
                .map(|[along, down, phase]| (x as f32 * along + y as f32 * down + phase).sin())
                .sum();
            data.push(if inside { disc[channel] } else { (127.5 + 42.0 * value) as u8 });
        }
    }
    Ok(RgbImage::from_rgb(SIDE, SIDE, data).map_err(siglip::Error::from)?)
}

impl Loss {
    fn between(before: &Answers, after: &Answers) -> Loss {
        let order = (!before.images.is_empty() && !before.texts.is_empty()).then(|| Order::of(before, after));
        Loss {
            images: Cosines::of(&before.images, &after.images),
            texts: Cosines::of(&before.texts, &after.texts),
            order,
        }
    }
}

impl Loss {
    /// Whether pictures keep more of their embeddings.
    pub fn is_less_than(&self, other: &Loss) -> bool {
        let mean = |loss: &Loss| loss.images.as_ref().map(|cosines| cosines.mean);
        mean(self) > mean(other)
    }
}

impl Cosines {
    fn of(before: &[Vec<f32>], after: &[Vec<f32>]) -> Option<Cosines> {
        let cosines: Vec<f64> = before.iter().zip(after).map(|(a, b)| cosine(a, b)).collect();
        let least = cosines.iter().copied().reduce(f64::min)?;
        Some(Cosines {
            count: cosines.len(),
            mean: cosines.iter().sum::<f64>() / cosines.len() as f64,
            least,
        })
    }
}

impl Order {
    fn of(before: &Answers, after: &Answers) -> Order {
        let (mut other_best, mut pairs, mut swapped) = (0, 0, 0);
        for (image, other) in before.images.iter().zip(&after.images) {
            let scores: Vec<(f64, f64)> = before
                .texts
                .iter()
                .zip(&after.texts)
                .map(|(text, also)| (cosine(image, text), cosine(other, also)))
                .collect();
            let best = |of: fn(&(f64, f64)) -> f64| {
                (0..scores.len()).max_by(|&a, &b| of(&scores[a]).total_cmp(&of(&scores[b])))
            };
            other_best += usize::from(best(|score| score.0) != best(|score| score.1));
            for (n, a) in scores.iter().enumerate() {
                for b in &scores[n + 1..] {
                    pairs += 1;
                    swapped += usize::from((a.0 < b.0) != (a.1 < b.1));
                }
            }
        }
        Order {
            pictures: before.images.len(),
            other_best,
            swapped: swapped as f64 / f64::max(1.0, f64::from(pairs)),
        }
    }
}

/// Of a classifier's vectors too, which have another norm than 1.
fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let product =
        |a: &[f32], b: &[f32]| -> f64 { a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum() };
    product(a, b) / (product(a, a) * product(b, b)).sqrt()
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, cosines) in [("pictures", &self.images), ("labels", &self.texts)] {
            if let Some(Cosines { count, mean, least }) = cosines {
                write!(
                    f,
                    "Cosine with the source's embeddings of {what}: mean {mean:.5}, least {least:.5} of {count}. "
                )?;
            }
        }
        if let Some(Order { pictures, other_best, swapped }) = self.order {
            let percent = 100.0 * swapped;
            write!(
                f,
                "{other_best} of {pictures} pictures have another best label; {percent:.2} % of the pairs of labels change places."
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(images: &[[f32; 2]], texts: &[[f32; 2]]) -> Answers {
        let list = |vectors: &[[f32; 2]]| vectors.iter().map(|vector| vector.to_vec()).collect();
        Answers { images: list(images), texts: list(texts) }
    }

    #[test]
    fn a_change_of_order_is_counted() {
        let before = answers(&[[1.0, 0.0], [0.0, 1.0]], &[[0.9, 0.1], [0.5, 0.5], [0.0, 1.0]]);
        let same = Loss::between(&before, &before);
        assert_eq!(same.order, Some(Order { pictures: 2, other_best: 0, swapped: 0.0 }));
        assert!(same.images.as_ref().is_some_and(|cosines| (cosines.least - 1.0).abs() < 1e-12));
        // The first two labels change places for the first picture, and so do they for the second.
        let after = answers(&[[1.0, 0.0], [0.0, 1.0]], &[[0.5, 0.5], [0.9, 0.1], [0.0, 1.0]]);
        let Order { pictures, other_best, swapped } = Loss::between(&before, &after).order.unwrap();
        assert_eq!((pictures, other_best), (2, 1));
        assert!((swapped - 2.0 / 6.0).abs() < 1e-12, "{swapped}");
    }

    #[test]
    fn a_tower_that_is_missing_is_left_out() {
        let before = answers(&[[1.0, 0.0]], &[]);
        let text = Loss::between(&before, &answers(&[[0.0, 1.0]], &[])).to_string();
        assert_eq!(
            text,
            "Cosine with the source's embeddings of pictures: mean 0.00000, least 0.00000 of 1. "
        );
    }

    #[test]
    fn patterns_differ_and_stay_the_same() {
        let [first, again, other] = [0, 0, 1].map(|seed| pattern(seed).unwrap());
        assert_eq!(first.data(), again.data());
        assert_ne!(first.data(), other.data());
    }
}
