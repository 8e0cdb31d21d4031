//! Lossless files: samples as differences from the ones before (`jdlossls.c`, `jddiffct.c`; JPEG, annex H).

use super::frame::{Frame, Scan, Tables};
use super::huffman::{self, Code, NO_CODE, extend};
use super::planes::{Plane, zeros};
use super::source::{Bits, Decoded, Fault, Source};

/// Reads a scan into the planes of its components.
pub fn read_scan(
    source: &mut Source,
    frame: &Frame,
    scan: &Scan,
    tables: &Tables,
    planes: &mut [Plane],
) -> Decoded<()> {
    let (columns, rows) = scan.mcus(frame);
    let is_allowed = (1..=7).contains(&scan.first) && scan.last == 0 && scan.high == 0 && scan.low < 8;
    if !is_allowed || !tables.restart_interval.is_multiple_of(columns) {
        return Err(Fault::Broken("a scan's parameters make no sense"));
    }
    let codes = scan.components.iter().map(|&component| {
        let defined = tables.dc_codes.get(frame.components[component].dc_code);
        huffman::code(defined.and_then(Option::as_ref).ok_or(NO_CODE)?, Some(16))
    });
    let codes: Vec<Code> = codes.collect::<Decoded<_>>()?;
    let plan = scan.blocks(frame)?;
    let places: Vec<usize> = plan
        .iter()
        .map(|&(component, ..)| scan.components.iter().position(|&c| c == component).unwrap_or(0))
        .collect();
    let mut rows_of = Vec::new();
    for &component in &scan.components {
        let component = &frame.components[component];
        let rows = if scan.is_interleaved() { component.v } else { 1 };
        let width = component.block_columns.next_multiple_of(component.h);
        rows_of.push(Rows {
            width,
            samples: component.block_columns,
            differences: zeros(width * rows)?,
            before: zeros(component.block_columns)?,
            is_first: true,
        });
    }
    let rows_per_restart = tables.restart_interval / columns;
    let mut rows_left = rows_per_restart;
    let mut next_restart = 0;
    let mut bits = Bits::new(source);
    for row in 0..rows {
        if rows_per_restart > 0 {
            if rows_left == 0 {
                bits.restart(&mut next_restart)?;
                rows_of.iter_mut().for_each(|rows| rows.is_first = true);
                rows_left = rows_per_restart;
            }
            rows_left -= 1;
        }
        if bits.exhausted {
            // Rows without data are grey.
            for rows in &mut rows_of {
                rows.differences.fill(0);
                rows.is_first = true;
            }
        } else {
            for column in 0..columns {
                loop {
                    let before = bits.place();
                    match read_mcu(&mut bits, &codes, &plan, &places, &mut rows_of, frame, scan, column) {
                        Ok(()) => break,
                        Err(Fault::CutShort) => {
                            bits.go_back(before);
                            bits.source.read_on()?;
                        }
                        Err(fault) => return Err(fault),
                    }
                }
            }
        }
        for (&component, rows) in scan.components.iter().zip(&mut rows_of) {
            let per_mcu = rows.differences.len() / rows.width;
            for y in 0..per_mcu {
                let at = row * per_mcu + y;
                if at < frame.components[component].block_rows {
                    let plane = &mut planes[component];
                    rows.undo(y, scan, &mut plane.samples[at * plane.stride..]);
                }
            }
        }
    }
    Ok(())
}

#[expect(clippy::too_many_arguments, reason = "one place calls it, in the innermost loop")]
fn read_mcu(
    bits: &mut Bits,
    codes: &[Code],
    plan: &[(usize, usize, usize)],
    places: &[usize],
    rows_of: &mut [Rows],
    frame: &Frame,
    scan: &Scan,
    column: usize,
) -> Decoded<()> {
    for (&(component, y, x), &place) in plan.iter().zip(places) {
        let difference = match codes[place].symbol(bits)? {
            16 => 32768,
            count => extend(bits.take(count)?, count),
        };
        let h = if scan.is_interleaved() { frame.components[component].h } else { 1 };
        let rows = &mut rows_of[place];
        rows.differences[y * rows.width + column * h + x] = difference;
    }
    Ok(())
}

/// The rows of one component in a row of MCUs.
struct Rows {
    width: usize,
    /// Samples of a row, without those that fill up the last MCU.
    samples: usize,
    differences: Vec<i32>,
    /// The row above, with all bits.
    before: Vec<i32>,
    /// Nothing is above.
    is_first: bool,
}

impl Rows {
    fn undo(&mut self, row: usize, scan: &Scan, target: &mut [u8]) {
        let differences = &self.differences[row * self.width..][..self.samples];
        let mut left = 0;
        let mut above_left = 0;
        for (x, (difference, before)) in differences.iter().zip(&mut self.before).enumerate() {
            let above = *before;
            let predicted = match (x, scan.first) {
                (0, _) if self.is_first => 1 << (7 - scan.low),
                (0, _) => above,
                (_, 1) => left,
                _ if self.is_first => left,
                (_, 2) => above,
                (_, 3) => above_left,
                (_, 4) => left + above - above_left,
                (_, 5) => left + ((above - above_left) >> 1),
                (_, 6) => above + ((left - above_left) >> 1),
                _ => (left + above) >> 1,
            };
            left = (difference + predicted) & 0xffff;
            above_left = above;
            *before = left;
            target[x] = (left << scan.low) as u8;
        }
        self.is_first = false;
    }
}
