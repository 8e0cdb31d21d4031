//! A weight file of either format, in chunks: whole or cut, it reads the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use siglip::Error;
use siglip::weights::{TensorShape, TensorSink, WeightReader};

/// Takes whatever the file holds.
#[derive(Default, PartialEq, Debug)]
struct Keep(Vec<(String, Vec<u32>)>);

impl TensorSink for Keep {
    fn begin(&mut self, _: &[TensorShape]) -> Result<(), Error> {
        Ok(())
    }

    fn rows(&mut self, tensor: &TensorShape, _: usize, values: &[f32]) -> Result<(), Error> {
        let bits = values.iter().map(|value| value.to_bits());
        match self.0.last_mut() {
            Some((name, kept)) if *name == tensor.name => kept.extend(bits),
            _ => self.0.push((tensor.name.clone(), bits.collect())),
        }
        Ok(())
    }
}

fn read<'c>(chunks: impl Iterator<Item = &'c [u8]>) -> Result<Keep, String> {
    let (mut reader, mut keep) = (WeightReader::new(), Keep::default());
    for chunk in chunks {
        reader.push(chunk, &mut keep).map_err(|error| error.to_string())?;
    }
    reader.finish().map_err(|error| error.to_string())?;
    Ok(keep)
}

fuzz_target!(|data: &[u8]| {
    let Some((&step, file)) = data.split_first() else { return };
    let whole = read(std::iter::once(file));
    let cut = read(file.chunks(usize::from(step) + 1));
    assert_eq!(whole, cut);
});
