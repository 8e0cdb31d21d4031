//! Lab to sRGB as Pillow has Little CMS do it, to the last bit.
//!
//! Little CMS makes a table of 33 x 33 x 33 colours of 16 bits and interpolates between them. While it makes the table,
//! its stages hand on numbers in float32. Every rounding here is one of Little CMS's, in its order.

/// Points of the table along L, a and b.
const POINTS: usize = 33;
/// From a point to the next one along L, a and b.
const STEPS: [usize; 3] = [POINTS * POINTS, POINTS, 1];
/// D50, the white of profiles.
const WHITE: [f64; 3] = [0.9642, 1.0, 0.8249];
/// The largest X, Y or Z of a profile, which is 1 between stages.
const MAX_XYZ: f64 = 1.0 + 32767.0 / 32768.0;
/// From XYZ to linear sRGB: the inverse of its primaries with the white D65, adapted to D50 after Bradford.
const TO_SRGB: [[f64; 3]; 3] = [
    [3.134186364236819, -1.6172089589982757, -0.4906940640063841],
    [-0.9787485041906946, 1.9161300967735877, 0.033433399159995617],
    [0.07196392780224682, -0.22899387345320335, 1.4057537328964447],
];

/// The table of colours.
pub struct LabToRgb(Vec<[u16; 3]>);

impl LabToRgb {
    pub fn new() -> LabToRgb {
        let axis = || (0..POINTS).map(|at| (at as f64 * 65535.0 / (POINTS - 1) as f64).round() / 65535.0);
        let mut table = Vec::with_capacity(POINTS * POINTS * POINTS);
        for lightness in axis() {
            for a in axis() {
                table.extend(axis().map(|b| color([lightness, a, b])));
            }
        }
        LabToRgb(table)
    }

    /// The colour of a pixel whose a and b are 128 where they are neutral.
    pub fn convert(&self, lab: [u8; 3]) -> [u8; 3] {
        // Of each axis the distance to the point below, in 65536ths, and the step to the point above.
        let mut axes = [(0, 0); 3];
        let mut place = 0;
        for ((axis, level), step) in axes.iter_mut().zip(lab).zip(STEPS) {
            let position = u32::from(level) * 257 * (POINTS as u32 - 1);
            let position = position + (position + 0x7fff) / 0xffff;
            place += (position >> 16) as usize * step;
            *axis = (i64::from(position & 0xffff), if level == 255 { 0 } else { step });
        }
        // Through the tetrahedron that the colour is in, along the axis of the largest distance first.
        axes.sort_by_key(|&(distance, _)| -distance);
        let start = self.0[place].map(i64::from);
        let (mut before, mut sums) = (start, [0x8001; 3]);
        for (distance, step) in axes {
            place += step;
            let next = self.0[place].map(i64::from);
            for channel in 0..3 {
                sums[channel] += (next[channel] - before[channel]) * distance;
            }
            before = next;
        }
        [0, 1, 2].map(|channel| {
            let level = start[channel] + ((sums[channel] + (sums[channel] >> 16)) >> 16);
            ((level as u32 * 65281 + (1 << 23)) >> 24) as u8
        })
    }
}

/// A colour of the table, of numbers from 0 to 1.
fn color(lab: [f64; 3]) -> [u16; 3] {
    let [lightness, a, b] = lab.map(|number| f64::from(number as f32));
    let y = (lightness * 100.0 + 16.0) / 116.0;
    let x = y + 0.002 * (a * 255.0 - 128.0);
    let z = y - 0.005 * (b * 255.0 - 128.0);
    let xyz = [x, y, z].map(|root| {
        if root <= 24.0 / 116.0 { 108.0 / 841.0 * (root - 16.0 / 116.0) } else { root * root * root }
    });
    let xyz = [0, 1, 2].map(|at| f64::from((xyz[at] * WHITE[at] / MAX_XYZ) as f32));
    TO_SRGB.map(|row| {
        let linear: f64 = row.iter().zip(xyz).map(|(factor, part)| factor * MAX_XYZ * part).sum();
        let level = encoded(f64::from(linear as f32)) as f32;
        (f64::from(level) * 65535.0 + 0.5).floor() as u16
    })
}

/// sRGB's curve.
fn encoded(linear: f64) -> f64 {
    const SCALE: f64 = 1.0 / 1.055;
    const OFFSET: f64 = 0.055 / 1.055;
    if linear >= (SCALE * 0.04045 + OFFSET).powf(2.4) {
        (linear.powf(1.0 / 2.4) - OFFSET) / SCALE
    } else {
        linear * 12.92
    }
}
