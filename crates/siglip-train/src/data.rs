//! The pictures as the recipe leaves them, and batches of them.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{Device, Tensor};
use rand::Rng;
use rand::distr::Distribution;
use rand::distr::weighted::WeightedIndex;
use rand::rngs::SmallRng;
use rand::seq::index;
use safetensors::SafeTensors;
use serde::Deserialize;

use crate::Error;
use crate::captions::Captions;
use crate::shape::{IMAGE_SIZE, Shape};

const PIXELS: usize = IMAGE_SIZE * IMAGE_SIZE * 3;

/// How often each source is drawn: small ones more often than their size, lest they drown.
const SHARES: [(&str, f32); 6] = [
    ("tiny-imagenet", 0.60),
    ("caltech101", 0.08),
    ("cifar10", 0.07),
    ("clothing-dataset", 0.03),
    ("grocery-store", 0.05),
    ("emoji", 0.17),
];

#[derive(Deserialize)]
struct Index {
    train: Vec<Row>,
    validation: Vec<Row>,
    classes: BTreeMap<String, Vec<String>>,
}

/// A picture's class, as "source/class".
#[derive(Deserialize)]
struct Row {
    class: String,
}

/// One rendering of all pictures: what the student sees and what the teacher said of it.
struct View {
    pixels: Vec<u8>,
    features: Vec<f32>,
}

/// The pictures to learn from.
pub struct Pictures {
    views: Vec<View>,
    /// Numbers that the teacher says of a picture.
    pub features: usize,
    /// The teacher's last layer, from those numbers to its classes: `[classes, features]` and `[classes]`.
    pub classifier: (Tensor, Tensor),
    sources: Vec<Source>,
    shares: WeightedIndex<f32>,
}

/// The pictures of a source with their classes.
struct Source {
    rows: Vec<(usize, usize)>,
    drawings: bool,
}

/// A part of a batch: pictures cut into patches, some of them left out.
pub struct Batch {
    /// Classes of the pictures, by their place in [`Captions`].
    pub classes: Vec<usize>,
    /// Whether a picture is a drawing.
    pub drawings: Vec<bool>,
    /// [pictures·kept, numbers of a patch], between -1 and 1.
    pub patches: Tensor,
    /// [pictures·kept], each patch's place in its picture.
    pub positions: Tensor,
    /// [pictures, features], what the teacher says.
    pub features: Tensor,
}

impl Pictures {
    /// Reads what the recipe wrote in `folder`.
    pub fn read(folder: &Path, captions: &Captions) -> Result<Pictures, Error> {
        let index = read_index(folder)?;
        let mut views = Vec::new();
        while let Some(view) =
            read_view(&folder.join(format!("view-{}.safetensors", views.len())), index.train.len())?
        {
            views.push(view);
        }
        let features = views.first().map_or(0, |view| view.features.len() / index.train.len());
        let mut sources: Vec<Source> =
            SHARES.iter().map(|(name, _)| Source { rows: Vec::new(), drawings: *name == "emoji" }).collect();
        for (row, picture) in index.train.iter().enumerate() {
            let source = SHARES.iter().position(|(name, _)| picture.class.split('/').next() == Some(name));
            if let (Some(source), Some(class)) = (source, captions.class(&picture.class)) {
                sources[source].rows.push((row, class));
            }
        }
        let shares =
            SHARES.iter().zip(&sources).map(|((_, share), s)| if s.rows.is_empty() { 0.0 } else { *share });
        let shares = WeightedIndex::new(shares).map_err(Error::data(folder))?;
        let path = folder.join("classifier.safetensors");
        let mut classifier = candle_core::safetensors::load(&path, &Device::Cpu)?;
        let mut take = |name: &str| {
            classifier.remove(name).ok_or_else(|| Error::data(&path)(format!("it has no {name}")))
        };
        let classifier = (take("weight")?, take("bias")?);
        Ok(Pictures { views, features, classifier, sources, shares })
    }

