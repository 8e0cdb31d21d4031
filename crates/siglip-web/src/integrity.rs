//! The sha256 of a file while it streams, and the sha256 it is expected to have.

use sha2::digest::common::hazmat::SerializableState;
use sha2::{Digest as _, Sha256};

use crate::error::Error;

/// Hub id, file, bytes, sha256. A file of another length is another file, such as a converted one, and not damaged.
const KNOWN: [(&str, &str, u64, &str); 1] = [(
    "google/siglip-base-patch16-224",
    "model.safetensors",
    812_672_320,
    "2c63cb7d1f2e95ba501893cbb8faeb4ea9a3af295498d35097126228659c2af8",
)];

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
    let is = |model: &str, file: &str| url.ends_with(&format!("/{model}/resolve/main/{file}"));
    KNOWN.iter().find(|(model, file, length, _)| *length == bytes && is(model, file)).map(|known| known.3)
}

/// Fails if the two hashes differ. Passes if either is unknown: nothing was expected, or bytes were skipped.
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
        assert_eq!(known("https://mirror.example/model.safetensors", 812_672_320), None);
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
