//! A thread pool that the calling threads of a process join.
//!
//! A kernel's work is cut into parts of some ten microseconds. Every thread takes the next part when it is done with one, so
//! a thread that the machine delays takes fewer parts and keeps nobody waiting. A thread that finds no work spins for a
//! fraction of a millisecond, which covers the serial code between two kernels, and then sleeps.

use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Condvar, Mutex, PoisonError};

/// Spins without work before a thread goes to sleep.
const SPINS_BEFORE_SLEEP: usize = 200_000;

/// Spins to wait for other threads before the process is aborted: ten seconds at least. A thread of WebAssembly that fails,
/// or is terminated, tells nobody.
const SPINS_BEFORE_ABORT: u64 = 10_000_000_000;

static POOL: ThreadPool = ThreadPool {
    members: AtomicUsize::new(0),
    busy: AtomicBool::new(false),
    epoch: AtomicUsize::new(0),
    next_part: AtomicUsize::new(0),
    working: AtomicUsize::new(0),
    job: UnsafeCell::new(None),
    sleeping: AtomicUsize::new(0),
    idle_lock: Mutex::new(()),
    wake: Condvar::new(),
};

struct ThreadPool {
    members: AtomicUsize,
    /// Whether some thread's job is being worked on.
    busy: AtomicBool,
    /// Counts publications and withdrawals of jobs: odd while a job is published.
    epoch: AtomicUsize,
    /// The first part of the job that no thread has taken yet.
    next_part: AtomicUsize,
    /// Members that may read the job.
    working: AtomicUsize,
    job: UnsafeCell<Option<Job>>,
    /// Members that wait on `wake`, or are about to.
    sleeping: AtomicUsize,
    idle_lock: Mutex<()>,
    wake: Condvar,
}

#[derive(Clone, Copy)]
struct Job {
    work: *const (dyn Fn(usize) + Sync),
    parts: usize,
}

// SAFETY: `job` is written only by the thread that has set `busy`, while `epoch` is even and `working` is 0. It is read by
// that thread, and by members that count as `working` and have seen an odd `epoch` since. All other fields are Sync.
unsafe impl Sync for ThreadPool {}

/// Adds this thread to the pool: it takes part in the work of whichever thread calls a kernel, and never returns.
///
/// A process has one pool. While it works for one thread, kernels that other threads call run on these threads alone.
pub fn join_thread_pool() -> ! {
    POOL.members.fetch_add(1, SeqCst);
    let mut epoch = POOL.epoch.load(SeqCst);
    loop {
        epoch = POOL.wait_for_job(epoch);
        POOL.working.fetch_add(1, SeqCst);
        if POOL.epoch.load(SeqCst) == epoch {
            // SAFETY: this thread counts as working and has seen the odd epoch since: the publisher waits for it.
            let job = unsafe { *POOL.job.get() };
            if let Some(job) = job {
                POOL.take_parts(job);
            }
        }
        POOL.working.fetch_sub(1, SeqCst);
    }
}

/// Number of threads that have joined.
pub fn thread_pool_members() -> usize {
    POOL.members.load(SeqCst)
}

/// Calls `work` with every number below `parts`, in any order and on any thread of the pool.
///
/// If a thread never finishes its part, the process is aborted: `work` borrows from the caller, which cannot return while
/// another thread may still use it.
pub(crate) fn parallel_for(parts: usize, work: &(dyn Fn(usize) + Sync)) {
    let alone = parts < 2 || thread_pool_members() == 0 || POOL.busy.swap(true, SeqCst);
    if alone {
        return (0..parts).for_each(work);
    }
    // SAFETY: only the lifetime changes. No thread reads the job any more once `_published` has been dropped.
    let work: *const (dyn Fn(usize) + Sync) =
        unsafe { std::mem::transmute::<&(dyn Fn(usize) + Sync), &'static (dyn Fn(usize) + Sync)>(work) };
    let job = Job { work, parts };
    let _published = Published::new(job);
    POOL.take_parts(job);
}

/// Guard: the job is published until this is dropped, also if the publishing thread panics.
struct Published;

impl Published {
    /// Publishes `job`; for the thread that has set `busy`.
    fn new(job: Job) -> Published {
        // SAFETY: this thread has set `busy`, `epoch` is even, and the guard of the last job waited until `working` was 0.
        unsafe { *POOL.job.get() = Some(job) };
        POOL.next_part.store(0, SeqCst);
        POOL.epoch.fetch_add(1, SeqCst);
        if POOL.sleeping.load(SeqCst) > 0 {
            let _idle = POOL.idle_lock.lock().unwrap_or_else(PoisonError::into_inner);
            POOL.wake.notify_all();
        }
        Published
    }
}

impl Drop for Published {
    fn drop(&mut self) {
        POOL.epoch.fetch_add(1, SeqCst);
        // A member that starts to work from here on sees the even epoch before it reads the job.
        let mut spins = 0;
        while POOL.working.load(SeqCst) > 0 {
            spins += 1;
            if spins == SPINS_BEFORE_ABORT {
                std::process::abort();
            }
            std::hint::spin_loop();
        }
        POOL.busy.store(false, SeqCst);
    }
}

impl ThreadPool {
    fn take_parts(&self, job: Job) {
        loop {
            let part = self.next_part.fetch_add(1, SeqCst);
            if part >= job.parts {
                return;
            }
            // SAFETY: the closure lives until `Published` has been dropped, which waits for every thread that is here.
            unsafe { (*job.work)(part) };
        }
    }

    /// Waits until a job is published in an epoch other than `done`, and returns its epoch.
    fn wait_for_job(&self, done: usize) -> usize {
        let has_job = |epoch: usize| epoch != done && epoch % 2 == 1;
        loop {
            for _ in 0..SPINS_BEFORE_SLEEP {
                let epoch = self.epoch.load(SeqCst);
                if has_job(epoch) {
                    return epoch;
                }
                std::hint::spin_loop();
            }
            let mut idle = self.idle_lock.lock().unwrap_or_else(PoisonError::into_inner);
            self.sleeping.fetch_add(1, SeqCst);
            while !has_job(self.epoch.load(SeqCst)) {
                idle = self.wake.wait(idle).unwrap_or_else(PoisonError::into_inner);
            }
            self.sleeping.fetch_sub(1, SeqCst);
        }
    }
}