    /// The deviation of each of the teacher's features over the first view, [1, features].
    pub fn spread(&self) -> Result<Tensor, Error> {
        let mut squares = vec![0.0f32; self.features];
        let features = &self.views[0].features;
        for row in features.chunks_exact(self.features) {
            squares.iter_mut().zip(row).for_each(|(sum, x)| *sum += x * x);
        }
        let rows = (features.len() / self.features) as f32;
        let spread = squares.iter().map(|sum| (sum / rows).sqrt().max(1e-6)).collect();
        Ok(Tensor::from_vec(spread, (1, self.features), &Device::Cpu)?)
    }

    /// The class of a picture, drawn as pictures are.
    pub fn draw_class(&self, random: &mut SmallRng) -> usize {
        let (_, _, class) = self.draw_one(random);
        class
    }

    fn draw_one(&self, random: &mut SmallRng) -> (&Source, usize, usize) {
        let source = &self.sources[self.shares.sample(random)];
        let (row, class) = source.rows[random.random_range(0..source.rows.len())];
        (source, row, class)
    }

    /// Draws `size` pictures with `kept` patches of each.
    pub fn draw(
        &self,
        size: usize,
        kept: usize,
        shape: &Shape,
        random: &mut SmallRng,
    ) -> Result<Batch, Error> {
        let (mut classes, mut drawings) = (Vec::new(), Vec::new());
        let (mut patches, mut positions, mut features) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..size {
            let (source, row, class) = self.draw_one(random);
            let view = &self.views[random.random_range(0..self.views.len())];
            classes.push(class);
            drawings.push(source.drawings);
            features.extend_from_slice(&view.features[row * self.features..][..self.features]);
            let pixels = &view.pixels[row * PIXELS..][..PIXELS];
            let augmentation = Augmentation::draw(random);
            for position in index::sample(random, shape.patches(), kept) {
                augmentation.push_patch(&mut patches, pixels, position, shape.patch);
                positions.push(position as u32);
            }
        }
        let rows = size * kept;
        Ok(Batch {
            classes,
            drawings,
            patches: Tensor::from_vec(patches, (rows, shape.patch_size()), &Device::Cpu)?,
            positions: Tensor::from_vec(positions, rows, &Device::Cpu)?,
            features: Tensor::from_vec(features, (size, self.features), &Device::Cpu)?,
        })
    }
}

/// The pictures that training never sees.
pub struct Validation {
    pixels: Vec<u8>,
    /// Class of each picture, as "source/class".
    pub classes: Vec<String>,
    /// The names of each class, most usual first.
    pub names: BTreeMap<String, Vec<String>>,
}

impl Validation {
    /// Reads what the recipe wrote in `folder`.
    pub fn read(folder: &Path) -> Result<Validation, Error> {
        let index = read_index(folder)?;
        let path = folder.join("validation.safetensors");
        let bytes = std::fs::read(&path).map_err(Error::file(&path))?;
        let tensors = SafeTensors::deserialize(&bytes).map_err(Error::data(&path))?;
        let pixels = tensors.tensor("pixels").map_err(Error::data(&path))?.data().to_vec();
        if pixels.len() != index.validation.len() * PIXELS {
            return Err(Error::data(path)("it holds another number of pictures than pictures.json names"));
        }
        let classes = index.validation.into_iter().map(|row| row.class).collect();
        Ok(Validation { pixels, classes, names: index.classes })
    }

    /// The RGB bytes of a picture, [64, 64, 3].
    pub fn pixels(&self, row: usize) -> &[u8] {
        &self.pixels[row * PIXELS..][..PIXELS]
    }

    /// The rows of a source whose classes have a name.
    pub fn rows(&self, source: &str) -> Vec<usize> {
        let counts =
            |class: &String| class.split('/').next() == Some(source) && !self.names[class].is_empty();
        (0..self.classes.len()).filter(|&row| counts(&self.classes[row])).collect()
    }

