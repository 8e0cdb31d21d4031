//! Recognises what is often found in place of a checkpoint's file, to say what it is and what to do.

use crate::Error;

/// The start of every Git LFS pointer. It ends before the first byte that could differ.
const LFS_POINTER: &[u8] = b"version ";
/// The start of a zip archive, which is how PyTorch stores weights.
const ZIP: &[u8] = b"PK\x03\x04";
/// Bytes that an error quotes of the file.
const MAX_QUOTE: usize = 60;

const IS_LFS_POINTER: &str = "this is a Git LFS pointer, which only stands for the file; run `git lfs pull` in its folder, \
                              or download the file itself";
const IS_HTML: &str = "this is an HTML page, perhaps an error page or a login page of the server; check the address, and \
                       that the file can be read without a login";
/// The start of a pickle of protocol 2 or later, which is how older versions of PyTorch store weights.
const PICKLE: u8 = 0x80;

const IS_PICKLED: &str = "these weights are pickled, as PyTorch writes them (.bin, .pt), and a pickle is a program: it is not read. \
     Convert them once, in Python, with: import torch, safetensors.torch; \
     safetensors.torch.save_file({name: tensor.contiguous().clone() for name, tensor in torch.load(\"FILE.bin\", \
     weights_only=True).items()}, \"model.safetensors\"). For a file of open_clip's, write \
     \"open_clip_model.safetensors\"";

/// What a file that should hold weights is instead, by its first bytes: eight are enough.
pub(crate) fn in_place_of_weights(start: &[u8]) -> Option<String> {
    if let Some(reason) = in_place_of_json(start) {
        return Some(reason.into());
    }
    if start.starts_with(ZIP) || matches!(start, [PICKLE, 2..=5, ..]) {
        return Some(IS_PICKLED.into());
    }
    if !matches!(first_character(start), Some(b'{' | b'[')) {
        return None;
    }
    let quote: String = String::from_utf8_lossy(&start[..start.len().min(MAX_QUOTE)]).into();
    Some(format!(
        "this is JSON, perhaps a message of the server or another file of the model: it begins with {quote:?}; choose \
         model.safetensors or a .gguf"
    ))
}

/// The files in which a model's folder has its weights pickled, as transformers and open_clip name them.
pub const PICKLED_WEIGHTS: [&str; 3] =
    ["pytorch_model.bin", "pytorch_model.bin.index.json", "open_clip_pytorch_model.bin"];
/// How the names of other pickled weights end.
const PICKLED: [&str; 3] = [".bin", ".pt", ".pth"];
/// How the names of pickles begin that a training leaves beside its weights.
const NO_WEIGHTS: [&str; 5] = ["training_args", "optimizer", "scheduler", "rng_state", "scaler"];

/// Of the names of a folder's files, that of weights that PyTorch has pickled. They are not read: a pickle is a program.
pub fn find_pickled_weights<'n>(names: impl Iterator<Item = &'n str> + Clone) -> Option<&'n str> {
    let is_pickled = |name: &&str| {
        PICKLED.iter().any(|end| name.ends_with(end))
            && !NO_WEIGHTS.iter().any(|start| name.starts_with(start))
    };
    let published = names.clone().find(|name| PICKLED_WEIGHTS.contains(name));
    published.or_else(|| names.clone().find(is_pickled))
}

/// That a file's weights are pickled, and the way out.
pub fn pickled_weights() -> Error {
    Error::BadWeights(IS_PICKLED.into())
}

/// What a file that should hold JSON is instead.
pub(crate) fn in_place_of_json(start: &[u8]) -> Option<&'static str> {
    if start.starts_with(LFS_POINTER) {
        Some(IS_LFS_POINTER)
    } else if first_character(start) == Some(b'<') {
        Some(IS_HTML)
    } else {
        None
    }
}

/// The first byte that is neither a space nor part of a byte order mark.
fn first_character(start: &[u8]) -> Option<u8> {
    let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
    start.trim_ascii_start().first().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_found_among_other_pickles() {
        for (names, found) in [
            (&["config.json", "optimizer.pt", "training_args.bin"][..], None),
            (&["a.pt", "pytorch_model.bin"], Some("pytorch_model.bin")),
            (&["rng_state_0.pth", "epoch_5.pt", "README.md"], Some("epoch_5.pt")),
        ] {
            assert_eq!(find_pickled_weights(names.iter().copied()), found, "{names:?}");
        }
    }
}
