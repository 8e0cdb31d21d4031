//! The index of pictures: kept as a file, searched, and safe from files that lie.

use fastrand::Rng;
use siglip::index::{Entry, Index, IndexError, IndexModel, IndexReader, NpyReader, QueryPart, npy};

const SIZE: usize = 48;

fn model() -> IndexModel {
    IndexModel { name: "tiny".into(), embedding_size: SIZE, logit_scale: 100.0, logit_bias: -12.5 }
}

fn entry(name: &str, hash: u8) -> Entry<'_> {
    Entry { name, hash: [hash; 32], bytes: 1234, modified: 1_700_000_000_123 }
}

fn random(rng: &mut Rng) -> Vec<f32> {
    (0..SIZE).map(|_| rng.f32() - 0.5).collect()
}

fn filled(count: u8) -> Index {
    let mut rng = Rng::with_seed(count.into());
    let mut index = Index::new(model());
    for at in 0..count {
        index.insert(entry(&format!("ordner/bild ü {at}.jpg"), at + 1), &random(&mut rng)).unwrap();
    }
    index
}

fn names(index: &Index, query: &[f32], count: usize) -> Vec<String> {
    index.search(query, count).iter().map(|found| found.entry.name.to_string()).collect()
}

/// The names of all pictures, in order.
fn list(index: &Index) -> Vec<String> {
    index.entries().map(|entry| entry.name.to_string()).collect()
}

#[test]
fn a_written_index_is_read_as_it_was() {
    for count in [0, 1, 17] {
        let index = filled(count);
        assert_eq!(Index::parse(&index.to_bytes()).unwrap(), index);
    }
}

/// More pictures than lie together in memory, of whom some are removed, replaced and added again.
#[test]
fn a_large_index_is_what_was_put_into_it() {
    const COUNT: usize = 9000;
    let small = IndexModel { embedding_size: 3, ..model() };
    let mut rng = Rng::with_seed(5);
    let mut index = Index::new(small.clone());
    let mut expected = std::collections::HashMap::new();
    for _ in 0..3 * COUNT {
        let name = format!("{}/{}.jpg", rng.usize(..9), rng.usize(..COUNT / 9) * 7919);
        if rng.u8(..3) == 0 {
            assert_eq!(index.remove(&name), expected.remove(&name).is_some(), "{name}");
            continue;
        }
        let modified = rng.u64(..);
        let embedding = [rng.f32() - 0.5, rng.f32() - 0.5, rng.f32() - 0.5];
        index.insert(Entry { name: &name, hash: [7; 32], bytes: 1, modified }, &embedding).unwrap();
        expected.insert(name, (modified, embedding));
    }
    assert!(index.len() > 4096 && index.len() == expected.len(), "{}", index.len());
    let bytes = index.to_bytes();
    let mut reader = IndexReader::new(bytes.len() as u64);
    bytes.chunks(777).for_each(|piece| reader.push(piece).unwrap());
    let read = reader.finish().unwrap();
    assert_eq!(read, index);
    let mut merged = Index::new(small.clone());
    merged.insert(Entry { name: "another", hash: [8; 32], bytes: 1, modified: 1 }, &[1.0, 0.0, 0.0]).unwrap();
    merged.merge(read).unwrap();
    assert_eq!(merged.len(), index.len() + 1);
    for (name, (modified, embedding)) in &expected {
        assert_eq!(
            index.get(name).map(|entry| (entry.name, entry.modified)),
            Some((name.as_str(), *modified))
        );
        let norm = embedding.iter().map(|value| value * value).sum::<f32>().sqrt();
        for kept in [index.embedding(name).unwrap(), merged.embedding(name).unwrap()] {
            assert!(kept.iter().zip(embedding).all(|(a, b)| (a - b / norm).abs() < 5e-3), "{name}");
        }
    }
    // The best by the definition, wherever it lies.
    for query in [[1.0, 0.0, 0.0], [0.5, -0.5, 0.7]] {
        let score = |name: &String| -> f32 {
            index.embedding(name).unwrap().iter().zip(query).map(|(a, b)| a * b).sum()
        };
        let best = expected.keys().map(score).max_by(f32::total_cmp).unwrap();
        assert!((index.search(&query, 1)[0].score - best).abs() < 1e-3);
    }
    for name in expected.keys() {
        assert!(index.remove(name));
    }
    assert_eq!(index, Index::new(small));
}

