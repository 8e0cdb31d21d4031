//! Injects faults into the page, chosen by a seed, so a run can be repeated.

use clap::Args;

use crate::command::{command, run};
use crate::{Result, setup, wasm};

/// Network faults, closed pages, killed browsers, failing storage and more; `tests/browser/soak/` has them.
#[derive(Args)]
pub struct Soak {
    /// The same seed gives the same faults.
    #[arg(long, default_value_t = 1)]
    seed: u32,
    /// Run for this long. Every fault occurs at least once, which takes more than a few minutes.
    #[arg(long, default_value_t = 30)]
    minutes: u32,
    /// The browser: chromium, firefox or webkit.
    #[arg(long, default_value = "chromium")]
    browser: String,
    /// Run only the scenarios whose names contain this.
    #[arg(long, default_value = "")]
    only: String,
}

impl Soak {
    /// Runs until the time is over. Fails if any fault had a forbidden result.
    pub fn run(self) -> Result {
        setup::browsers()?;
        wasm::build(&[])?;
        let (seed, minutes) = (self.seed.to_string(), self.minutes.to_string());
        let mut soak =
            command("node", &["tests/browser/soak/main.js", "--seed", &seed, "--minutes", &minutes]);
        run(soak.args(["--only", &self.only]).env("BROWSER", &self.browser))
    }
}