    /// All patches of some pictures, with their positions.
    pub fn patches(&self, rows: &[usize], shape: &Shape) -> Result<(Tensor, Tensor), Error> {
        let mut patches = Vec::new();
        for &row in rows {
            for position in 0..shape.patches() {
                push_patch(&mut patches, self.pixels(row), position, shape.patch);
            }
        }
        let positions: Vec<u32> = rows.iter().flat_map(|_| 0..shape.patches() as u32).collect();
        let count = positions.len();
        Ok((
            Tensor::from_vec(patches, (count, shape.patch_size()), &Device::Cpu)?,
            Tensor::from_vec(positions, count, &Device::Cpu)?,
        ))
    }
}

/// One patch's numbers between -1 and 1, channel by channel as the patch embedding's convolution has its weights.
pub fn push_patch(out: &mut Vec<f32>, pixels: &[u8], position: usize, side: usize) {
    Augmentation::PLAIN.push_patch(out, pixels, position, side);
}

/// How a picture is changed each time that it is drawn: cropped, mirrored, brighter or darker, with other colours.
struct Augmentation {
    mirrored: bool,
    /// The crop's left and top in pixels, and its side as a share of the picture's.
    crop: Option<(f32, f32, f32)>,
    gain: f32,
    shifts: [f32; 3],
}

impl Augmentation {
    /// The picture as it is.
    const PLAIN: Augmentation = Augmentation { mirrored: false, crop: None, gain: 1.0, shifts: [0.0; 3] };

    fn draw(random: &mut SmallRng) -> Augmentation {
        let crop = random.random_bool(0.7).then(|| {
            let share: f32 = random.random_range(0.65..1.0);
            let room = IMAGE_SIZE as f32 * (1.0 - share);
            (random.random::<f32>() * room, random.random::<f32>() * room, share)
        });
        let light: f32 = random.random_range(-0.1..0.1);
        Augmentation {
            mirrored: random.random(),
            crop,
            gain: random.random_range(0.8..1.2),
            shifts: [(); 3].map(|()| light + random.random_range(-0.06..0.06)),
        }
    }

    fn push_patch(&self, out: &mut Vec<f32>, pixels: &[u8], position: usize, side: usize) {
        let grid = IMAGE_SIZE / side;
        let (top, left) = (position / grid * side, position % grid * side);
        for channel in 0..3 {
            for y in top..top + side {
                for x in left..left + side {
                    let x = if self.mirrored { IMAGE_SIZE - 1 - x } else { x };
                    let value = self.value(pixels, channel, x, y) / 127.5 - 1.0;
                    out.push((value * self.gain + self.shifts[channel]).clamp(-1.0, 1.0));
                }
            }
        }
    }

    /// A pixel of the crop, interpolated between its four neighbours.
    fn value(&self, pixels: &[u8], channel: usize, x: usize, y: usize) -> f32 {
        let at = |x: usize, y: usize| f32::from(pixels[(y * IMAGE_SIZE + x) * 3 + channel]);
        let Some((left, top, share)) = self.crop else { return at(x, y) };
        let along = |start: f32, i: usize| {
            let place = (start + (i as f32 + 0.5) * share - 0.5).max(0.0);
            let near = (place as usize).min(IMAGE_SIZE - 2);
            (near, (place - near as f32).min(1.0))
        };
        let ((x, right), (y, down)) = (along(left, x), along(top, y));
        let mix = |a: f32, b: f32, share: f32| (b - a).mul_add(share, a);
        mix(mix(at(x, y), at(x + 1, y), right), mix(at(x, y + 1), at(x + 1, y + 1), right), down)
    }
}

fn read_index(folder: &Path) -> Result<Index, Error> {
    let path = folder.join("pictures.json");
    let bytes = std::fs::read(&path).map_err(Error::file(&path))?;
    serde_json::from_slice(&bytes).map_err(Error::data(path))
}