#[test]
fn pictures_are_found_replaced_and_removed() {
    let mut index = filled(9);
    let name = list(&index).remove(3);
    let query = index.embedding(&name).unwrap();
    assert!((index.search(&query, 1)[0].score - 1.0).abs() < 0.01);
    assert_eq!(names(&index, &query, 1), [name.as_str()]);
    assert!(index.remove(&name) && !index.remove(&name));
    assert_eq!(index.len(), 8);
    // The last one has taken its place.
    for name in list(&index) {
        let query = index.embedding(&name).unwrap();
        assert_eq!(names(&index, &query, 1), [name]);
    }
    let name = list(&index).remove(0);
    let first = Entry { name: &name, ..index.get(&name).unwrap() };
    index.insert(Entry { modified: 5, ..first }, &query).unwrap();
    assert_eq!((index.len(), index.get(&name).unwrap().modified), (8, 5));
    assert_eq!(names(&index, &query, 1), [name.as_str()]);
    assert!(index.insert_known(Entry { name: "copy.jpg", ..first }).unwrap());
    assert!(!index.insert_known(entry("other.jpg", 200)).unwrap());
    assert!(!index.insert_known(entry("unknown hash.jpg", 0)).unwrap());
    assert_eq!(index.embedding("copy.jpg"), index.embedding(&name));
    assert_eq!(index.embedding("gone.jpg"), Err(IndexError::NoSuchName("gone.jpg".into())));
}

#[test]
fn near_duplicates_are_grouped_through_each_other() {
    let mut index = filled(12);
    let mut rng = Rng::with_seed(7);
    for (group, copies) in [(2, 3), (5, 30)] {
        let original = index.embedding(&list(&index)[group]).unwrap();
        for copy in 0..copies {
            let near: Vec<f32> = original.iter().map(|value| value + 0.01 * (rng.f32() - 0.5)).collect();
            index.insert(entry(&format!("{group} {copy}"), 99), &near).unwrap();
        }
    }
    let groups = index.duplicates(0.95);
    assert_eq!(groups.iter().map(Vec::len).collect::<Vec<_>>(), [31, 4]);
    assert!(groups[1].iter().all(|entry| entry.name.starts_with("2 ") || entry.name.ends_with("ü 2.jpg")));
    assert!(filled(12).duplicates(0.95).is_empty() && filled(0).duplicates(0.5).is_empty());
}

/// More pictures than fit into a block, by the definition: two of a group are near each other, or both near another.
#[test]
fn duplicates_are_those_of_comparing_every_pair() {
    const COUNT: usize = 700;
    let mut rng = Rng::with_seed(11);
    let mut index = Index::new(model());
    let originals: Vec<_> = (0..200).map(|_| random(&mut rng)).collect();
    for at in 0..COUNT {
        let original = &originals[rng.usize(..originals.len())];
        let near: Vec<f32> = original.iter().map(|value| value + 0.3 * (rng.f32() - 0.5)).collect();
        index.insert(entry(&at.to_string(), 1), &near).unwrap();
    }
    let embeddings: Vec<_> = (0..COUNT).map(|at| index.embedding(&at.to_string()).unwrap()).collect();
    let cosine =
        |a: usize, b: usize| -> f32 { embeddings[a].iter().zip(&embeddings[b]).map(|(a, b)| a * b).sum() };
    // Between two cosines that occur, so that rounding decides nothing.
    let mut cosines: Vec<f32> = (0..COUNT).flat_map(|a| (0..a).map(move |b| cosine(a, b))).collect();
    cosines.sort_by(f32::total_cmp);
    let gap = cosines
        .windows(2)
        .filter(|pair| pair[0] > 0.88 && pair[1] < 0.93)
        .max_by(|a, b| (a[1] - a[0]).total_cmp(&(b[1] - b[0])));
    let threshold = gap.map(|pair| (pair[0] + pair[1]) / 2.0).unwrap();
    let mut group_of: Vec<usize> = (0..COUNT).collect();
    for a in 0..COUNT {
        for b in 0..a {
            if cosine(a, b) >= threshold && group_of[a] != group_of[b] {
                let (old, new) = (group_of[a], group_of[b]);
                group_of.iter_mut().filter(|group| **group == old).for_each(|group| *group = new);
            }
        }
    }
    let mut expected: Vec<Vec<usize>> =
        (0..COUNT).map(|group| (0..COUNT).filter(|at| group_of[*at] == group).collect()).collect();
    expected.retain(|group: &Vec<usize>| group.len() > 1);
    expected.sort();
    assert!(expected.len() > 3, "{}", expected.len());

    let mut search = index.begin_duplicates(threshold);
    let mut progress = vec![search.progress()];
    while !index.compare(&mut search) {
        progress.push(search.progress());
    }
    progress.push(search.progress());
    assert!(progress.is_sorted() && progress[0] == 0.0 && progress.last() == Some(&1.0), "{progress:?}");
    let number = |entry: &Entry| entry.name.parse::<usize>().unwrap();
    let groups = index.duplicates_found(search);
    let mut found: Vec<Vec<usize>> = groups.iter().map(|group| group.iter().map(number).collect()).collect();
    assert!(found.is_sorted_by_key(|group| std::cmp::Reverse(group.len())));
    found.sort();
    assert_eq!(found, expected);
}

