//! Text with conditions and repetitions, as the files in shaders/ are.
//!
//! | in a template | becomes |
//! |---|---|
//! | `$name$` | the number of this name |
//! | a line that begins with `?name ` or `?!name ` | the rest of the line if the number is not 0, or if it is |
//! | neighbouring lines that begin with `*name ` | those lines for every item of this list, whose numbers have names, too |

use alloc::string::String;
use alloc::vec::Vec;

use crate::words::{push_decimal, until};

/// Numbers and, in the same order, their names. [`numbers!`] writes a name beside each; pairs would be stored one by one, in twice
/// the code.
#[derive(Clone, Copy)]
pub struct Numbers<'n>(pub &'static [&'static str], pub &'n [usize]);

impl Numbers<'_> {
    fn get(self, name: &str) -> Option<usize> {
        let Numbers(names, numbers) = self;
        names.iter().position(|of_number| *of_number == name).map(|index| numbers[index])
    }
}

/// [`Numbers`] as a structure is written.
macro_rules! numbers {
    ($($name:ident: $number:expr),* $(,)?) => {
        $crate::template::Numbers(&[$(stringify!($name)),*], &[$($number),*])
    };
}
pub(crate) use numbers;

/// What lines are repeated for.
pub struct List {
    pub name: &'static str,
    /// Names of an item's numbers.
    pub names: &'static [&'static str],
    /// The numbers of one item after the other.
    pub numbers: Vec<usize>,
}

/// Fills a template in. Every name in it has a number.
#[inline(never)]
pub fn filled(mut template: &str, numbers: Numbers<'_>, lists: &[List]) -> String {
    let mut text = Text { text: String::new(), numbers };
    loop {
        let start = template;
        if let Some(list) = lists.iter().find(|list| repeated(&mut template, list).is_some()) {
            for item in list.numbers.chunks(list.names.len()) {
                template = start;
                while let Some(line) = repeated(&mut template, list) {
                    text.add(line, Numbers(list.names, item));
                }
            }
        } else if let Some(line) = until(&mut template, b'\n') {
            text.add(line, Numbers(&[], &[]));
        } else {
            return text.text;
        }
    }
}

/// Takes what is repeated of the next line, if it is for this list.
fn repeated<'t>(template: &mut &'t str, list: &List) -> Option<&'t str> {
    let mut rest = template.strip_prefix('*')?.strip_prefix(list.name)?.strip_prefix(' ')?;
    let line = until(&mut rest, b'\n');
    *template = rest;
    line
}

struct Text<'n> {
    text: String,
    numbers: Numbers<'n>,
}

impl Text<'_> {
    #[inline(never)]
    fn add(&mut self, mut line: &str, item: Numbers<'_>) {
        let number = |name: &str| {
            let found = item.get(name).or_else(|| self.numbers.get(name));
            found.expect("every name in a template has a number")
        };
        while let Some(mut rest) = line.strip_prefix('?') {
            let condition = until(&mut rest, b' ').unwrap_or_default();
            let holds = match condition.strip_prefix('!') {
                Some(name) => number(name) == 0,
                None => number(condition) != 0,
            };
            if !holds {
                return;
            }
            line = rest;
        }
        while let Some(piece) = until(&mut line, b'$') {
            self.text += piece;
            push_decimal(&mut self.text, number(until(&mut line, b'$').unwrap_or_default()) as u64);
        }
        self.text += line;
        self.text.push('\n');
    }
}
