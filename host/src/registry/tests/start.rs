//! What a start makes of the folder and of what runs already, and which bytes it keeps.

use super::*;
use crate::registry::kept;

/// A folder with these files, and a registry that starts on it.
fn start(files: &[(&str, &[u8])], deployed: &[Running]) -> Bench {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("processors")).unwrap();
    for (file, bytes) in files {
        std::fs::write(dir.path().join("processors").join(file), bytes).unwrap();
    }
    Bench::on(dir, deployed)
}

#[test]
fn only_differences_are_said() {
    let (mail, old, new) = (component("mail", "1"), component("stock", "1"), component("stock", "2"));
    let gone = component("gone", "1");
    let runs = [
        running("mail", &mail, "m.wasm"),
        running("stock", &old, "s.wasm"),
        running("gone", &gone, "g.wasm"),
    ];
    let mut bench = start(&[("m.wasm", &mail), ("s.wasm", &new)], &runs);
    let mut said = bench.obey();
    said.sort();
    assert_eq!(said, ["+stock 2", "-gone"]);
}

#[test]
fn a_file_that_was_renamed_meanwhile_is_no_difference() {
    let mail = component("mail", "1");
    let mut bench = start(&[("new.wasm", &mail)], &[running("mail", &mail, "old.wasm")]);
    assert_eq!(bench.obey(), [""; 0]);
}

#[test]
fn a_broken_file_does_not_stop_what_runs() {
    let mut bench = start(&[("m.wasm", b"\0asm")], &[running("mail", &component("mail", "1"), "m.wasm")]);
    assert_eq!(bench.obey(), [""; 0]);
    assert_eq!(bench.codes().len(), 1);
}

#[test]
fn what_runs_holds_its_name_against_older_files() {
    let (one, two) = (component("mail", "1"), component("mail", "2"));
    let mut bench = start(&[("a.wasm", &two), ("b.wasm", &one)], &[running("mail", &one, "b.wasm")]);
    assert_eq!(bench.obey(), [""; 0]);
    assert_eq!(bench.codes(), [problem("a.wasm", "name-clash")]);
}

#[test]
fn a_missing_folder_is_made_for_a_new_host_and_missed_by_an_old_one() {
    let bench = Bench::new();
    assert!(bench.path("").is_dir());
    let dir = tempfile::tempdir().unwrap();
    let mut bench = Bench::on(dir, &[running("mail", &component("mail", "1"), "m.wasm")]);
    assert_eq!(bench.obey(), [""; 0]);
    assert_eq!(bench.codes()[0].1, "folder-missing");
}

#[test]
fn the_bytes_of_the_current_and_the_previous_version_are_kept() {
    let mut bench = Bench::new();
    let versions = ["1", "2", "3"].map(|version| component("mail", version));
    for bytes in &versions {
        bench.write("mail.wasm", bytes);
        bench.obey();
    }
    let components = bench.dir.path().join("components");
    let found = versions.each_ref().map(|bytes| kept(&components, &digest(bytes), "wasm").is_some());
    assert_eq!(found, [false, true, true]);
}

#[test]
fn bytes_that_cannot_be_kept_are_not_offered() {
    let mut bench = Bench::new();
    let components = bench.dir.path().join("components");
    std::fs::remove_dir(&components).unwrap();
    bench.write("mail.wasm", &component("mail", "1"));
    assert_eq!(bench.obey(), [""; 0]);
    assert_eq!(bench.codes(), [problem("mail.wasm", "component-not-kept")]);
}