/// Two kinds of pictures, each by day and by night. All have a large common part, as real embeddings have.
#[test]
fn parts_of_a_query_weigh_alike_however_much_their_scores_differ() {
    let mut index = Index::new(model());
    let mut rng = Rng::with_seed(3);
    let axis = |at: usize| (0..SIZE).map(|i| f32::from(u8::from(i == at))).collect::<Vec<f32>>();
    for (kind, time, name) in
        [(0, 2, "cat, day"), (0, 3, "cat, night"), (1, 2, "dog, day"), (1, 3, "dog, night")]
    {
        for copy in 0..20 {
            let mut picture = axis(4);
            picture.iter_mut().for_each(|value| *value += 0.02 * (rng.f32() - 0.5));
            picture[kind] += 0.8;
            picture[time] += 0.8;
            index.insert(entry(&format!("{name} {copy}"), 1), &picture).unwrap();
        }
    }
    let part = |embedding: &[f32], weight| QueryPart { embedding: embedding.to_vec(), weight };
    // A text: mostly a part of its own, so that its scores hardly differ.
    let text = |at: usize| {
        [axis(20), axis(at)].iter().fold(vec![0.0; SIZE], |sum: Vec<f32>, axis| {
            let weight = if axis[20] == 1.0 { 1.0 } else { 0.05 };
            sum.iter().zip(axis).map(|(sum, value)| sum + weight * value).collect()
        })
    };
    let picture = index.embedding("cat, day 0").unwrap();
    let found = |parts: &[QueryPart]| names(&index, &index.query(parts).unwrap(), 20);
    assert!(found(&[part(&text(0), 1.0)]).iter().all(|name| name.starts_with("cat")));
    let minus = found(&[part(&text(0), 1.0), part(&text(2), -1.0)]);
    assert!(minus.iter().all(|name| name.starts_with("cat, night")), "{minus:?}");
    let mixed = found(&[part(&picture, 1.0), part(&text(3), 1.5)]);
    assert!(mixed.iter().all(|name| name.starts_with("cat, night")), "{mixed:?}");
    assert_eq!(index.query(&[]), Err(IndexError::EmptyQuery));
    assert_eq!(index.query(&[part(&picture, 1.0), part(&picture, -1.0)]), Err(IndexError::EmptyQuery));
    for wrong in [part(&[1.0], 1.0), part(&[f32::NAN; SIZE], 1.0), part(&picture, f32::INFINITY)] {
        assert!(matches!(index.query(&[wrong]), Err(IndexError::BadEmbedding { .. })));
    }
}

#[test]
fn embeddings_and_names_that_cannot_be_used_are_refused_and_change_nothing() {
    let mut index = filled(2);
    let before = index.clone();
    for wrong in
        [vec![], vec![0.0; SIZE], vec![f32::NAN; SIZE], vec![f32::INFINITY; SIZE], vec![1.0; SIZE + 1]]
    {
        assert!(matches!(index.insert(entry("a", 1), &wrong), Err(IndexError::BadEmbedding { .. })));
    }
    for name in ["", &"x".repeat(4097)] {
        assert!(matches!(index.insert(entry(name, 1), &[1.0; SIZE]), Err(IndexError::BadName(_))));
    }
    assert_eq!(index, before);
}

