//! siglip-base-patch16-256 at its full shape, 203 million random weights, made here as the reference read them.

use sha2::{Digest, Sha256};
use siglip::model::{Model, ModelLoader};
use siglip::weights::{Dtype, WeightReader};
use siglip::{EngineLoader as _, Error, Precision, preset, random_weights};

use crate::support::checkpoints::{hex, whole};
use crate::support::reference::{Outputs, Recording};

/// Both precisions and the hash of the file, from one stream of its bytes.
struct Base {
    exact: Model,
    quantized: Model,
    sha256: String,
}

impl Base {
    fn make() -> Result<Base, Error> {
        let config = preset("base-patch16-256").unwrap();
        let loader = |precision| ModelLoader::new(config.clone(), whole(precision));
        let (mut exact, mut quantized) = (loader(Precision::F32)?, loader(Precision::Q8)?);
        let (mut exact_reader, mut quantized_reader) = (WeightReader::new(), WeightReader::new());
        let mut sha256 = Sha256::new();
        random_weights(&config, Dtype::F32, 1, |bytes| {
            sha256.update(bytes);
            exact_reader.push(bytes, &mut exact)?;
            quantized_reader.push(bytes, &mut quantized)
        })?;
        exact_reader.finish()?;
        quantized_reader.finish()?;
        let sha256 = hex(&sha256.finalize());
        Ok(Base { exact: exact.finish()?, quantized: quantized.finish()?, sha256 })
    }
}

#[test]
fn base_patch16_256_equals_the_reference() {
    let recording = Recording::read("base-patch16-256");
    let Base { mut exact, mut quantized, sha256 } = Base::make().unwrap();
    assert_eq!(sha256, recording.weights_sha256, "random_weights makes other bytes than the recorded ones");
    let exact = Outputs::of(&mut exact, &recording);
    exact.assert_close(&recording.outputs, 1e-5, 1e-3, "base-patch16-256");
    Outputs::of(&mut quantized, &recording).assert_cosines(&exact, 0.9998, "base-patch16-256");
}
