//! siglip-base-patch16-256 at its full shape, 203 million random weights, made here as the reference read them.

use sha2::{Digest, Sha256};
use siglip::model::{Model, ModelLoader};
use siglip::weights::{Dtype, WeightReader};
use siglip::{EngineLoader as _, Error, Precision, preset, random_weights};

use crate::support::checkpoints::{hex, whole};
use crate::support::reference::{Outputs, Recording};

/// Three precisions and the hash of the file, from one stream of its bytes.
struct Base {
    exact: Model,
    bf16: Model,
    quantized: Model,
    sha256: String,
}

impl Base {
    fn make() -> Result<Base, Error> {
        let config = preset("base-patch16-256").unwrap();
        let loader = |precision| ModelLoader::new(config.clone(), whole(precision));
        let mut loaders = [loader(Precision::F32)?, loader(Precision::Bf16)?, loader(Precision::Q8)?];
        let mut readers = loaders.each_ref().map(|_| WeightReader::new());
        let mut sha256 = Sha256::new();
        random_weights(&config, Dtype::F32, 1, |bytes| {
            sha256.update(bytes);
            readers.iter_mut().zip(&mut loaders).try_for_each(|(reader, loader)| reader.push(bytes, loader))
        })?;
        readers.into_iter().try_for_each(WeightReader::finish)?;
        let sha256 = hex(&sha256.finalize());
        let [exact, bf16, quantized] = loaders;
        Ok(Base { exact: exact.finish()?, bf16: bf16.finish()?, quantized: quantized.finish()?, sha256 })
    }
}

#[test]
fn base_patch16_256_equals_the_reference() {
    let recording = Recording::read("base-patch16-256");
    let Base { mut exact, mut bf16, mut quantized, sha256 } = Base::make().unwrap();
    assert_eq!(sha256, recording.weights_sha256, "random_weights makes other bytes than the recorded ones");
    let exact = Outputs::of(&mut exact, &recording);
    exact.assert_close(&recording.outputs, 1e-5, 1e-3, "base-patch16-256");
    Outputs::of(&mut bf16, &recording).assert_cosines(&exact, 0.9999, "base-patch16-256");
    Outputs::of(&mut quantized, &recording).assert_cosines(&exact, 0.9998, "base-patch16-256");
}