#[test]
fn an_index_of_another_model_is_refused_by_name() {
    let index = filled(1);
    index.check_model(&IndexModel { name: "a copy".into(), logit_bias: -12.500_001, ..model() }).unwrap();
    for other in [
        IndexModel { embedding_size: 768, ..model() },
        IndexModel { logit_scale: 110.0, ..model() },
        IndexModel { logit_bias: f32::NAN, ..model() },
    ] {
        let refused = |other| index.check_model(&other).unwrap_err().to_string();
        let named = refused(IndexModel { name: "base".into(), ..other.clone() });
        assert!(named.contains("the model tiny, not of base"), "{named}");
        let of_the_same_name = refused(other);
        assert!(of_the_same_name.contains("other weights of the model tiny"), "{of_the_same_name}");
    }
}

#[test]
fn files_that_are_cut_changed_or_something_else_are_refused() {
    let bytes = filled(3).to_bytes();
    for len in 0..bytes.len() {
        assert!(Index::parse(&bytes[..len]).is_err(), "cut after {len}");
    }
    let mut rng = Rng::with_seed(1);
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1 << rng.u8(..8);
        assert!(Index::parse(&changed).is_err(), "changed at {at}");
        // As well if someone has computed the checksum of it again: an error, or an index, and never a panic.
        let end = changed.len() - 4;
        let sum = crc32fast::hash(&changed[..end]).to_le_bytes();
        changed[end..].copy_from_slice(&sum);
        let _ = Index::parse(&changed)
            .map(|index| index.search(&vec![1.0; index.model().embedding_size], 3).len());
    }
    assert_eq!(Index::parse(b"GIF89a"), Err(IndexError::NotAnIndex));
    let mut newer = bytes.clone();
    newer[8] = 2;
    assert_eq!(Index::parse(&newer), Err(IndexError::Version(2)));
    // Billions of pictures, of which the file has no bytes.
    let mut many = bytes;
    many[16..20].copy_from_slice(&u32::MAX.to_le_bytes());
    let end = many.len() - 4;
    let sum = crc32fast::hash(&many[..end]).to_le_bytes();
    many[end..].copy_from_slice(&sum);
    assert_eq!(Index::parse(&many), Err(IndexError::Damaged("it ends early".into())));
}

#[test]
fn arrays_of_numpy_go_out_and_come_in() {
    let index = filled(5);
    let list = list(&index);
    let array: Vec<u8> = index.npy_chunks().flatten().collect();
    // Byte by byte, too.
    let read = |array: &[u8], names: &[String], piece: usize| {
        let mut reader = NpyReader::new(model(), names.to_vec(), array.len() as u64);
        array.chunks(piece).try_for_each(|piece| reader.push(piece)).and_then(|()| reader.finish())
    };
    let other = read(&array, &list, array.len()).unwrap();
    assert_eq!(read(&array, &list, 1).unwrap(), other);
    for name in &list {
        for (a, b) in other.embedding(name).unwrap().iter().zip(index.embedding(name).unwrap()) {
            assert!((a - b).abs() < 5e-3);
        }
    }
    let mut npy2 = npy::header("<f4", &[5, SIZE]);
    npy2[6] = 9;
    let half = npy::header("<f2", &[5, SIZE]);
    let flat = npy::header("<f4", &[5]);
    let huge = npy::header("<f4", &[usize::MAX, SIZE]);
    for wrong in [&b"no"[..], b"\x93NUMPY\x01\0\xff\xff", &npy2, &half, &flat, &huge] {
        assert!(matches!(read(wrong, &list, 7), Err(IndexError::BadNpy(_))), "{wrong:?}");
    }
    for len in 0..array.len() {
        assert!(matches!(read(&array[..len], &list, 100), Err(IndexError::BadNpy(_))), "cut after {len}");
    }
    assert!(matches!(read(&array, &list[1..], 7), Err(IndexError::BadNpy(_))));
    let twice = vec!["a".to_string(); 5];
    assert_eq!(read(&array, &twice, 7), Err(IndexError::BadName("a".into())));
}
