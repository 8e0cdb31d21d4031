//! The little of text that plans need. By hand, as a page's module would be larger with the standard library's.

use alloc::string::String;

/// Takes what stands before the next `end`, which is dropped; `None` if there is none.
pub fn until<'t>(text: &mut &'t str, end: u8) -> Option<&'t str> {
    let at = text.bytes().position(|byte| byte == end)?;
    let before = text.get(..at)?;
    *text = text.get(at + 1..)?;
    Some(before)
}

/// A number in decimal digits.
pub fn decimal(digits: &str) -> Option<u64> {
    let digit = |number: u64, digit: u8| match digit.wrapping_sub(b'0') {
        value @ 0..10 => number.checked_mul(10)?.checked_add(value.into()),
        _ => None,
    };
    if digits.is_empty() { None } else { digits.bytes().try_fold(0, digit) }
}

/// Appends a number in decimal digits.
pub fn push_decimal(text: &mut String, number: u64) {
    if number >= 10 {
        push_decimal(text, number / 10);
    }
    text.push(char::from(b'0' + (number % 10) as u8));
}
