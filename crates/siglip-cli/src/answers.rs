//! One answer per input, as a JSON line or as text, and the exit status: success only if every input had an answer.

use std::collections::HashMap;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;
use siglip::image::RgbImage;

use crate::checkpoint;
use crate::error::Error;

/// One input.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Given<'a> {
    Image(&'a str),
    Text(&'a str),
}

/// A JSON line: the input, then the fields of its answer.
#[derive(Serialize)]
struct Line<'a, T> {
    #[serde(flatten)]
    given: Given<'a>,
    #[serde(flatten)]
    answer: T,
    #[serde(skip_serializing_if = "Option::is_none")]
    notice: Option<Notice>,
}

/// Something worth knowing that stops nothing.
#[derive(Serialize)]
struct Notice {
    code: &'static str,
    message: &'static str,
}

/// The line of an input that failed.
#[derive(Serialize)]
struct Failure {
    error: Reason,
}

#[derive(Serialize)]
struct Reason {
    code: &'static str,
    message: String,
}

/// Writes answers as they come, and remembers whether an input failed.
pub struct Answers {
    json: bool,
    failed: bool,
    /// What is wrong with files that are shown nevertheless, by their names.
    damage: HashMap<String, &'static str>,
}

impl Answers {
    pub fn new(json: bool) -> Self {
        Answers { json, failed: false, damage: HashMap::new() }
    }

    /// Reads and decodes an image. What is wrong with a file that is shown nevertheless goes into the JSON line of its
    /// answer, or else to standard error.
    pub fn image(&mut self, path: &Path) -> Result<RgbImage, Error> {
        let decoded = checkpoint::image(path)?;
        if let Some(damage) = decoded.damage {
            let name = path.display().to_string();
            if !self.json {
                tell_damage(&name, damage);
            }
            self.damage.insert(name, damage);
        }
        Ok(decoded.image)
    }

    /// Writes the result of one input. `text` formats the answer for people.
    pub fn answer<T: Serialize>(
        &mut self,
        given: Given,
        result: Result<T, Error>,
        text: impl FnOnce(&T) -> String,
    ) -> Result<(), Error> {
        match result {
            Ok(answer) if self.json => {
                let (Given::Image(name) | Given::Text(name)) = given;
                let damage = self.damage.get(name).filter(|_| matches!(given, Given::Image(_)));
                let notice = damage.map(|&message| Notice { code: "damaged", message });
                print_json(&Line { given, answer, notice })
            }
            Ok(answer) => print(&text(&answer)),
            Err(error) => self.refuse(given, error),
        }
    }

    /// Says why one input has no answer.
    pub fn refuse(&mut self, given: Given, error: Error) -> Result<(), Error> {
        self.failed = true;
        if self.json {
            let error = Reason { code: error.code(), message: error.to_string() };
            return print_json(&Line { given, answer: Failure { error }, notice: None });
        }
        let (Given::Image(name) | Given::Text(name)) = given;
        complain(&format!("{name}: {error}"));
        Ok(())
    }

    /// Failure where any input had no answer.
    pub fn exit_code(&self) -> ExitCode {
        if self.failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }
}

/// What a table says of a label with words that the model cannot read.
pub fn unread(words: &[String]) -> String {
    format!("unknown to this model: {}", words.join(", "))
}

/// Writes one line to standard output. `println!` would panic where nobody reads it to its end.
pub fn print(line: &str) -> Result<(), Error> {
    writeln!(io::stdout(), "{line}").map_err(Error::Output)
}

/// Writes one line of JSON.
pub fn print_json(value: &impl Serialize) -> Result<(), Error> {
    let line = serde_json::to_string(value).map_err(|error| Error::Output(error.into()))?;
    print(&line)
}

/// Writes one line to standard error, if anybody listens there.
pub fn complain(message: &str) {
    let _ = writeln!(io::stderr(), "siglip: {message}");
}

/// Says on standard error what is wrong with an image file that is shown nevertheless.
pub fn tell_damage(name: &str, damage: &str) {
    complain(&format!("{name}: the file is damaged: {damage}"));
}
