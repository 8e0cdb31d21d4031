//! The sha256 of a file while it streams, and the sha256 it is expected to have.

use sha2::digest::common::hazmat::SerializableState;
use sha2::{Digest as _, Sha256};

use crate::error::Error;

/// Hub id and revision, file, bytes, sha256. A file of another length is another file, such as a converted one, and not damaged.
type Known = (&'static str, &'static str, u64, &'static str);

const KNOWN: [Known; 15] = [
    (
        "google/siglip-base-patch16-224/resolve/main",
        "model.safetensors",
        812_672_320,
        "2c63cb7d1f2e95ba501893cbb8faeb4ea9a3af295498d35097126228659c2af8",
    ),
    (
        "google/siglip2-base-patch16-224/resolve/main",
        "model.safetensors",
        1_500_800_904,
        "612923381c76ec5a9bed335d1c48827e3f2e506ac31b044b63b2031fadee6a0b",
    ),
    (
        "google/siglip2-base-patch16-384/resolve/main",
        "model.safetensors",
        1_501_968_264,
        "ed72c0ace85020ae610fc817c2538b9cae5a477b012a50859c60af5b3ad30857",
    ),
    (
        "Xenova/siglip-base-patch16-224/resolve/4649052661e53c7000355844105f8a1792088239",
        "onnx/vision_model.onnx",
        371_819_850,
        "f89d41bac7f4d4b87e010a467d93f98689d708916ed22f5a07f96fdfa26f475f",
    ),
    (
        "Xenova/siglip-base-patch16-224/resolve/4649052661e53c7000355844105f8a1792088239",
        "onnx/text_model.onnx",
        441_332_132,
        "3aa7fdbd20eaa8740cce17bf82913de641fcb632a768fed59f661cdcd0c32553",
    ),
    (
        "Xenova/siglip-base-patch16-224/resolve/4649052661e53c7000355844105f8a1792088239",
        "onnx/vision_model_quantized.onnx",
        99_499_129,
        "ef14a954f3d57e1806666432bd9785004c1dc27100aa260eee0cb0f10a5de058",
    ),
    (
        "Xenova/siglip-base-patch16-224/resolve/4649052661e53c7000355844105f8a1792088239",
        "onnx/text_model_quantized.onnx",
        111_475_220,
        "ad0329b1f35acc66d8953ff2559ce358da8eb0a7011794cf951523d63a4dbce2",
    ),
    (
        "onnx-community/siglip2-base-patch16-224-ONNX/resolve/ba1f3b0843f24bc5417d38e19c37b287d719b2f4",
        "onnx/vision_model.onnx",
        371_807_752,
        "c0573e3f4140c3a7c4e9cc5912bd6b26a033b46a6a8e8af26cbea262b163bcad",
    ),
    (
        "onnx-community/siglip2-base-patch16-224-ONNX/resolve/ba1f3b0843f24bc5417d38e19c37b287d719b2f4",
        "onnx/text_model.onnx",
        1_129_469_657,
        "baf12d941beabafafb14f7b4adb38dc15be18681b964a84410ec53d9d65e6293",
    ),
    (
        "onnx-community/siglip2-base-patch16-224-ONNX/resolve/ba1f3b0843f24bc5417d38e19c37b287d719b2f4",
        "onnx/vision_model_int8.onnx",
        94_553_333,
        "0dd31785a2713f1113ef2272472165c69d580473dae38d7b47568ac587795e70",
    ),
    (
        "onnx-community/siglip2-base-patch16-224-ONNX/resolve/ba1f3b0843f24bc5417d38e19c37b287d719b2f4",
        "onnx/text_model_int8.onnx",
        283_438_275,
        "3a0603d3a00c05a80a6ded4743c16aaac7b1e62cdcc7e362e7ce418659b96400",
    ),
    (
        "onnx-community/siglip2-base-patch16-256-ONNX/resolve/d1114256",
        "onnx/vision_model.onnx",
        371_992_072,
        "f5cb16728a704703f05516ded628397e11dbca4de2eb5db04b0c0bcee988aa7a",
    ),
    (
        "onnx-community/siglip2-base-patch16-256-ONNX/resolve/d1114256",
        "onnx/vision_model_fp16.onnx",
        186_131_676,
        "fe9ad8020a6d3d98d394c9be8f07064066135fc2f87ec11692de0b677c0ac4db",
    ),
    (
        "onnx-community/siglip2-base-patch16-256-ONNX/resolve/d1114256",
        "onnx/text_model_fp16.onnx",
        564_862_230,
        "80954edffdc689599e5d5bc6a1738380bc9e8139a18e5c8892485f248b6b4890",
    ),
    (
        "onnx-community/siglip2-base-patch16-256-ONNX/resolve/d1114256",
        "onnx/text_model_quantized.onnx",
        283_438_275,
        "6f59b39d880c413042314b79302b74d0dd93b273caf8fbfdb1eb2df61a7fefd4",
    ),
];

/// The sha256 of a stream of bytes. Its state can be saved and resumed in another visit.
#[derive(Clone, Default)]
pub struct Digest(Sha256);

impl Digest {
    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The state, for [`Digest::resume`].
    pub fn state(&self) -> String {
        hex(&self.0.serialize())
    }

    /// The digest with this state.
    pub fn resume(state: &str) -> Option<Digest> {
        let bytes = unhex(state)?;
        Sha256::deserialize(bytes.as_slice().try_into().ok()?).ok().map(Digest)
    }

    /// The sha256 of all bytes, in hexadecimal.
    pub fn finish(self) -> String {
        hex(&self.0.finalize())
    }
}

/// The sha256 of `bytes`, in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// The sha256 of the published file at `url`, if it is in the table.
pub fn known(url: &str, bytes: u64) -> Option<&'static str> {
    known_at(url).find(|(_, _, length, _)| *length == bytes).map(|known| known.3)
}

