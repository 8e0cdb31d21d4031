//! An answer an input: a JSON line or text, and the exit status that says whether every one came out.

use std::io::{self, Write};
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::error::Error;

/// Writes answers as they come, and remembers whether one of them was an error.
pub struct Answers {
    json: bool,
    failed: bool,
}

impl Answers {
    pub fn new(json: bool) -> Self {
        Answers { json, failed: false }
    }

    /// Writes what became of one input: `kind` is `image` or `text`, `input` what was given, `show` the answer as
    /// the fields of a JSON object, or as text for a person.
    pub fn answer<T>(
        &mut self,
        kind: &str,
        input: &str,
        result: Result<T, Error>,
        fields: impl FnOnce(&T) -> Value,
        text: impl FnOnce(&T) -> String,
    ) -> Result<(), Error> {
        let line = match result {
            Ok(answer) if self.json => {
                let mut object = fields(&answer);
                object[kind] = input.into();
                object.to_string()
            }
            Ok(answer) => text(&answer),
            Err(error) => {
                self.failed = true;
                if !self.json {
                    eprintln!("siglip: {input}: {error}");
                    return Ok(());
                }
                json!({ kind: input, "error": {"code": error.code(), "message": error.to_string()} })
                    .to_string()
            }
        };
        writeln!(io::stdout(), "{line}").map_err(Error::Output)
    }

    /// Failure where any input had no answer.
    pub fn exit_code(&self) -> ExitCode {
        if self.failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }
}
