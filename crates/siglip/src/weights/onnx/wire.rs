//! Protocol Buffers' wire format: <https://protobuf.dev/programming-guides/encoding/>.

use super::super::bad;
use crate::Error;

/// A field's number and how its value is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag {
    pub field: u32,
    pub kind: Kind,
}

/// The wire types. Groups, which ONNX does not use, are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Varint,
    Fixed64,
    Bytes,
    Fixed32,
}

impl Tag {
    pub fn parse(value: u64) -> Result<Tag, Error> {
        let kind = match value & 7 {
            0 => Kind::Varint,
            1 => Kind::Fixed64,
            2 => Kind::Bytes,
            5 => Kind::Fixed32,
            other => return Err(bad(format!("ONNX: a field of wire type {other}"))),
        };
        match u32::try_from(value >> 3) {
            Ok(field) if field > 0 => Ok(Tag { field, kind }),
            _ => Err(bad("ONNX: a field without a number")),
        }
    }
}

/// A number of seven bits a byte, least significant first, that arrives byte by byte.
#[derive(Debug, Default)]
pub struct Varint {
    value: u64,
    bits: u32,
}

impl Varint {
    /// Whether none of its bytes has arrived.
    pub fn is_empty(&self) -> bool {
        self.bits == 0
    }

    /// Takes a byte. Returns the number with its last one.
    pub fn push(&mut self, byte: u8) -> Result<Option<u64>, Error> {
        if self.bits == 63 && byte > 1 {
            return Err(bad("ONNX: a number beyond 64 bits"));
        }
        self.value |= u64::from(byte & 127) << self.bits;
        self.bits += 7;
        if byte >= 128 {
            return Ok(None);
        }
        Ok(Some(std::mem::take(self).value))
    }
}

/// The value of a field of a whole message.
#[derive(Debug, Clone, Copy)]
pub enum Value<'m> {
    Number(u64),
    Bytes(&'m [u8]),
    /// Fixed-width numbers, which none of the messages read here needs.
    Fixed,
}

impl<'m> Value<'m> {
    /// The text of a string field.
    pub fn text(self) -> Result<&'m str, Error> {
        match self {
            Value::Bytes(bytes) => std::str::from_utf8(bytes).map_err(|_| bad("ONNX: a name is not UTF-8")),
            _ => Err(bad("ONNX: a name is not a string")),
        }
    }
}

/// Calls `on_field` with every field of a message that has arrived whole.
pub fn fields<'m>(
    mut message: &'m [u8],
    mut on_field: impl FnMut(u32, Value<'m>) -> Result<(), Error>,
) -> Result<(), Error> {
    while !message.is_empty() {
        let Tag { field, kind } = Tag::parse(number(&mut message)?)?;
        let value = match kind {
            Kind::Varint => Value::Number(number(&mut message)?),
            Kind::Bytes => {
                let length = usize::try_from(number(&mut message)?).unwrap_or(usize::MAX);
                Value::Bytes(take(&mut message, length)?)
            }
            Kind::Fixed32 => take(&mut message, 4).map(|_| Value::Fixed)?,
            Kind::Fixed64 => take(&mut message, 8).map(|_| Value::Fixed)?,
        };
        on_field(field, value)?;
    }
    Ok(())
}

/// The numbers of a packed field.
pub fn numbers(mut packed: &[u8], values: &mut Vec<u64>) -> Result<(), Error> {
    while !packed.is_empty() {
        values.push(number(&mut packed)?);
    }
    Ok(())
}

fn number(message: &mut &[u8]) -> Result<u64, Error> {
    let mut varint = Varint::default();
    while let Some((&byte, rest)) = message.split_first() {
        *message = rest;
        if let Some(value) = varint.push(byte)? {
            return Ok(value);
        }
    }
    Err(bad("ONNX: a message ends inside a number"))
}

fn take<'m>(message: &mut &'m [u8], length: usize) -> Result<&'m [u8], Error> {
    let (taken, rest) =
        message.split_at_checked(length).ok_or_else(|| bad("ONNX: a field is longer than its message"))?;
    *message = rest;
    Ok(taken)
}
