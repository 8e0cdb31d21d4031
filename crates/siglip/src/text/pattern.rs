//! What a `Replace` or a `Split` of a tokenizer.json looks for.
//!
//! Published files have regular expressions of one form: a set of characters, with a count. A search for those needs no engine
//! of regular expressions, which would be a quarter of what a browser downloads.

use std::iter::Peekable;
use std::str::Chars;

use serde_json::Value;
use tokenizers::Offsets;

/// A text, or as many characters of a set as there are.
#[derive(Debug)]
pub(super) enum Pattern {
    /// This text.
    Text(String),
    /// From `least` to `most` characters of a set, the longest run first.
    Run {
        /// The characters.
        set: CharacterSet,
        /// At least 1.
        least: usize,
        /// No less than `least`.
        most: usize,
    },
}

/// Characters of some ranges, and with `white_space` those too; or all others.
#[derive(Debug, Default)]
pub(super) struct CharacterSet {
    ranges: Vec<(char, char)>,
    white_space: bool,
    negated: bool,
}

impl Pattern {
    /// Reads `{"String": "…"}` or `{"Regex": "…"}`.
    pub fn of(pattern: &Value) -> Result<Pattern, String> {
        match (pattern["String"].as_str(), pattern["Regex"].as_str()) {
            (Some(""), None) => Err("a pattern that matches the empty text".into()),
            (Some(text), None) => Ok(Pattern::Text(text.into())),
            (None, Some(regex)) => Pattern::of_regex(regex).ok_or_else(|| {
                format!(
                    "the regular expression {regex:?} is not supported; supported are texts, and sets of characters with a \
                     count of at least 1, such as [^a-z]+"
                )
            }),
            _ => Err("a pattern that is neither a String nor a Regex".into()),
        }
    }

    fn of_regex(regex: &str) -> Option<Pattern> {
        let mut rest = regex.chars();
        let set = CharacterSet::take(&mut rest)?;
        let (least, most) = match rest.as_str() {
            "" => (1, 1),
            "+" => (1, usize::MAX),
            count => match bounds(count) {
                Some(bounds) => bounds,
                None => return text(regex).map(Pattern::Text),
            },
        };
        (1 <= least && least <= most).then_some(Pattern::Run { set, least, most })
    }

    /// The byte ranges of the matches in a text, from left to right.
    fn matches(&self, inside: &str) -> Vec<Offsets> {
        let (set, least, most) = match self {
            Pattern::Text(text) => {
                return inside
                    .match_indices(&**text)
                    .map(|(start, text)| (start, start + text.len()))
                    .collect();
            }
            Pattern::Run { set, least, most } => (set, *least, *most),
        };
        let mut found = Vec::new();
        let (mut start, mut count) = (0, 0);
        let mut ends = |start, end, count| {
            if count >= least {
                found.push((start, end));
            }
        };
        for (at, character) in inside.char_indices() {
            let belongs = set.contains(character);
            if !belongs || count == most {
                ends(start, at, count);
                count = 0;
            }
            if belongs {
                start = if count == 0 { at } else { start };
                count += 1;
            }
        }
        ends(start, inside.len(), count);
        found
    }
}

impl tokenizers::pattern::Pattern for &Pattern {
    fn find_matches(&self, inside: &str) -> tokenizers::Result<Vec<(Offsets, bool)>> {
        if inside.is_empty() {
            return Ok(vec![((0, 0), false)]);
        }
        let (mut parts, mut before) = (Vec::new(), 0);
        for (start, end) in self.matches(inside) {
            if before < start {
                parts.push(((before, start), false));
            }
            parts.push(((start, end), true));
            before = end;
        }
        if before < inside.len() {
            parts.push(((before, inside.len()), false));
        }
        Ok(parts)
    }
}

impl CharacterSet {
    fn contains(&self, character: char) -> bool {
        let listed = self.ranges.iter().any(|&(first, last)| (first..=last).contains(&character))
            || self.white_space && character.is_whitespace();
        listed != self.negated
    }

    /// Takes the first set of a regular expression: a character, an escape, or a class in brackets.
    fn take(regex: &mut Chars) -> Option<CharacterSet> {
        let mut set = CharacterSet::default();
        match regex.next()? {
            '.' => CharacterSet { ranges: vec![('\n', '\n')], negated: true, ..set }.into(),
            '[' => CharacterSet::take_class(&mut regex.by_ref().peekable()),
            first => {
                match literal(first, regex)? {
                    Literal::Character(character) => set.ranges.push((character, character)),
                    Literal::WhiteSpace => set.white_space = true,
                }
                Some(set)
            }
        }
    }

