//! The pictures that training never sees, as the recipe leaves them.

use std::collections::BTreeMap;
use std::path::Path;

use safetensors::SafeTensors;
use serde::Deserialize;

use crate::Error;

/// Sides of the pictures that the recipe renders, in pixels.
pub const IMAGE_SIZE: usize = 64;
const PIXELS: usize = IMAGE_SIZE * IMAGE_SIZE * 3;

#[derive(Deserialize)]
struct Index {
    validation: Vec<Row>,
    classes: BTreeMap<String, Vec<String>>,
}

/// A picture's class, as "source/class".
#[derive(Deserialize)]
struct Row {
    class: String,
}

/// The pictures with their classes.
pub struct Validation {
    pixels: Vec<u8>,
    /// Class of each picture, as "source/class".
    pub classes: Vec<String>,
    /// The names of each class, most usual first.
    pub names: BTreeMap<String, Vec<String>>,
}

impl Validation {
    /// Reads what the recipe wrote in `folder`.
    pub fn read(folder: &Path) -> Result<Validation, Error> {
        let path = folder.join("pictures.json");
        let bytes = std::fs::read(&path).map_err(Error::file(&path))?;
        let index: Index = serde_json::from_slice(&bytes).map_err(Error::data(path))?;
        let path = folder.join("validation.safetensors");
        let bytes = std::fs::read(&path).map_err(Error::file(&path))?;
        let tensors = SafeTensors::deserialize(&bytes).map_err(Error::data(&path))?;
        let pixels = tensors.tensor("pixels").map_err(Error::data(&path))?.data().to_vec();
        if pixels.len() != index.validation.len() * PIXELS {
            return Err(Error::data(path)("it holds another number of pictures than pictures.json names"));
        }
        let classes = index.validation.into_iter().map(|row| row.class).collect();
        Ok(Validation { pixels, classes, names: index.classes })
    }

    /// The RGB bytes of a picture, [64, 64, 3].
    pub fn pixels(&self, row: usize) -> &[u8] {
        &self.pixels[row * PIXELS..][..PIXELS]
    }

    /// The rows of a source whose classes have a name.
    pub fn rows(&self, source: &str) -> Vec<usize> {
        let counts =
            |class: &String| class.split('/').next() == Some(source) && !self.names[class].is_empty();
        (0..self.classes.len()).filter(|&row| counts(&self.classes[row])).collect()
    }
}

#[cfg(test)]
mod tests {
    use safetensors::tensor::{Dtype, TensorView, serialize};

    use super::*;

    /// A folder of the test's own, gone with it.
    struct Folder(std::path::PathBuf);

    impl Folder {
        /// With three pictures' classes, and as many pictures as asked for, each of one value: its place.
        fn new(name: &str, pictures: usize) -> Folder {
            let path = std::env::temp_dir().join(format!("siglip-train-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&path).unwrap();
            let index = r#"{"train": [], "validation": [{"class": "a/1"}, {"class": "b/1"}, {"class": "a/2"}],
                "classes": {"a/1": ["cat"], "a/2": [], "b/1": ["dog", "hound"]}}"#;
            std::fs::write(path.join("pictures.json"), index).unwrap();
            let pixels: Vec<u8> = (0..pictures).flat_map(|place| vec![place as u8; PIXELS]).collect();
            let shape = vec![pictures, IMAGE_SIZE, IMAGE_SIZE, 3];
            let tensors = [("pixels", TensorView::new(Dtype::U8, shape, &pixels).unwrap())];
            std::fs::write(path.join("validation.safetensors"), serialize(tensors, None).unwrap()).unwrap();
            Folder(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn pictures_are_found_by_their_source_where_their_class_has_a_name() {
        let folder = Folder::new("rows", 3);
        let validation = Validation::read(&folder.0).unwrap();
        assert_eq!((validation.rows("a"), validation.rows("b")), (vec![0], vec![1]));
        assert!(validation.pixels(2).iter().all(|&value| value == 2));
        assert_eq!(validation.names["b/1"], ["dog", "hound"]);
    }

    #[test]
    fn another_number_of_pictures_is_refused() {
        let folder = Folder::new("number", 2);
        assert!(matches!(Validation::read(&folder.0), Err(Error::Data { .. })));
    }
}
