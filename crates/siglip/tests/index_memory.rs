//! What an index takes of memory, and how long a search in a million pictures takes.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use fastrand::Rng;
use peak_alloc::PeakAlloc;
use siglip::index::{Entry, Index, IndexModel, IndexReader};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const SIZE: usize = 768;

/// Held by a test that measures: another one's memory would count as its own.
static ALONE: Mutex<()> = Mutex::new(());

/// An index of `count` pictures, read from the pieces of another one's file; the most memory that this took, in bytes.
fn read(count: usize) -> (Index, usize) {
    let model =
        IndexModel { name: "base".into(), embedding_size: SIZE, logit_scale: 100.0, logit_bias: -12.5 };
    let mut rng = Rng::with_seed(1);
    let mut made = Index::new(model);
    let mut embedding = vec![0.0; SIZE];
    for at in 0..count {
        embedding.fill_with(|| rng.f32() - 0.5);
        let name = format!("holidays {}/IMG_{at:07}.jpg", at % 100);
        made.insert(Entry { name: &name, hash: [at as u8; 32], bytes: 1, modified: 1 }, &embedding).unwrap();
    }
    let length = made.file_chunks().map(|chunk| chunk.len() as u64).sum();
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let mut reader = IndexReader::new(length);
    made.file_chunks().for_each(|chunk| chunk.chunks(1 << 20).for_each(|piece| reader.push(piece).unwrap()));
    let index = reader.finish().unwrap();
    let peak = MEMORY.peak_usage() - before;
    assert_eq!(index, made);
    (index, peak)
}

/// How long the processor has run this thread, which other programs do not lengthen. Linux alone tells.
fn processor_time() -> Option<Duration> {
    let times = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    times.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

#[test]
fn reading_an_index_takes_at_most_900_bytes_for_each_picture() {
    let _alone = ALONE.lock();
    let count = 60_000;
    let (_, peak) = read(count);
    // Beside the index, a piece of the file and a chunk of it as it was written.
    assert!(peak < 900 * count + (8 << 20), "{} bytes for each of {count}", peak / count);
}

/// `cargo test -p siglip --test index_memory -- --ignored --nocapture`
#[test]
#[ignore = "takes 2 GB and a minute"]
fn a_million_pictures_take_at_most_900_mb_and_answer_in_300_ms() {
    let _alone = ALONE.lock();
    let (index, peak) = read(1_000_000);
    let query = index.embedding("holidays 42/IMG_0123442.jpg").unwrap();
    let begun = Instant::now();
    let clock = || processor_time().unwrap_or_else(|| begun.elapsed());
    let time = || {
        let start = clock();
        assert_eq!(index.search(&query, 10)[0].entry.name, "holidays 42/IMG_0123442.jpg");
        (clock() - start).as_secs_f64() * 1e3
    };
    let least = (0..15).map(|_| time()).fold(f64::INFINITY, f64::min);
    println!("{} MB at most, {least:.0} ms at least of 15 searches", peak / 1_000_000);
    assert!(peak <= 900_000_000, "{peak}");
    assert!(least < 300.0, "{least}");
}