/// Whether the table has a published file at `url`, of whatever length.
pub fn is_known(url: &str) -> bool {
    known_at(url).next().is_some()
}

fn known_at(url: &str) -> impl Iterator<Item = &'static Known> {
    let is = move |model: &str, file: &str| {
        // A revision may be given by the first digits of its hash.
        let folder = url.strip_suffix(file).and_then(|folder| folder.strip_suffix('/'));
        let revision =
            folder.and_then(|folder| folder.rsplit_once(&format!("/{}", model.rsplit_once('/')?.0)));
        let wanted = model.rsplit_once('/').map_or("", |(_, revision)| revision);
        revision.is_some_and(|(_, found)| found.trim_start_matches('/').starts_with(wanted))
    };
    KNOWN.iter().filter(move |(model, file, ..)| is(model, file))
}

/// Fails if the two hashes differ. Passes if either is unknown.
pub fn check(url: &str, found: Option<String>, expected: Option<String>) -> Result<(), Error> {
    match (found, expected) {
        (Some(found), Some(expected)) if found != expected => {
            Err(Error::Integrity { url: url.into(), found, expected })
        }
        _ => Ok(()),
    }
}

/// `text` in lower case, if it is a sha256 in hexadecimal.
pub fn parse(text: &str) -> Option<String> {
    let text = text.trim().trim_matches('"').to_ascii_lowercase();
    (text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(text)
}

/// The sha256 in a Git LFS pointer, which stands in a repository in place of a large file.
pub fn of_pointer(pointer: &str) -> Option<String> {
    if !pointer.starts_with("version https://git-lfs.github.com/spec/v1") {
        return None;
    }
    parse(pointer.lines().find_map(|line| line.strip_prefix("oid sha256:"))?)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let (pairs, rest) = text.as_bytes().as_chunks();
    let byte = |[high, low]: &[u8; 2]| Some((digit(*high)? << 4 | digit(*low)?) as u8);
    if rest.is_empty() { pairs.iter().map(byte).collect() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_saved_digest_resumes() {
        let bytes: Vec<u8> = (0..1000u32).map(|value| value as u8).collect();
        for cut in [0, 1, 63, 64, 65, 999, 1000] {
            let mut digest = Digest::default();
            digest.update(&bytes[..cut]);
            let mut digest = Digest::resume(&digest.state()).unwrap();
            digest.update(&bytes[cut..]);
            assert_eq!(digest.finish(), sha256(&bytes), "cut at {cut}");
        }
        // FIPS 180-2, appendix B.1.
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256(b"abc"), expected);
    }

    #[test]
    fn an_invalid_state_is_refused() {
        let state = Digest::default().state();
        for bad in ["", "0", "zz", &state[2..], &format!("{state}00"), &state.replace('0', "g")] {
            assert!(Digest::resume(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn known_files_are_found_by_name_and_length() {
        let url = "https://mirror.example/google/siglip-base-patch16-224/resolve/main/model.safetensors";
        assert!(known(url, 812_672_320).is_some());
        assert_eq!(known(url, 406_336_160), None);
        assert!(is_known(url) && !is_known("https://mirror.example/model.safetensors"));
        assert_eq!(known("https://mirror.example/model.safetensors", 812_672_320), None);
        let onnx = "https://huggingface.co/Xenova/siglip-base-patch16-224/resolve/4649052661e53c7000355844105f8a1792088239/onnx/vision_model_quantized.onnx";
        assert!(known(onnx, 99_499_129).is_some_and(|hash| hash.starts_with("ef14a954")));
        assert_eq!(known(&onnx.replace("Xenova/", "NotXenova/"), 99_499_129), None);
    }

    #[test]
    fn a_git_lfs_pointer_has_the_sha256_of_its_file() {
        let hash = sha256(b"abc");
        let pointer = format!("version https://git-lfs.github.com/spec/v1\noid sha256:{hash}\nsize 3\n");
        assert_eq!(of_pointer(&pointer), Some(hash));
        assert_eq!(of_pointer("<!doctype html>"), None);
        assert_eq!(of_pointer("version https://git-lfs.github.com/spec/v1\noid sha256:12\n"), None);
    }
}
