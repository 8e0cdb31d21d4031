//! What a file's headers say.

use super::huffman::Definition;
use super::source::{Decoded, Fault};

/// How a frame is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Coding {
    pub progressive: bool,
    pub arithmetic: bool,
    pub lossless: bool,
}

/// The picture: sides and components.
pub struct Frame {
    pub coding: Coding,
    pub width: usize,
    pub height: usize,
    pub components: Vec<Component>,
    /// The largest sampling factors.
    pub max_h: usize,
    pub max_v: usize,
    /// Rows of interleaved MCUs, and MCUs in each.
    pub mcu_rows: usize,
    pub mcus_per_row: usize,
}

/// One component of a frame.
pub struct Component {
    pub id: u8,
    /// Sampling factors.
    pub h: usize,
    pub v: usize,
    pub quantization: usize,
    /// Samples.
    pub width: usize,
    pub height: usize,
    /// Blocks of 8 x 8 samples, of lossless files samples.
    pub block_columns: usize,
    pub block_rows: usize,
    pub dc_code: usize,
    pub ac_code: usize,
    /// In the order of a block's rows, fixed by the component's first scan.
    pub quantizer: Option<[u16; 64]>,
}

impl Frame {
    /// libjpeg's `initial_setup`.
    pub fn new(coding: Coding, width: usize, height: usize, components: Vec<Component>) -> Decoded<Frame> {
        // libjpeg's JPEG_MAX_DIMENSION.
        const MAX_SIDE: usize = 65500;
        if width > MAX_SIDE || height > MAX_SIDE {
            return Err(Fault::Broken("a side exceeds 65500 pixels"));
        }
        if components.iter().any(|c| !(1..=4).contains(&c.h) || !(1..=4).contains(&c.v)) {
            return Err(Fault::Broken("a sampling factor is not within 1 to 4"));
        }
        let max_h = components.iter().map(|c| c.h).max().unwrap_or(1);
        let max_v = components.iter().map(|c| c.v).max().unwrap_or(1);
        let unit = if coding.lossless { 1 } else { 8 };
        let mut frame = Frame {
            coding,
            width,
            height,
            components,
            max_h,
            max_v,
            mcu_rows: height.div_ceil(max_v * unit),
            mcus_per_row: width.div_ceil(max_h * unit),
        };
        for component in &mut frame.components {
            component.width = (width * component.h).div_ceil(max_h);
            component.height = (height * component.v).div_ceil(max_v);
            component.block_columns = (width * component.h).div_ceil(max_h * unit);
            component.block_rows = (height * component.v).div_ceil(max_v * unit);
        }
        Ok(frame)
    }
}

/// Components of a frame that are coded together, and which of their coefficients.
pub struct Scan {
    /// Places among the frame's components.
    pub components: Vec<usize>,
    /// First and last coefficient in zigzag order; of lossless files, `first` is the predictor.
    pub first: usize,
    pub last: usize,
    /// Lowest bit of the scan before and of this one.
    pub high: u32,
    pub low: u32,
    /// Counted from 1.
    pub number: usize,
}

impl Scan {
    /// Interleaved scans have whole MCUs, those of one component just its blocks.
    pub fn is_interleaved(&self) -> bool {
        self.components.len() > 1
    }

    /// Whether a progressive file may have this scan.
    pub fn check_progressive(&self) -> Decoded<()> {
        let band = if self.first == 0 {
            self.last == 0
        } else {
            self.first <= self.last && self.last < 64 && !self.is_interleaved()
        };
        if band && (self.high == 0 || self.low + 1 == self.high) && self.low <= 13 {
            Ok(())
        } else {
            Err(Fault::Broken("a scan's parameters make no sense"))
        }
    }

    /// Component, row and column within an MCU of each of its blocks.
    pub fn blocks(&self, frame: &Frame) -> Decoded<Vec<(usize, usize, usize)>> {
        if let [component] = self.components[..] {
            return Ok(vec![(component, 0, 0)]);
        }
        let of_component = |&component: &usize| {
            let Component { h, v, .. } = frame.components[component];
            (0..v).flat_map(move |row| (0..h).map(move |column| (component, row, column)))
        };
        let blocks: Vec<_> = self.components.iter().flat_map(of_component).collect();
        if blocks.len() > 10 {
            return Err(Fault::Broken("an MCU has more than 10 blocks"));
        }
        Ok(blocks)
    }

    /// MCUs in a row and rows.
    pub fn mcus(&self, frame: &Frame) -> (usize, usize) {
        match self.components[..] {
            [component] => {
                let component = &frame.components[component];
                (component.block_columns, component.block_rows)
            }
            _ => (frame.mcus_per_row, frame.mcu_rows),
        }
    }
}

/// What is defined for the scans to come.
#[derive(Default)]
pub struct Tables {
    /// In the order of a block's rows.
    pub quantizers: [Option<[u16; 64]>; 4],
    pub dc_codes: [Option<Definition>; 4],
    pub ac_codes: [Option<Definition>; 4],
    pub conditioning: Conditioning,
    /// MCUs, or 0.
    pub restart_interval: usize,
}

/// Arithmetic coding's parameters: bounds of small DC differences, and the last low AC coefficient.
pub struct Conditioning {
    pub dc_low: [u8; 16],
    pub dc_high: [u8; 16],
    pub ac: [u8; 16],
}

impl Default for Conditioning {
    fn default() -> Conditioning {
        Conditioning { dc_low: [0; 16], dc_high: [1; 16], ac: [5; 16] }
    }
}

/// Of the coefficients in zigzag order, the place in a block. Damaged data may lead beyond the 64th.
#[rustfmt::skip]
pub const NATURAL_ORDER: [u8; 80] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5,
    12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
    35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
    58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
    63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63,
];
