//! Text with conditions and repetitions, as the files in shaders/ are.
//!
//! | in a template | becomes |
//! |---|---|
//! | `$name$` | the number of this name |
//! | a line that begins with `?name ` or `?!name ` | the rest of the line if the number is not 0, or if it is |
//! | neighbouring lines that begin with `*name ` | those lines for every item of this list, whose numbers have names, too |

use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// Numbers by their names.
pub type Numbers<'n> = &'n [(&'static str, usize)];

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
pub fn filled(template: &str, numbers: Numbers<'_>, lists: &[List]) -> String {
    let mut text = Text { text: String::new(), numbers };
    let lines: Vec<&str> = template.split('\n').collect();
    let mut at = 0;
    while at < lines.len() {
        let mut end = at + 1;
        match lists.iter().find(|list| repeated(lines[at], list).is_some()) {
            None => text.add(lines[at], &[], &[]),
            Some(list) => {
                while end < lines.len() && repeated(lines[end], list).is_some() {
                    end += 1;
                }
                for item in list.numbers.chunks(list.names.len()) {
                    for line in lines[at..end].iter().filter_map(|line| repeated(line, list)) {
                        text.add(line, list.names, item);
                    }
                }
            }
        }
        at = end;
    }
    text.text
}

/// What is repeated of a line, if it is for this list.
fn repeated<'l>(line: &'l str, list: &List) -> Option<&'l str> {
    line.strip_prefix('*')?.strip_prefix(list.name)?.strip_prefix(' ')
}

struct Text<'n> {
    text: String,
    numbers: Numbers<'n>,
}

impl Text<'_> {
    #[inline(never)]
    fn add(&mut self, mut line: &str, names: &[&str], item: &[usize]) {
        let number = |name: &str| match names.iter().position(|of_item| *of_item == name) {
            Some(index) => item[index],
            None => {
                let found = self.numbers.iter().find(|(of_all, _)| *of_all == name);
                found.expect("every name in a template has a number").1
            }
        };
        while let Some((condition, rest)) = line.strip_prefix('?').and_then(|line| line.split_once(' ')) {
            let holds = match condition.strip_prefix('!') {
                Some(name) => number(name) == 0,
                None => number(condition) != 0,
            };
            if !holds {
                return;
            }
            line = rest;
        }
        for (index, piece) in line.split('$').enumerate() {
            if index % 2 == 0 {
                self.text += piece;
            } else {
                self.text += &number(piece).to_string();
            }
        }
        self.text.push('\n');
    }
}
