//! Faults, seeded and repeatable.

use clap::Args;

use crate::command::{command, run};
use crate::{Result, setup, wasm};

/// Network faults, closed pages, killed browsers, failing storage and more, as `docs/reliability.md` has them.
#[derive(Args)]
pub struct Soak {
    /// What the faults are chosen by: the same seed gives the same faults.
    #[arg(long, default_value_t = 1)]
    seed: u32,
    /// How long to go on. Every fault has its turn at least once, which takes longer than a few minutes.
    #[arg(long, default_value_t = 30)]
    minutes: u32,
    /// The browser: chromium, firefox or webkit.
    #[arg(long, default_value = "chromium")]
    browser: String,
    /// Only the scenarios whose names contain this.
    #[arg(long, default_value = "")]
    only: String,
}

impl Soak {
    /// Runs until the time is over; fails if any fault had a result that it must not have.
    pub fn run(self) -> Result {
        setup::browsers()?;
        wasm::build()?;
        let (seed, minutes) = (self.seed.to_string(), self.minutes.to_string());
        let mut soak =
            command("node", &["tests/browser/soak/main.js", "--seed", &seed, "--minutes", &minutes]);
        run(soak.args(["--only", &self.only]).env("BROWSER", &self.browser))
    }
}
