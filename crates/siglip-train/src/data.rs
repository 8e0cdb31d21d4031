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
        Ok(Pictures { views, features, sources, shares })
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
            let mirrored = random.random();
            for position in index::sample(random, shape.patches(), kept) {
                push_patch(&mut patches, pixels, position, mirrored, shape.patch);
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
                push_patch(&mut patches, self.pixels(row), position, false, shape.patch);
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
pub fn push_patch(out: &mut Vec<f32>, pixels: &[u8], position: usize, mirrored: bool, side: usize) {
    let grid = IMAGE_SIZE / side;
    let (top, left) = (position / grid * side, position % grid * side);
    for channel in 0..3 {
        for y in top..top + side {
            for x in left..left + side {
                let x = if mirrored { IMAGE_SIZE - 1 - x } else { x };
                out.push(f32::from(pixels[(y * IMAGE_SIZE + x) * 3 + channel]) / 127.5 - 1.0);
            }
        }
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
