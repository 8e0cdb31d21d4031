//! Baseline JPEGs: odd sampling factors, scans of some components, restarts, stray markers, bytes behind the end.

use arbitrary::{Result, Unstructured};

use super::{bytes, pick};

/// Makes one and decodes it.
pub fn check(source: &mut Unstructured) -> Result<()> {
    let (width, height) = (source.int_in_range(1..=40u16)?, source.int_in_range(1..=40u16)?);
    let components = pick(source, &[1usize, 3])?;
    let first: [u16; 2] =
        if components == 1 { [1, 1] } else { pick(source, &[[1, 1], [2, 1], [1, 2], [2, 2]])? };
    let sampling = |component: usize| if component == 0 { first } else { [1, 1] };
    let is_interleaved = components == 1 || source.arbitrary()?;
    let restart = pick(source, &[0u16, 0, 1, 2, 5])?;

    let mut file = vec![0xff, 0xd8];
    strays(source, &mut file)?;
    // Tables of quantisation in one segment or in several, of 8 or 16 bits.
    let wide: bool = source.arbitrary()?;
    let mut table = vec![u8::from(wide) << 4];
    for _ in 0..64 {
        table.extend(if wide {
            vec![0, 1 + source.arbitrary::<u8>()? % 99]
        } else {
            vec![1 + source.arbitrary::<u8>()? % 99]
        });
    }
    segment(&mut file, 0xdb, &table);
    strays(source, &mut file)?;
    let mut frame =
        [[8].as_slice(), &height.to_be_bytes(), &width.to_be_bytes(), &[components as u8]].concat();
    for component in 0..components {
        let [h, v] = sampling(component);
        frame.extend([component as u8 + 1, (h << 4 | v) as u8, 0]);
    }
    // A baseline frame has tables of 8 bits, an extended one of either.
    segment(&mut file, if wide { 0xc1 } else { 0xc0 }, &frame);
    // Both tables of Huffman codes: DC differences of 0, 1 and 2 bits; AC has the end of a block and one coefficient.
    let (dc, ac) = ([&counts(3)[..], &[0, 1, 2]].concat(), [&counts(2)[..], &[0x00, 0x01]].concat());
    if source.arbitrary()? {
        segment(&mut file, 0xc4, &[&[0x00][..], &dc, &[0x10], &ac].concat());
    } else {
        segment(&mut file, 0xc4, &[&[0x10][..], &ac].concat());
        segment(&mut file, 0xc4, &[&[0x00][..], &dc].concat());
    }
    if restart > 0 {
        segment(&mut file, 0xdd, &restart.to_be_bytes());
    }

    let scans: Vec<Vec<usize>> = if is_interleaved {
        vec![(0..components).collect()]
    } else {
        (0..components).map(|i| vec![i]).collect()
    };
    for scan in scans {
        strays(source, &mut file)?;
        let mut head = vec![scan.len() as u8];
        head.extend(scan.iter().flat_map(|&component| [component as u8 + 1, 0]));
        head.extend([0, 63, 0]);
        segment(&mut file, 0xda, &head);
        let [h, v] = sampling(0);
        // A scan of one component goes by its own blocks, one of several by what all sampling factors make together.
        let (units, blocks) = match scan[..] {
            [component] => {
                let [own_h, own_v] = sampling(component);
                let across = (width * own_h).div_ceil(h).div_ceil(8);
                let down = (height * own_v).div_ceil(v).div_ceil(8);
                (across * down, 1)
            }
            _ => (width.div_ceil(8 * h) * height.div_ceil(8 * v), h * v + 2),
        };
        let mut bits = Bits::default();
        for unit in 0..units {
            if restart > 0 && unit > 0 && unit % restart == 0 {
                bits.flush();
                bits.bytes.extend([0xff, 0xd0 + ((unit / restart - 1) % 8) as u8]);
            }
            for _ in 0..blocks {
                // Codes 0, 10, 110 for 0, 1 and 2 bits of difference.
                match source.int_in_range(0..=2u32)? {
                    0 => bits.push(0b0, 1),
                    1 => bits.push(0b100 | u32::from(source.arbitrary::<bool>()?), 3),
                    _ => bits.push(0b11000 | source.int_in_range(0..=3u32)?, 5),
                }
                if source.arbitrary()? {
                    bits.push(0b100 | u32::from(source.arbitrary::<bool>()?), 3);
                }
                bits.push(0b0, 1);
            }
        }
        bits.flush();
        file.extend(bits.bytes);
    }
    file.extend([0xff, 0xd9]);
    let behind = source.int_in_range(0..=12)?;
    file.extend(bytes(source, behind));

    let picture = siglip::image::decode(&file).expect("a valid JPEG");
    assert_eq!((picture.width(), picture.height()), (u32::from(width), u32::from(height)));
    Ok(())
}

/// A table with one code of each length from 1 to `codes`.
fn counts(codes: usize) -> [u8; 16] {
    std::array::from_fn(|length| u8::from(length < codes))
}

fn segment(file: &mut Vec<u8>, marker: u8, data: &[u8]) {
    file.extend([0xff, marker]);
    file.extend((data.len() as u16 + 2).to_be_bytes());
    file.extend(data);
}

/// Segments that say nothing of the pixels, and fill bytes in front of the next marker.
fn strays(source: &mut Unstructured, file: &mut Vec<u8>) -> Result<()> {
    for _ in 0..source.int_in_range(0..=2)? {
        let marker = pick(source, &[0xfe, 0xe3, 0xe5, 0xef])?;
        let len = source.int_in_range(0..=20)?;
        segment(file, marker, &bytes(source, len));
    }
    file.extend(vec![0xff; source.int_in_range(0..=2)?]);
    Ok(())
}

/// Entropy-coded data: bits, with a zero byte behind each 0xff.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    pending: u32,
    count: u32,
}

impl Bits {
    fn push(&mut self, code: u32, length: u32) {
        for bit in (0..length).rev() {
            self.pending = self.pending << 1 | (code >> bit & 1);
            self.count += 1;
            if self.count == 8 {
                self.bytes.push(self.pending as u8);
                if self.pending as u8 == 0xff {
                    self.bytes.push(0);
                }
                (self.pending, self.count) = (0, 0);
            }
        }
    }

    /// Fills the last byte with ones.
    fn flush(&mut self) {
        while self.count > 0 {
            self.push(1, 1);
        }
    }
}
