//! How well the fast maps of `Siglip::explain` agree with the slow one, and what they are worth by themselves.
//!
//! `cargo run --release --example explain_agreement -- MODEL PICTURES [NUMBER]`: `PICTURES` has a folder per class, whose name is
//! the label; of `NUMBER` of them, spread over the classes, it prints means of
//!
//! - the rank correlation (Spearman's) with occlusion,
//! - deletion: the label's logit, as a share of what the whole image adds to that of a grey one, while the patches are hidden one
//!   after the other, those that speak most for the label first (less is better),
//! - insertion: the same while they appear in a grey image (more is better; both from RISE, arXiv 1806.07421).

use std::error::Error;
use std::path::{Path, PathBuf};

use siglip::explain::Method;
use siglip::image::{self, RgbImage};
use siglip::text::Template;
use siglip::{Engine, LoadOptions, PixelValues, ScoreFilter, Siglip};

/// How often the logit is looked at while patches are hidden.
const STEPS: usize = 16;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, pictures, number @ ..] = &arguments[..] else {
        return Err("usage: explain_agreement MODEL PICTURES [NUMBER]".into());
    };
    let number = number.first().map_or(Ok(100), |number| number.parse())?;
    let open = |name: &str| std::fs::File::open(Path::new(model).join(name));
    let mut siglip = Siglip::from_files(open, LoadOptions::default())?;

    const SIDES: [&[usize]; 6] = [&[1], &[3], &[5], &[7], &[1, 3], &[1, 3, 5]];
    let mut maps: Vec<(String, Option<Method>)> = SIDES
        .iter()
        .map(|&sides| (format!("windows of {sides:?}"), Some(Method::Windows { sides })))
        .collect();
    maps.push(("occlusion".into(), Some(Method::Occlusion)));
    maps.push(("any order".into(), None));

    let mut sums = vec![[0.0f64; 3]; maps.len()];
    let mut counted = 0u32;
    for (at, (label, path)) in pictures_of(Path::new(pictures), number)?.iter().enumerate() {
        if !siglip.unknown_words(label)?.is_empty() {
            continue;
        }
        let picture = Picture::new(&mut siglip, label, &image::decode(&std::fs::read(path)?)?)?;
        // Of a picture that says no more than a grey one there is nothing to explain.
        if picture.ends.1 < picture.ends.0 + 1.0 {
            continue;
        }
        counted += 1;
        let reference = picture.map(&mut siglip, Method::Occlusion)?;
        for (sums, (_, method)) in sums.iter_mut().zip(&maps) {
            let values = match method {
                Some(method) => picture.map(&mut siglip, *method)?,
                // A step that has no divisor in common with the number of patches visits each once.
                None => {
                    (0..reference.len()).map(|patch| ((patch + at) * 7919 % reference.len()) as f32).collect()
                }
            };
            let (deletion, insertion) = picture.curves(&mut siglip, &values)?;
            sums[0] += f64::from(rank_correlation(&values, &reference));
            sums[1] += f64::from(deletion);
            sums[2] += f64::from(insertion);
        }
    }
    println!("{} pictures                rank correlation   deletion  insertion", counted);
    for ((name, _), sums) in maps.iter().zip(sums) {
        let [correlation, deletion, insertion] = sums.map(|sum| sum / f64::from(counted));
        println!("{name:28} {correlation:16.3} {deletion:10.3} {insertion:10.3}");
    }
    Ok(())
}

/// `number` pictures with the names of their folders.
fn pictures_of(folder: &Path, number: usize) -> Result<Vec<(String, PathBuf)>> {
    let entries = |folder: &Path| -> Result<Vec<PathBuf>> {
        let mut paths =
            std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
        paths.sort();
        Ok(paths)
    };
    let mut all = Vec::new();
    for class in entries(folder)? {
        let label = class.file_name().unwrap_or_default().to_string_lossy().replace('_', " ");
        all.extend(entries(&class)?.into_iter().map(|path| (label.clone(), path)));
    }
    let stride = (all.len() / number.max(1)).max(1);
    Ok(all.into_iter().step_by(stride).take(number).collect())
}

/// A picture with a label that is true of it.
struct Picture {
    label: String,
    image: RgbImage,
    pixel_values: PixelValues,
    /// The logit of a grey image, and of the whole one.
    ends: (f32, f32),
}

impl Picture {
    fn new(siglip: &mut Siglip, label: &str, image: &RgbImage) -> Result<Picture> {
        let pixel_values = siglip.pixel_values(image)?;
        let mut picture =
            Picture { label: label.into(), image: image.clone(), pixel_values, ends: (0.0, 1.0) };
        let mut grey = picture.pixel_values.clone();
        grey.values.fill(0.0);
        picture.ends = (picture.logit(siglip, grey)?, picture.logit(siglip, picture.pixel_values.clone())?);
        Ok(picture)
    }

    fn map(&self, siglip: &mut Siglip, method: Method) -> Result<Vec<f32>> {
        Ok(siglip.explain(&self.image, &self.label, &Template::default(), method)?.values)
    }

    fn logit(&self, siglip: &mut Siglip, image: PixelValues) -> Result<f32> {
        let image_embeds = siglip.engine_mut().image_embeds(vec![image])?;
        let labels = [self.label.clone()];
        Ok(siglip.scores(&image_embeds, &labels, &Template::default(), ScoreFilter::default())?[0].logit)
    }

    /// The means of the logits along deletion and insertion, from 0 for the grey image to 1 for the whole one.
    fn curves(&self, siglip: &mut Siglip, values: &[f32]) -> Result<(f32, f32)> {
        let mut order: Vec<usize> = (0..values.len()).collect();
        order.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
        let (grey, whole) = self.ends;
        let mut means = [0.0f32; 2];
        for step in 1..STEPS {
            let first = &order[..order.len() * step / STEPS];
            for (mean, keeps_first) in means.iter_mut().zip([false, true]) {
                let logit = self.logit(
                    siglip,
                    self.with_patches(siglip, |patch| first.contains(&patch) == keeps_first),
                )?;
                *mean += (logit - grey) / (whole - grey) / (STEPS - 1) as f32;
            }
        }
        Ok((means[0], means[1]))
    }

    /// The image with the other patches grey.
    fn with_patches(&self, siglip: &Siglip, is_kept: impl Fn(usize) -> bool) -> PixelValues {
        let mut image = self.pixel_values.clone();
        let vision = &siglip.engine().config().vision_config;
        let width = image.values.len() / vision.num_channels / image.height;
        for (place, value) in image.values.iter_mut().enumerate() {
            let (row, column) =
                (place / width % image.height / vision.patch_size, place % width / vision.patch_size);
            if !is_kept(row * (width / vision.patch_size) + column) {
                *value = 0.0;
            }
        }
        image
    }
}

/// Spearman's: the correlation of the ranks.
fn rank_correlation(a: &[f32], b: &[f32]) -> f32 {
    let ranks = |values: &[f32]| {
        let mut order: Vec<usize> = (0..values.len()).collect();
        order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
        let mut ranks = vec![0.0f32; values.len()];
        order.iter().enumerate().for_each(|(rank, &place)| ranks[place] = rank as f32);
        ranks
    };
    let middle = (a.len() - 1) as f32 / 2.0;
    let (a, b) = (ranks(a), ranks(b));
    let covariance: f32 = a.iter().zip(&b).map(|(a, b)| (a - middle) * (b - middle)).sum();
    covariance / a.iter().map(|rank| (rank - middle).powi(2)).sum::<f32>()
}