/// The view in `path`, or none where there are no more.
fn read_view(path: &Path, rows: usize) -> Result<Option<View>, Error> {
    if !path.exists() {
        return Ok(None);
    }
    let bytes = std::fs::read(path).map_err(Error::file(path))?;
    let tensors = SafeTensors::deserialize(&bytes).map_err(Error::data(path))?;
    let pixels = tensors.tensor("pixels").map_err(Error::data(path))?.data().to_vec();
    let features = tensors.tensor("features").map_err(Error::data(path))?;
    let features: Vec<f32> = features
        .data()
        .chunks_exact(2)
        .map(|bytes| half::f16::from_le_bytes([bytes[0], bytes[1]]).to_f32())
        .collect();
    if pixels.len() != rows * PIXELS || !features.len().is_multiple_of(rows) {
        return Err(Error::data(path)("it holds another number of pictures than pictures.json names"));
    }
    Ok(Some(View { pixels, features }))
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    const SIDE: usize = 8;

    /// Red grows to the right, green downwards; blue is the same everywhere.
    fn ramp() -> Vec<u8> {
        let pixel = |i: usize| [(i % IMAGE_SIZE * 4) as u8, (i / IMAGE_SIZE * 4) as u8, 100];
        (0..IMAGE_SIZE * IMAGE_SIZE).flat_map(pixel).collect()
    }

    /// All patches, one after the other.
    fn patches(augmentation: &Augmentation, pixels: &[u8]) -> Vec<f32> {
        let mut out = Vec::new();
        let count = (IMAGE_SIZE / SIDE).pow(2);
        (0..count).for_each(|position| augmentation.push_patch(&mut out, pixels, position, SIDE));
        out
    }

    #[test]
    fn a_crop_of_the_whole_picture_is_the_picture() {
        let whole = Augmentation { crop: Some((0.0, 0.0, 1.0)), ..Augmentation::PLAIN };
        let pixels = ramp();
        for (a, b) in patches(&whole, &pixels).iter().zip(patches(&Augmentation::PLAIN, &pixels)) {
            assert!((a - b).abs() < 1e-5, "{a} for {b}");
        }
    }

    #[test]
    fn a_crop_is_interpolated_and_mirrored() {
        let (left, top, share) = (10.0, 4.5, 0.5);
        let augmentation =
            Augmentation { mirrored: true, crop: Some((left, top, share)), ..Augmentation::PLAIN };
        let found = patches(&augmentation, &ramp());
        // The pixel (3, 5) of the second patch; its colours in the ramp, which interpolation keeps straight.
        let (x, y) = (SIDE + 3, 5);
        let along = |start: f32, i: usize| start + (i as f32 + 0.5) * share - 0.5;
        let expected = [along(left, IMAGE_SIZE - 1 - x) * 4.0, along(top, y) * 4.0, 100.0];
        for (channel, expected) in expected.into_iter().enumerate() {
            let found = (found[((3 + channel) * SIDE + 5) * SIDE + 3] + 1.0) * 127.5;
            assert!((found - expected).abs() < 1e-3, "channel {channel}: {found} for {expected}");
        }
    }

    #[test]
    fn every_augmentation_stays_within_the_picture_and_its_range() {
        let mut random = SmallRng::seed_from_u64(1);
        let pixels = ramp();
        for _ in 0..200 {
            let found = patches(&Augmentation::draw(&mut random), &pixels);
            assert!(found.iter().all(|x| (-1.0..=1.0).contains(x)));
        }
        // The largest crop that rounding can come to.
        let largest = Augmentation { crop: Some((0.0, 64.0 * f32::EPSILON, 1.0)), ..Augmentation::PLAIN };
        assert_eq!(patches(&largest, &pixels).len(), pixels.len());
    }
}
