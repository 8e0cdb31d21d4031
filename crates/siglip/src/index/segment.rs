//! Pictures that lie together in memory. An index grows by a segment, so that none of it is copied to grow.

use siglip_kernels::Rows;

use super::Entry;

/// Pictures of a segment.
pub const SEGMENT: usize = 4096;

/// What is known of a file beside its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileInfo {
    pub hash: [u8; 32],
    pub bytes: u64,
    pub modified: u64,
}

/// At most [`SEGMENT`] pictures. While a file is read, some have no embedding yet.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Segment {
    names: Names,
    files: Vec<FileInfo>,
    /// One per picture.
    pub scales: Vec<f32>,
    /// [pictures, embedding size].
    pub vectors: Vec<i8>,
}

impl Segment {
    /// A segment with room for all its pictures.
    pub fn with_room(embedding_size: usize) -> Segment {
        Segment {
            names: Names::default(),
            files: Vec::with_capacity(SEGMENT),
            scales: Vec::with_capacity(SEGMENT),
            vectors: Vec::with_capacity(SEGMENT * embedding_size),
        }
    }

    pub fn len(&self) -> usize {
        self.files.len()
    }

    pub fn name(&self, at: usize) -> &str {
        self.names.get(at)
    }

    pub fn files(&self) -> &[FileInfo] {
        &self.files
    }

    pub fn entry(&self, at: usize) -> Entry<'_> {
        let FileInfo { hash, bytes, modified } = self.files[at];
        Entry { name: self.name(at), hash, bytes, modified }
    }

    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        (0..self.len()).map(|at| self.entry(at))
    }

    pub fn rows(&self) -> Rows<'_> {
        Rows { vectors: &self.vectors, scales: &self.scales }
    }

    pub fn vector(&self, at: usize) -> &[i8] {
        let size = self.vectors.len() / self.scales.len();
        &self.vectors[at * size..(at + 1) * size]
    }

    /// Adds a picture without its embedding.
    pub fn push_entry(&mut self, Entry { name, hash, bytes, modified }: Entry<'_>) {
        self.names.push(name);
        self.files.push(FileInfo { hash, bytes, modified });
        if self.len() == SEGMENT {
            self.names.text.shrink_to_fit();
        }
    }

    /// Puts a picture in the place of another.
    pub fn replace(&mut self, at: usize, entry: Entry<'_>, scale: f32, vector: &[i8]) {
        self.names.replace(at, entry.name);
        self.files[at] = FileInfo { hash: entry.hash, bytes: entry.bytes, modified: entry.modified };
        self.scales[at] = scale;
        self.vectors[at * vector.len()..(at + 1) * vector.len()].copy_from_slice(vector);
    }

    /// Removes the last picture.
    pub fn pop(&mut self) {
        let size = self.vectors.len() / self.scales.len().max(1);
        self.names.pop();
        self.files.pop();
        self.scales.pop();
        self.vectors.truncate(self.scales.len() * size);
    }
}

/// Names, one after the other: a string of its own for each would need as many bytes again.
#[derive(Debug, Clone, Default, PartialEq)]
struct Names {
    text: String,
    /// Where each ends.
    ends: Vec<u32>,
}

impl Names {
    fn start(&self, at: usize) -> usize {
        at.checked_sub(1).map_or(0, |before| self.ends[before] as usize)
    }

    fn get(&self, at: usize) -> &str {
        &self.text[self.start(at)..self.ends[at] as usize]
    }

    fn push(&mut self, name: &str) {
        self.text.push_str(name);
        self.ends.push(self.text.len() as u32);
    }

    fn replace(&mut self, at: usize, name: &str) {
        let (start, end) = (self.start(at), self.ends[at] as usize);
        self.text.replace_range(start..end, name);
        for after in &mut self.ends[at..] {
            *after = (*after as usize - (end - start) + name.len()) as u32;
        }
    }

    fn pop(&mut self) {
        self.ends.pop();
        self.text.truncate(self.ends.last().map_or(0, |end| *end as usize));
    }
}
