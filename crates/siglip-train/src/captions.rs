//! What may be said of the pictures: phrases, templates around them, and their words' ids.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use candle_core::{Device, Tensor};
use rand::Rng;
use rand::distr::Distribution;
use rand::distr::weighted::WeightedIndex;
use rand::rngs::SmallRng;
use safetensors::SafeTensors;
use serde::Deserialize;

use crate::Error;
use crate::shape::CONTEXT;

/// Half of the prompts read as the page's own template makes them, with and without an article.
const TEMPLATES: [&str; 12] = [
    "this is a photo of {}",
    "this is a photo of {}",
    "this is a photo of {}",
    "this is a photo of a {}",
    "this is a photo of a {}",
    "this is a photo of a {}",
    "{}",
    "a {}",
    "a photo of {}",
    "a photo of a {}",
    "a picture of a {}",
    "the {}",
];
/// Words that change nothing about what a picture shows: now and then one stands before the phrase.
const MODIFIERS: [&str; 24] = [
    "my",
    "some",
    "one",
    "two",
    "2",
    "three",
    "3",
    "many",
    "small",
    "big",
    "large",
    "little",
    "old",
    "new",
    "nice",
    "beautiful",
    "red",
    "blue",
    "green",
    "yellow",
    "black",
    "white",
    "brown",
    "pink",
];
const DRAWING_TEMPLATES: [&str; 4] = ["a drawing of {}", "a drawing of a {}", "{} emoji", "an icon of a {}"];

#[derive(Deserialize)]
struct File {
    phrases: Vec<String>,
    teacher: Vec<Vec<usize>>,
    classes: BTreeMap<String, ClassFile>,
}

#[derive(Deserialize)]
struct ClassFile {
    #[serde(rename = "true")]
    weights: BTreeMap<usize, f32>,
    maybe: Vec<usize>,
}

/// The phrases and the classes that they are true of.
pub struct Captions {
    phrases: Vec<String>,
    classes: Vec<Class>,
    by_key: HashMap<String, usize>,
    /// Of each class that the teacher tells apart, the phrases that name it.
    pub teacher: Vec<Vec<usize>>,
    /// The vocabulary with its ids.
    pub words: HashMap<String, u32>,
    /// [words, 51], the vectors that the words start from: 50 numbers and a 1.
    pub vectors: Tensor,
}

struct Class {
    /// By phrase: whether it is true of the class; absent where it is false.
    truth: HashMap<usize, Truth>,
    phrases: Vec<usize>,
    weights: WeightedIndex<f32>,
}

/// What is known of a picture and a phrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    /// It is so.
    True,
    /// It isn't.
    False,
    /// It can't be told from what is known: nothing is learned from the pair.
    Unknown,
}

impl Captions {
    /// Reads what the recipe wrote in `folder`.
    pub fn read(folder: &Path) -> Result<Captions, Error> {
        let path = folder.join("captions.json");
        let bytes = std::fs::read(&path).map_err(Error::file(&path))?;
        let file: File = serde_json::from_slice(&bytes).map_err(Error::data(&path))?;
        let mut classes = Vec::new();
        let mut by_key = HashMap::new();
        for (key, class) in file.classes {
            by_key.insert(key, classes.len());
            let truths = class.weights.keys().map(|&phrase| (phrase, Truth::True));
            let unknown = class.maybe.iter().map(|&phrase| (phrase, Truth::Unknown));
            classes.push(Class {
                truth: unknown.chain(truths).collect(),
                phrases: class.weights.keys().copied().collect(),
                weights: WeightedIndex::new(class.weights.values()).map_err(Error::data(&path))?,
            });
        }
        let words = read_words(&folder.join("tokenizer.json"))?;
        let vectors = read_vectors(&folder.join("words.safetensors"))?;
        Ok(Captions { phrases: file.phrases, classes, by_key, teacher: file.teacher, words, vectors })
    }

    /// The place of a class "source/class".
    pub fn class(&self, key: &str) -> Option<usize> {
        self.by_key.get(key).copied()
    }

    /// A phrase that is true of the class.
    pub fn draw(&self, class: usize, random: &mut SmallRng) -> usize {
        let class = &self.classes[class];
        class.phrases[class.weights.sample(random)]
    }

    /// A phrase that names a class of the teacher: mostly the usual one; none where no name of it has vectors.
    pub fn draw_teacher(&self, class: usize, random: &mut SmallRng) -> Option<usize> {
        let phrases = &self.teacher[class];
        let usual = phrases.len() < 2 || random.random_bool(0.6);
        if usual { phrases.first().copied() } else { Some(phrases[random.random_range(1..phrases.len())]) }
    }

    /// What is known of the phrase and pictures of the class.
    pub fn truth(&self, class: usize, phrase: usize) -> Truth {
        self.classes[class].truth.get(&phrase).copied().unwrap_or(Truth::False)
    }

    /// A sentence about the phrase.
    pub fn say(&self, phrase: usize, drawing: bool, random: &mut SmallRng) -> String {
        wrap(&self.phrases[phrase], drawing, random)
    }

    /// [sentences·CONTEXT] ids, each sentence cut and padded to the tower's length. The sentences' words stand between
    /// single spaces, in lower case and without punctuation.
    pub fn input_ids(&self, sentences: &[String]) -> Result<Tensor, Error> {
        let mut ids = Vec::with_capacity(sentences.len() * CONTEXT);
        for sentence in sentences {
            let words = sentence.split(' ').map(|word| self.words.get(word).copied().unwrap_or(UNKNOWN));
            ids.extend(words.chain(std::iter::repeat(PADDING)).take(CONTEXT));
        }
        let count = ids.len();
        Ok(Tensor::from_vec(ids, count, &Device::Cpu)?)
    }
}

/// A template around some words.
fn wrap(phrase: &str, drawing: bool, random: &mut SmallRng) -> String {
    let template = if drawing && random.random_bool(0.3) {
        DRAWING_TEMPLATES[random.random_range(0..DRAWING_TEMPLATES.len())]
    } else {
        TEMPLATES[random.random_range(0..TEMPLATES.len())]
    };
    let modified = random.random_bool(0.08);
    let phrase = if modified {
        &format!("{} {phrase}", MODIFIERS[random.random_range(0..MODIFIERS.len())])
    } else {
        phrase
    };
    let vowel = phrase.starts_with(['a', 'e', 'i', 'o', 'u']);
    let template = if vowel { template.replace(" a {}", " an {}") } else { template.to_string() };
    template.replace("{}", phrase)
}

const PADDING: u32 = 0;
const UNKNOWN: u32 = 1;

/// The vocabulary of a tokenizer.json.
pub fn read_words(path: &Path) -> Result<HashMap<String, u32>, Error> {
    #[derive(Deserialize)]
    struct Tokenizer {
        model: Model,
    }
    #[derive(Deserialize)]
    struct Model {
        vocab: HashMap<String, u32>,
    }
    let bytes = std::fs::read(path).map_err(Error::file(path))?;
    let tokenizer: Tokenizer = serde_json::from_slice(&bytes).map_err(Error::data(path))?;
    Ok(tokenizer.model.vocab)
}

fn read_vectors(path: &Path) -> Result<Tensor, Error> {
    let bytes = std::fs::read(path).map_err(Error::file(path))?;
    let tensors = SafeTensors::deserialize(&bytes).map_err(Error::data(path))?;
    let view = tensors.tensor("vectors").map_err(Error::data(path))?;
    let bytes = view.data().chunks_exact(4);
    let values = bytes.map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    Ok(Tensor::from_vec(values, view.shape(), &Device::Cpu)?)
}
