//! An image as the image tower sees it: a grid of patches, each with a position.

use crate::config::VisionConfig;

/// Greatest number of patches of an image.
const MAX_PATCHES: usize = 4096;

/// How an image of [channels, height, width] is cut into patches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grid {
    pub rows: usize,
    pub columns: usize,
    height: usize,
    width: usize,
}

impl Grid {
    /// The grid of an image of this number of values and this height; `None` if the tower does not take such an image.
    pub fn new(config: &VisionConfig, values: usize, height: usize) -> Option<Grid> {
        let patch_size = config.patch_size;
        let width = values.checked_div(config.num_channels.checked_mul(height)?)?;
        if values != config.num_channels * height * width {
            return None;
        }
        let (rows, columns) = (height / patch_size, width / patch_size);
        let fits = match config.keeps_aspect() {
            true => {
                let whole = height.is_multiple_of(patch_size) && width.is_multiple_of(patch_size);
                whole && (1..=MAX_PATCHES).contains(&rows.checked_mul(columns)?)
            }
            false => (height, width) == (config.image_size, config.image_size),
        };
        fits.then_some(Grid { rows, columns, height, width })
    }

    pub fn patches(self) -> usize {
        self.rows * self.columns
    }

    /// The patches of a square window around each patch, which ends where the image does. An even `side` takes one patch more.
    pub fn windows(self, side: usize) -> impl Iterator<Item = Vec<usize>> {
        let reach = side / 2;
        let around = move |at: usize, end: usize| at.saturating_sub(reach)..(at + reach + 1).min(end);
        (0..self.patches()).map(move |patch| {
            let columns = around(patch % self.columns, self.columns);
            around(patch / self.columns, self.rows)
                .flat_map(|row| columns.clone().map(move |column| row * self.columns + column))
                .collect()
        })
    }

    /// Fills `out` with one row per patch: its values in the order of the columns of the patch embedding's weight.
    pub fn gather(self, config: &VisionConfig, pixel_values: &[f32], out: &mut [f32]) {
        let VisionConfig { patch_size, num_channels, .. } = *config;
        let offsets: Vec<usize> = (0..config.patch_values())
            .map(|column| {
                // A convolution's weight has the order [channel, line, column], NaFlex's linear layer [line, column,
                // channel].
                let (channel, pixel) = match config.keeps_aspect() {
                    true => (column % num_channels, column / num_channels),
                    false => (column / patch_size.pow(2), column % patch_size.pow(2)),
                };
                (channel * self.height + pixel / patch_size) * self.width + pixel % patch_size
            })
            .collect();
        for (patch, row) in out.chunks_exact_mut(offsets.len()).enumerate() {
            let (line, column) = (patch / self.columns * patch_size, patch % self.columns * patch_size);
            let patch = &pixel_values[line * self.width + column..];
            if config.keeps_aspect() {
                row.iter_mut().zip(&offsets).for_each(|(value, &offset)| *value = patch[offset]);
                continue;
            }
            // Values of a line lie beside each other.
            let lines = row.chunks_exact_mut(patch_size).zip(offsets.iter().step_by(patch_size));
            lines.for_each(|(line, &offset)| line.copy_from_slice(&patch[offset..][..patch_size]));
        }
    }
}

/// Appends the position embeddings of a grid: `table`, the embeddings of `side` x `side` patches, resampled to it.
///
/// As torch's `interpolate(mode="bilinear", antialias=True)`. For a grid of one column torch's CPU kernel gives every row the
/// first row's value; this function does not copy that fault.
pub(crate) fn resample_positions(table: &[f32], side: usize, grid: Grid, out: &mut Vec<f32>) {
    resample(table, side, [grid.rows, grid.columns], triangle_windows, out);
}

/// The position embeddings of `target` x `target` patches, from `table`, those of `side` x `side`.
///
/// As torch's `interpolate(mode="bicubic", align_corners=False)`, which does not smooth where patches become fewer.
pub(crate) fn interpolate_positions(table: &[f32], side: usize, target: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(table.len() / side.pow(2) * target.pow(2));
    resample(table, side, [target, target], cubic_windows, &mut out);
    out
}

/// Along the rows first, then along the columns.
fn resample(
    table: &[f32],
    side: usize,
    [rows, columns]: [usize; 2],
    windows: fn(usize, usize) -> Vec<Window>,
    out: &mut Vec<f32>,
) {
    if (rows, columns) == (side, side) {
        out.extend_from_slice(table);
        return;
    }
    let width = table.len() / side.pow(2);
    let across = windows(side, columns);
    let mut wide = vec![0.0; side * columns * width];
    for (line, line_out) in table.chunks_exact(side * width).zip(wide.chunks_exact_mut(columns * width)) {
        for (window, sum) in across.iter().zip(line_out.chunks_exact_mut(width)) {
            window.add(line, width, sum);
        }
    }
    for window in windows(side, rows) {
        let start = out.len();
        out.resize(start + columns * width, 0.0);
        window.add(&wide, columns * width, &mut out[start..]);
    }
}

/// The sources that one target is averaged from, and their weights.
struct Window {
    first: usize,
    weights: Vec<f32>,
}

impl Window {
    /// Adds the weighted rows of `source`, each `width` wide, to `sum`.
    fn add(&self, source: &[f32], width: usize, sum: &mut [f32]) {
        for (row, weight) in source[self.first * width..].chunks_exact(width).zip(&self.weights) {
            sum.iter_mut().zip(row).for_each(|(sum, value)| *sum += weight * value);
        }
    }
}

/// Triangle filters, as wide as one target's share of the source, but at least as wide as one source.
fn triangle_windows(source: usize, target: usize) -> Vec<Window> {
    let ratio = source as f32 / target as f32;
    let support = ratio.max(1.0);
    let window = |place: usize| {
        let centre = ratio * (place as f32 + 0.5);
        let first = (centre - support + 0.5).max(0.0) as usize;
        let end = ((centre + support + 0.5) as usize).min(source);
        let distance = |at: usize| (at as f32 - centre + 0.5) / support;
        let weights: Vec<f32> = (first..end).map(|at| (1.0 - distance(at).abs()).max(0.0)).collect();
        let sum: f32 = weights.iter().sum();
        Window { first, weights: weights.iter().map(|weight| weight / sum).collect() }
    };
    (0..target).map(window).collect()
}

/// Keys' cubic convolution over the four nearest sources, with torch's factor. At an edge the outermost source stands for those
/// beyond it.
fn cubic_windows(source: usize, target: usize) -> Vec<Window> {
    const A: f32 = -0.75;
    let near = |x: f32| ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0;
    let far = |x: f32| ((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A;
    let ratio = source as f32 / target as f32;
    let window = |place: usize| {
        let centre = ratio * (place as f32 + 0.5) - 0.5;
        let before = centre.floor();
        let t = centre - before;
        let inside = |at: isize| at.clamp(0, source as isize - 1) as usize;
        let at = before as isize;
        let first = inside(at - 1);
        let mut weights = vec![0.0; inside(at + 2) - first + 1];
        for (tap, weight) in [far(t + 1.0), near(t), near(1.0 - t), far(2.0 - t)].into_iter().enumerate() {
            weights[inside(at - 1 + tap as isize) - first] += weight;
        }
        Window { first, weights }
    };
    (0..target).map(window).collect()
}
