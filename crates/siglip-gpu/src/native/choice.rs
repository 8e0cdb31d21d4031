//! Which of a plan's programs runs a usual sequence, as www/worker/gpu-choice.js finds out in the page. The choice holds for all
//! towers of the same plan on the same adapter, for as long as the process.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::tower::End;
use super::{GpuError, Input, Tower};

/// Rounds that count. One before them does not: drivers finish their compilation then.
const ROUNDS: usize = 3;
/// Milliseconds after which no further program is timed.
const MOST_MS: f64 = 1000.0;
/// A program takes the place of one before it if it takes less than this part of its time. Differences below are noise, and with
/// another program the same input gives other bits.
const WORTH_IT: f64 = 0.95;
/// Where the first block takes longer, in milliseconds, it stands for all.
const LONG_BLOCK: f64 = 20.0;

/// Choices by adapter and plan.
static CHOSEN: Mutex<BTreeMap<(String, u64), usize>> = Mutex::new(BTreeMap::new());

impl Tower {
    /// Keeps to the program that is the fastest on this adapter for a pass like `input`: that of an earlier call for the same plan,
    /// otherwise times them all. If that takes longer than a second, the plan's first one runs.
    ///
    /// # Errors
    /// As [`Tower::run_all`].
    pub fn choose(&mut self, input: Input<'_>) -> Result<(), GpuError> {
        let rows = input.rows.len() / self.plan().input.size;
        let key = (self.gpu.driver(), self.fingerprint());
        if let Some(kept) = CHOSEN.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            self.chosen = Some(*kept);
            return Ok(());
        }
        let programs = self.plan().programs.iter().enumerate();
        let fitting: Vec<usize> =
            programs.filter(|(_, program)| program.fits(rows)).map(|(index, _)| index).collect();
        let blocks = self.plan().blocks as f64;
        let mut block = 0.0;
        for _ in 0..2 {
            block = self.time(fitting.first().copied(), input, End::FirstBlock)?;
            self.limit_submits(block * blocks);
        }
        let end = if block > LONG_BLOCK { End::FirstBlock } else { self.last_end() };
        let fastest = fastest(fitting.len(), |index| self.time(Some(fitting[index]), input, end))?;
        self.chosen = fastest.map(|index| fitting[index]);
        if let Some(chosen) = self.chosen {
            CHOSEN.lock().unwrap_or_else(PoisonError::into_inner).insert(key, chosen);
        }
        Ok(())
    }

    /// Runs a program, and returns milliseconds.
    fn time(&mut self, program: Option<usize>, input: Input<'_>, end: End) -> Result<f64, GpuError> {
        self.chosen = program;
        let start = Instant::now();
        self.run_some(input, end)?;
        Ok(1e3 * start.elapsed().as_secs_f64())
    }

    /// Of what is timed: kernels with their sizes, and the length of a sequence.
    fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.plan().length.hash(&mut hasher);
        self.plan().pipelines.iter().for_each(|pipeline| pipeline.wgsl.hash(&mut hasher));
        hasher.finish()
    }
}

/// Which of so many is the fastest: the first, unless another is clearly faster. `None` if there was no time to find out.
///
/// `time` runs one, and returns milliseconds.
fn fastest(
    count: usize,
    mut time: impl FnMut(usize) -> Result<f64, GpuError>,
) -> Result<Option<usize>, GpuError> {
    let mut least = vec![f64::INFINITY; count];
    let mut spent = 0.0;
    'rounds: for round in 0..=ROUNDS {
        // In turn, so that a clock that rises favours none.
        for (index, least) in least.iter_mut().enumerate() {
            if spent > MOST_MS {
                break 'rounds;
            }
            let ms = time(index)?;
            spent += ms;
            if round > 0 {
                *least = least.min(ms);
            }
        }
    }
    if least.iter().any(|ms| ms.is_infinite()) {
        return Ok(None);
    }
    Ok((0..count).reduce(|best, next| if least[next] < WORTH_IT * least[best] { next } else { best }))
}

#[cfg(test)]
mod tests {
    use siglip::{Precision, Towers};

    use super::*;
    use crate::Plan;
    use crate::native::{Gpu, Wish};

    /// The choice among programs that take so long, one after the other, and how often each was timed.
    fn choice<const N: usize>(ms: impl Fn(usize, usize) -> f64) -> (Option<usize>, [usize; N]) {
        let mut runs = [0; N];
        let chosen = fastest(N, |index| {
            runs[index] += 1;
            Ok(ms(index, runs[index]))
        });
        (chosen.unwrap(), runs)
    }

    #[test]
    fn the_fastest_is_chosen_and_the_first_where_times_are_alike() {
        assert_eq!(choice(|index, _| [9.0, 4.0, 8.0, 3.0][index]), (Some(3), [4; 4]));
        assert_eq!(choice(|index, _| [3.1, 3.0, 3.05][index]), (Some(0), [4; 3]));
        assert_eq!(choice(|_, _| 1.0), (Some(0), [4; 1]));
        assert_eq!(choice(|_, _| 1.0), (None, []));
    }

    #[test]
    fn the_first_round_and_slow_outliers_do_not_count() {
        assert_eq!(choice(|index, run| if run == 1 { 1.0 } else { [9.0, 4.0][index] }), (Some(1), [4; 2]));
        assert_eq!(choice(|index, run| if run == 3 { 50.0 } else { [5.0, 4.0][index] }), (Some(1), [4; 2]));
    }

    #[test]
    fn without_the_time_to_find_out_there_is_no_choice() {
        // Two rounds take 960 ms, and after 1080 ms there is no time left.
        assert_eq!(choice(|index, _| [120.0, 90.0, 150.0, 120.0][index]), (Some(1), [3, 2, 2, 2]));
        assert_eq!(choice(|index, _| [400.0, 300.0][index]), (None, [2, 1]));
        assert_eq!(choice(|_, _| 2000.0), (None, [1, 0]));
    }

    #[test]
    fn a_choice_holds_for_all_towers_of_a_plan() {
        let Ok(gpu) = Gpu::open(Wish::Any) else { return };
        let mut config = siglip::preset("base-patch16-256").unwrap();
        let text = &mut config.text_config;
        (text.hidden_size, text.intermediate_size, text.num_hidden_layers) = (24, 24, 1);
        let tower = || {
            let plan = Plan::new(&config, Towers::Text, Precision::F32).unwrap();
            Tower::new(&gpu, plan.text.unwrap()).unwrap()
        };
        let mut first = tower();
        let rows = vec![0.0; 64 * 24];
        let input = Input { rows: &rows, sequences: 1 };
        first.choose(input).unwrap();
        let key = (gpu.driver(), first.fingerprint());
        assert_eq!(CHOSEN.lock().unwrap().get(&key).copied(), first.chosen);
        // Another that no measurement would change.
        let other = first.chosen.map_or(0, |chosen| (chosen + 1) % first.plan().programs.len());
        CHOSEN.lock().unwrap().insert(key, other);
        let mut second = tower();
        second.choose(input).unwrap();
        assert_eq!(second.chosen, Some(other));
        assert_eq!(second.run_all(input).unwrap().len(), 24);
    }

    #[test]
    fn a_fault_ends_it() {
        let fault = GpuError::Lost("injected".into());
        assert_eq!(fastest(2, |_| Err(fault.clone())), Err(fault));
    }
}
