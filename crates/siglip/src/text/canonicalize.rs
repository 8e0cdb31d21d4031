/// A text as SigLIP's authors evaluate: `_` becomes a space, ASCII punctuation goes, letters become lower case, and runs of
/// white space become one space. It is big_vision's `canonicalize_text`, which open_clip's SigLIP tokenizers apply.
///
/// open_clip also mends text of a wrong encoding and HTML entities before. This function does not.
///
/// ```
/// assert_eq!(siglip::text::canonicalize(" A black_cat, isn't  it?"), "a black cat isnt it");
/// ```
pub fn canonicalize(text: &str) -> String {
    let text: String = text.replace('_', " ").chars().filter(|c| !c.is_ascii_punctuation()).collect();
    let text = text.to_lowercase();
    text.split(is_python_space).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// What Python's `str.split` takes for white space: four control characters more than Rust.
fn is_python_space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}
