//! `siglip index`, and `siglip search` in what it writes.

use std::fs;
use std::path::PathBuf;

use serde_json::json;

use crate::support::{answer, refusal, repository, run, text};
use crate::{folder, json_lines};

/// A folder of pictures, some of them in a folder inside.
fn pictures(name: &str) -> PathBuf {
    let dir = folder(name);
    fs::create_dir(dir.join("animals")).unwrap();
    for (from, to) in
        [("boat.jpg", "boat.jpg"), ("cat.jpg", "animals/cat.jpg"), ("dog.jpg", "animals/dog.jpg")]
    {
        fs::copy(repository().join("www/samples").join(from), dir.join(to)).unwrap();
    }
    fs::write(dir.join("notes.txt"), "no picture").unwrap();
    dir
}

/// The names found, best first.
fn found(index: &str, query: &[&str]) -> Vec<String> {
    let output = answer(&[&["search", index, "--json"], query].concat());
    json_lines(&output).iter().map(|line| line["image"].as_str().unwrap().to_string()).collect()
}

#[test]
fn an_index_answers_texts_pictures_and_mixtures() {
    let dir = pictures("index-answers");
    let (folder, file) = (dir.to_str().unwrap(), dir.join("pictures.siglip-index"));
    let index = file.to_str().unwrap();
    let report = json_lines(&answer(&["index", folder, "--json"])).remove(0);
    let expected = json!({
        "index": index, "pictures": 3, "embedded": 3, "removed": 0, "failed": 0, "other_files": 1,
    });
    assert_eq!(report, expected);
    let told = answer(&["index", folder]);
    assert_eq!(
        told.trim_end(),
        format!("{index}: 3 pictures (0 embedded, 0 removed, 0 failed); 1 file is no picture")
    );

    assert_eq!(found(index, &["a cat"])[0], "animals/cat.jpg");
    assert_eq!(found(index, &["a boat", "--top-k", "1"]), ["boat.jpg"]);
    assert_eq!(found(index, &["--image", "www/samples/dog.jpg"])[0], "animals/dog.jpg");
    assert_eq!(found(index, &["an animal", "--minus", "a cat"]).last().unwrap(), "animals/cat.jpg");
    assert_eq!(found(index, &["a boat", "--image", "www/samples/boat.jpg"])[0], "boat.jpg");

    // A text has the scores that the folder's search has, up to what 8 bits lose.
    let of_index = json_lines(&answer(&["search", index, "a cat", "--json"]));
    let of_folder = json_lines(&answer(&["search", folder, "a cat", "--json"]));
    assert_eq!(of_index.len(), of_folder.len());
    for (a, b) in of_index.iter().zip(&of_folder) {
        assert!((a["logit"].as_f64().unwrap() - b["logit"].as_f64().unwrap()).abs() < 0.2, "{a} and {b}");
    }
    assert!(answer(&["search", index, "a cat"]).lines().next().unwrap().ends_with(" %  animals/cat.jpg"));
}

#[test]
fn what_is_new_moved_changed_broken_or_gone_is_noticed() {
    let dir = pictures("index-changes");
    let folder = dir.to_str().unwrap();
    let report = |embedded: u32, removed: u32, failed: u32, pictures: u32| {
        let output = run(&["index", folder, "--json"]);
        assert_eq!(output.status.success(), failed == 0);
        let mut lines = json_lines(text(&output.stdout));
        let counts = lines.pop().unwrap();
        for (name, count) in
            [("embedded", embedded), ("removed", removed), ("failed", failed), ("pictures", pictures)]
        {
            assert_eq!(counts[name], count, "{name} of {counts}");
        }
        lines
    };
    report(3, 0, 0, 3);
    report(0, 0, 0, 3);
    // A moved file is known by its hash.
    fs::rename(dir.join("boat.jpg"), dir.join("animals/ship.jpg")).unwrap();
    report(0, 1, 0, 3);
    fs::copy(repository().join("www/samples/coffee.jpg"), dir.join("animals/ship.jpg")).unwrap();
    fs::copy(repository().join("www/samples/dog.jpg"), dir.join("copy of dog.jpg")).unwrap();
    report(1, 0, 0, 4);
    let index = dir.join("pictures.siglip-index");
    assert_eq!(found(index.to_str().unwrap(), &["coffee"])[0], "animals/ship.jpg");
    let groups = json_lines(&answer(&["search", index.to_str().unwrap(), "--duplicates", "0.99", "--json"]));
    assert_eq!(groups, [json!({ "images": ["animals/dog.jpg", "copy of dog.jpg"] })]);
    for cosine in ["95", "NaN"] {
        let message = refusal(&["search", index.to_str().unwrap(), "--duplicates", cosine]);
        assert!(message.contains("from 0 to 1"), "{message}");
    }
    // A picture that has become broken is listed with its reason, and the rest is done.
    fs::write(dir.join("animals/cat.jpg"), b"\xff\xd8\xff\xe0 cut").unwrap();
    fs::remove_file(dir.join("animals/dog.jpg")).unwrap();
    let failures = report(0, 2, 1, 2);
    assert_eq!(
        (&failures[0]["image"], &failures[0]["error"]["code"]),
        (&json!("animals/cat.jpg"), &json!("bad-image"))
    );
}

#[test]
fn arrays_go_out_and_come_in() {
    let dir = pictures("index-npy");
    let path = |name: &str| dir.join(name).to_str().unwrap().to_string();
    let (first, second, array) = (path("a.index"), path("b.index"), path("all.npy"));
    answer(&["index", dir.to_str().unwrap(), "-o", &first, "--export", &array]);
    let names = fs::read_to_string(path("all.txt")).unwrap();
    assert_eq!(names, "animals/cat.jpg\nanimals/dog.jpg\nboat.jpg\n");
    answer(&["index", &array, "-o", &second]);
    assert_eq!(found(&second, &["a dog"]), found(&first, &["a dog"]));
    fs::remove_file(&array).unwrap();
    answer(&["index", &second, "--export", &array]);
    assert!(fs::read(&array).unwrap().starts_with(b"\x93NUMPY"));
}

#[test]
fn what_cannot_be_used_is_refused_and_the_index_stays() {
    let dir = pictures("index-refusals");
    let (folder, index) = (dir.to_str().unwrap(), dir.join("pictures.siglip-index"));
    let file = index.to_str().unwrap();
    assert!(refusal(&["index", "no-such-folder"]).contains("no-such-folder is no folder"));
    assert!(
        refusal(&["search", folder, "a cat", "--minus", "a dog"])
            .contains("make an index first: siglip index")
    );
    answer(&["index", folder]);
    let before = fs::read(&index).unwrap();
    let other = ["--model", "tests/fixtures/random-small"];
    for command in [&["index", folder][..], &["search", file, "a"]] {
        assert!(refusal(&[command, &other].concat()).contains("the index is of the model tiny, not of"));
    }
    assert!(refusal(&["search", file]).contains("the query is empty"));
    assert!(refusal(&["search", file, "a кошка"]).contains("unknown to this model: кошка"));
    assert!(refusal(&["search", "www/samples/cat.jpg", "a cat"]).contains("not an index of pictures"));
    assert_eq!(fs::read(&index).unwrap(), before);
    fs::write(&index, &before[..before.len() - 9]).unwrap();
    for command in [&["index", folder][..], &["search", file, "a"]] {
        assert!(refusal(command).contains("the index is damaged"));
    }
}
