/// Reads a file from its beginning on, as Python's files are read.
#[derive(Clone)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes, position: 0 }
    }

    pub fn at(bytes: &'a [u8], position: usize) -> Reader<'a> {
        Reader { bytes, position: position.min(bytes.len()) }
    }

    /// Bytes before the next one.
    pub fn position(&self) -> usize {
        self.position
    }

    /// The next `len` bytes, unless the file ends before.
    pub fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let taken = self.bytes[self.position..].get(..len)?;
        self.position += len;
        Some(taken)
    }

    /// The next `len` bytes, or as many as there are.
    pub fn take_up_to(&mut self, len: usize) -> &'a [u8] {
        let rest = &self.bytes[self.position..];
        let taken = &rest[..len.min(rest.len())];
        self.position += taken.len();
        taken
    }

    /// The next byte.
    pub fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|byte| byte[0])
    }

    pub fn skip(&mut self, len: usize) {
        self.position = self.position.saturating_add(len).min(self.bytes.len());
    }
}