    /// Takes what follows `[`. Sets of sets are not supported.
    fn take_class(regex: &mut Peekable<&mut Chars>) -> Option<CharacterSet> {
        let negated = regex.next_if_eq(&'^').is_some();
        let mut set = CharacterSet { negated, ..CharacterSet::default() };
        loop {
            let first = regex.next()?;
            match first {
                ']' => return (set.white_space || !set.ranges.is_empty()).then_some(set),
                '[' => return None,
                // Operators on sets.
                '&' | '-' | '~' if regex.peek() == Some(&first) => return None,
                _ => {}
            }
            let Literal::Character(first) = literal_of_class(first, regex)? else {
                set.white_space = true;
                continue;
            };
            let mut last = first;
            if regex.next_if_eq(&'-').is_some() {
                match regex.next()? {
                    // The hyphen stands for itself.
                    ']' => {
                        set.ranges.extend([(first, first), ('-', '-')]);
                        return Some(set);
                    }
                    '[' | '-' => return None,
                    next => match literal_of_class(next, regex)? {
                        Literal::Character(character) if first <= character => last = character,
                        _ => return None,
                    },
                }
            }
            set.ranges.push((first, last));
        }
    }
}

/// What a character of a regular expression stands for, or two with `\`.
enum Literal {
    Character(char),
    WhiteSpace,
}

fn literal(first: char, rest: &mut impl Iterator<Item = char>) -> Option<Literal> {
    match first {
        '.' | '*' | '+' | '?' | '(' | ')' | '|' | '[' | ']' | '{' | '}' | '^' | '$' => None,
        _ => literal_of_class(first, rest),
    }
}

fn literal_of_class(first: char, rest: &mut impl Iterator<Item = char>) -> Option<Literal> {
    if first != '\\' {
        return Some(Literal::Character(first));
    }
    match rest.next()? {
        's' => Some(Literal::WhiteSpace),
        'n' => Some(Literal::Character('\n')),
        'r' => Some(Literal::Character('\r')),
        't' => Some(Literal::Character('\t')),
        // Ends of words.
        '<' | '>' => None,
        escaped if escaped.is_ascii_punctuation() => Some(Literal::Character(escaped)),
        _ => None,
    }
}

/// `{3}`, `{3,}` or `{3,5}`.
fn bounds(count: &str) -> Option<(usize, usize)> {
    let count = count.strip_prefix('{')?.strip_suffix('}')?;
    let (least, most) = count.split_once(',').unwrap_or((count, count));
    let most = if most.is_empty() { usize::MAX } else { number(most)? };
    Some((number(least)?, most))
}

/// `parse` also takes a sign.
fn number(digits: &str) -> Option<usize> {
    digits.bytes().all(|digit| digit.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

/// The text that a regular expression without sets and counts looks for.
fn text(regex: &str) -> Option<String> {
    let mut rest = regex.chars();
    let mut text = String::new();
    while let Some(first) = rest.next() {
        match literal(first, &mut rest)? {
            Literal::Character(character) => text.push(character),
            Literal::WhiteSpace => return None,
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use tokenizers::pattern::Pattern as _;
    use tokenizers::utils::SysRegex;

    use super::*;

    #[test]
    fn regular_expressions_find_what_an_engine_for_them_finds() {
        let published = r##"[!"\#\$%\&'\(\)\*\+,\-\.:;=\?@\[\\\]\^_`\{\|\}\~]"##;
        let regexes = [
            published,
            r"\s+",
            " {2,}",
            "[^a-z0-9]+",
            ".",
            "a",
            "``",
            r"\.\.",
            "a{2}",
            "[a-c]{2,3}",
            "[ab-]+",
            r"[\s\-x]+",
            r"[^\s]{3,}",
            r"[a\]^&]",
            "[~a-&]",
            "é+",
            "[à-ÿ]{2}",
            r"\n",
            "[-a]",
        ];
        let pieces = [
            "a", "b", "c", "aa", " ", "\u{3000}", "\n", "-", "x", "``", "..", "é", "ÿ", "]", "^", "&", "~",
            "🐱", "_",
        ];
        let mut random = fastrand::Rng::with_seed(21);
        for regex in regexes {
            let Some(own) = Pattern::of_regex(regex) else {
                // A range from a greater to a lesser character.
                assert!(SysRegex::new(regex).is_err(), "{regex}");
                continue;
            };
            let engine = SysRegex::new(regex).unwrap();
            for _ in 0..300 {
                let text: String =
                    (0..random.usize(0..20)).map(|_| pieces[random.usize(0..pieces.len())]).collect();
                assert_eq!(
                    (&own).find_matches(&text).unwrap(),
                    (&engine).find_matches(&text).unwrap(),
                    "{regex} in {text:?}"
                );
            }
        }
    }

    #[test]
    fn other_regular_expressions_are_refused() {
        let regexes = [
            "",
            "x*",
            "x?",
            "x{0,3}",
            "x{3,2}",
            "x{,3}",
            "x{+2}",
            "x++",
            "x+?",
            "a+b",
            "a|b",
            "(a)",
            "^a",
            "a$",
            r"\w+",
            r"\d",
            r"\p{L}",
            r"\<",
            r"\b",
            "[",
            "[a",
            "[]a]",
            "[^]",
            "[a&&b]",
            "[a--b]",
            "[a~~b]",
            "[[:alpha:]]",
            "[[a]]",
            "[b-a]",
            r"[\w]",
            r"[a-\s]",
            "[a-[b]]",
            "a[b]",
            "{",
            "\\",
            "(?i)a",
            r"\s+\s",
        ];
        for regex in regexes {
            assert!(Pattern::of_regex(regex).is_none(), "{regex}");
        }
    }
}
