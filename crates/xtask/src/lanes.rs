//! Two lists of steps at the same time. One alone leaves a third of two cores idle: a test in a browser waits, and the
//! linker and wasm-opt use one core.

use std::cell::Cell;
use std::fs::{self, File};
use std::io::{self, Write};
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio, id};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use crate::Result;
use crate::command::Error;

/// Whether two lists run now.
static ARE_TWO: AtomicBool = AtomicBool::new(false);
/// Whether a step of either list has failed.
static HAS_FAILED: AtomicBool = AtomicBool::new(false);
/// The number of the next step.
static NEXT: AtomicUsize = AtomicUsize::new(1);

thread_local! {
    /// Whether this thread runs the list in the background.
    static IS_BACKGROUND: Cell<bool> = const { Cell::new(false) };
}

/// Runs two lists of steps. Programs of the second get the processor time that those of the first leave. A step's output is
/// printed in one piece, at its end. A failure is told at once; no further step begins then, and one that runs beside it
/// ends first.
pub fn run(first: impl FnOnce() -> Result, background: impl FnOnce() -> Result + Send) -> Result {
    HAS_FAILED.store(false, Ordering::Relaxed);
    ARE_TWO.store(true, Ordering::Relaxed);
    let (first, background) = thread::scope(|scope| {
        let background = scope.spawn(|| {
            IS_BACKGROUND.set(true);
            reported(background())
        });
        (reported(first()), background.join().unwrap_or_else(|panic| resume_unwind(panic)))
    });
    ARE_TWO.store(false, Ordering::Relaxed);
    match (first, background) {
        (Err(Error::OtherFailed), Err(error)) => Err(error),
        (first, background) => first.and(background),
    }
}

/// Tells a failure, and keeps the other list from going on.
fn reported(result: Result) -> Result {
    if let Err(error) = &result
        && !matches!(error, Error::OtherFailed)
    {
        HAS_FAILED.store(true, Ordering::Relaxed);
        eprintln!("xtask: {error}");
    }
    result
}

/// One program that is run: its command line, and the file for its output if another runs beside it.
pub struct Step<'l> {
    line: &'l str,
    output: Option<PathBuf>,
}

impl<'l> Step<'l> {
    /// Announces it.
    pub fn begin(line: &'l str) -> Result<Step<'l>> {
        if !ARE_TWO.load(Ordering::Relaxed) {
            eprintln!("▸ {line}");
            return Ok(Step { line, output: None });
        }
        if HAS_FAILED.load(Ordering::Relaxed) {
            return Err(Error::OtherFailed);
        }
        let folder = crate::path("target/steps");
        fs::create_dir_all(&folder).map_err(Error::file(&folder))?;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let output = folder.join(format!("{}-{number}.log", id()));
        eprintln!("… {line} > {}", output.display());
        Ok(Step { line, output: Some(output) })
    }

    /// Runs it. A file takes the output, since a pipe would stay open as long as any process that a browser leaves behind.
    pub fn status(&self, command: &mut Command) -> io::Result<ExitStatus> {
        let Some(output) = &self.output else { return command.status() };
        let output = File::create(output)?;
        let mut niced = (IS_BACKGROUND.get() && cfg!(unix)).then(|| niced(command));
        let command = niced.as_mut().unwrap_or(command);
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output).status()
    }

    /// Prints its output, if that has not happened yet, and how long it took.
    pub fn end(self, seconds: f32) -> Result {
        let output = match &self.output {
            None => Vec::new(),
            Some(path) => fs::read(path)
                .and_then(|output| fs::remove_file(path).map(|()| output))
                .map_err(Error::file(path))?,
        };
        let mut screen = io::stderr().lock();
        // What cannot be printed cannot be reported either.
        if self.output.is_some() {
            let _ = writeln!(screen, "▸ {}", self.line);
        }
        let _ = screen.write_all(&output);
        let _ = writeln!(screen, "  {seconds:.0} s");
        Ok(())
    }
}

/// The same command at a low priority: it gets a tenth of a core that others want all of. With less, a test that waits a minute for
/// a GPU's answer could give up.
fn niced(command: &Command) -> Command {
    let mut niced = Command::new("nice");
    niced.args(["-n", "10"]).arg(command.get_program()).args(command.get_args());
    if let Some(folder) = command.get_current_dir() {
        niced.current_dir(folder);
    }
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => niced.env(name, value),
            None => niced.env_remove(name),
        };
    }
    niced
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::command::{command, output, run as step};

    fn shell(script: &str) -> Result {
        step(command("sh", &["-c", script]).env("PASSED_ON", "7"))
    }

    // One test, because whether two lists run is known to the whole process.
    #[test]
    fn a_failed_step_ends_both_lists_and_the_background_has_a_low_priority() {
        let own: i32 = output(&mut command("nice", &[])).unwrap().trim().parse().unwrap();
        let is_low = format!("test $(nice) = {} && test $PASSED_ON = 7", 19.min(own + 10));
        run(|| shell("true"), || shell(&is_low)).unwrap();
        // Goes on until the other list has failed.
        let endless = || -> Result {
            loop {
                shell("sleep 0.01")?;
            }
        };
        let code = |result: Result| match result {
            Err(Error::Failed { status, .. }) => status.code(),
            _ => None,
        };
        assert_eq!(code(run(endless, || shell("exit 3"))), Some(3));
        assert_eq!(code(run(|| shell("exit 4"), endless)), Some(4));
        // Alone, steps run as ever.
        shell("true").unwrap();
    }
}
