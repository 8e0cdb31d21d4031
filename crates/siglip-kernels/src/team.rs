//! Threads that share out a kernel's work.
//!
//! A product is cut into parts of some ten microseconds, and every thread takes the next when it is done with one. So a
//! thread that is held up, by whatever else the machine does, takes fewer of them instead of keeping all others waiting.
//! Threads that find no work look for it for a fraction of a millisecond, as long as the serial stretches between two
//! kernels take, before they go to sleep.

use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Condvar, Mutex, PoisonError};

/// Looks for work before going to sleep.
const LOOKS: usize = 200_000;

/// Looks at the others' last parts before they are held for dead, ten seconds at least. A thread of WebAssembly that
/// fails, or is ended, tells nobody.
const PATIENCE: u64 = 10_000_000_000;

static TEAM: Team = Team {
    members: AtomicUsize::new(0),
    busy: AtomicBool::new(false),
    turn: AtomicUsize::new(0),
    next: AtomicUsize::new(0),
    working: AtomicUsize::new(0),
    job: UnsafeCell::new(None),
    asleep: AtomicUsize::new(0),
    bed: Mutex::new(()),
    bell: Condvar::new(),
};

struct Team {
    members: AtomicUsize,
    /// Whether a thread shares its work out.
    busy: AtomicBool,
    /// Odd while there is a job.
    turn: AtomicUsize,
    /// The job's next part.
    next: AtomicUsize,
    /// Members that may look at the job.
    working: AtomicUsize,
    job: UnsafeCell<Option<Job>>,
    asleep: AtomicUsize,
    bed: Mutex<()>,
    bell: Condvar,
}

#[derive(Clone, Copy)]
struct Job {
    work: *const (dyn Fn(usize) + Sync),
    parts: usize,
}

// SAFETY: `job` is written by the one thread that has set `busy`, while `turn` is even and nobody is `working`; it is
// read by that thread and by those that count as `working` and have seen `turn` odd since. All else is made for sharing.
unsafe impl Sync for Team {}

/// Takes part in the work of whichever thread calls a kernel, for ever: for threads that have nothing else to do. A
/// process has one team; while one thread's work is shared out, others work alone.
pub fn join_team() -> ! {
    TEAM.members.fetch_add(1, SeqCst);
    let mut done = TEAM.turn.load(SeqCst);
    loop {
        done = TEAM.next_turn(done);
        TEAM.working.fetch_add(1, SeqCst);
        if TEAM.turn.load(SeqCst) == done {
            // SAFETY: this thread counts as working and has seen the turn odd: whoever opened it waits for it.
            let job = unsafe { *TEAM.job.get() };
            if let Some(job) = job {
                TEAM.take(job);
            }
        }
        TEAM.working.fetch_sub(1, SeqCst);
    }
}

/// How many threads have joined.
pub fn team_members() -> usize {
    TEAM.members.load(SeqCst)
}

/// Calls `work` with every number below `parts`, in any order and on any thread.
///
/// A thread that does not come back from its part ends the process: what it writes to may not be given away.
pub(crate) fn share(parts: usize, work: &(dyn Fn(usize) + Sync)) {
    let alone = parts < 2 || team_members() == 0 || TEAM.busy.swap(true, SeqCst);
    if alone {
        return (0..parts).for_each(work);
    }
    // SAFETY: only the lifetime changes; nobody looks at the job any more when the turn has been dropped.
    let work: *const (dyn Fn(usize) + Sync) =
        unsafe { std::mem::transmute::<&(dyn Fn(usize) + Sync), &'static (dyn Fn(usize) + Sync)>(work) };
    let job = Job { work, parts };
    let _turn = Turn::open(job);
    TEAM.take(job);
}

/// A job is there, until this is dropped; also where the thread that shares its work out panics over it.
struct Turn;

impl Turn {
    /// For the thread that has set `busy`.
    fn open(job: Job) -> Turn {
        // SAFETY: this thread has set `busy`, the turn is even, and the last job was left by all.
        unsafe { *TEAM.job.get() = Some(job) };
        TEAM.next.store(0, SeqCst);
        TEAM.turn.fetch_add(1, SeqCst);
        if TEAM.asleep.load(SeqCst) > 0 {
            let _bed = TEAM.bed.lock().unwrap_or_else(PoisonError::into_inner);
            TEAM.bell.notify_all();
        }
        Turn
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        TEAM.turn.fetch_add(1, SeqCst);
        // Whoever begins to work from here on sees that the turn is over before looking at the job.
        let mut looks = 0;
        while TEAM.working.load(SeqCst) > 0 {
            looks += 1;
            if looks == PATIENCE {
                std::process::abort();
            }
            std::hint::spin_loop();
        }
        TEAM.busy.store(false, SeqCst);
    }
}

impl Team {
    fn take(&self, job: Job) {
        loop {
            let part = self.next.fetch_add(1, SeqCst);
            if part >= job.parts {
                return;
            }
            // SAFETY: the closure lives until the turn has been dropped, which waits for every thread that is here.
            unsafe { (*job.work)(part) };
        }
    }

    /// Waits for a turn after `done` with a job.
    fn next_turn(&self, done: usize) -> usize {
        let is_next = |turn: usize| turn != done && turn % 2 == 1;
        loop {
            for _ in 0..LOOKS {
                let turn = self.turn.load(SeqCst);
                if is_next(turn) {
                    return turn;
                }
                std::hint::spin_loop();
            }
            let mut bed = self.bed.lock().unwrap_or_else(PoisonError::into_inner);
            self.asleep.fetch_add(1, SeqCst);
            while !is_next(self.turn.load(SeqCst)) {
                bed = self.bell.wait(bed).unwrap_or_else(PoisonError::into_inner);
            }
            self.asleep.fetch_sub(1, SeqCst);
        }
    }
}
