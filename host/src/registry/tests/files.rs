//! What people do to files, and what the registry makes of it.

use super::*;
use crate::registry::folder::ENTRIES_MAX;
use crate::runtime::COMPONENT_BYTES_MAX;

#[test]
fn a_file_is_offered_once_it_stands_still() {
    let mut bench = Bench::new();
    bench.write("mail.wasm", &component("mail", "1"));
    bench.round();
    assert!(bench.offered().is_none(), "it may still be written");
    bench.settle();
    let candidate = bench.offered().unwrap();
    assert_eq!(
        (candidate.file.as_str(), program(&candidate.unit).descriptor().name.as_str()),
        ("mail.wasm", "mail")
    );
    bench.settle();
    assert!(bench.offered().is_none(), "it was offered already");
}

#[test]
fn a_file_that_grows_is_read_when_it_is_whole() {
    let mut bench = Bench::new();
    let bytes = component("mail", "1");
    let (half, all) = (bytes.len() / 2, bytes.len());
    for end in [1, half, all] {
        bench.write("mail.wasm", &bytes[..end]);
        bench.round();
    }
    assert_eq!(bench.obey(), ["+mail 1"]);
    assert_eq!(bench.codes(), []);
}

#[test]
fn half_a_file_that_stands_still_is_a_problem_until_it_is_whole() {
    let mut bench = Bench::new();
    let bytes = component("mail", "1");
    bench.write("mail.wasm", &bytes[..bytes.len() / 2]);
    assert_eq!(bench.obey(), [""; 0]);
    assert_eq!(bench.codes().len(), 1);
    bench.write("mail.wasm", &bytes);
    assert_eq!(bench.obey(), ["+mail 1"]);
    assert_eq!(bench.codes(), []);
}

#[test]
fn a_file_is_replaced_by_rename_and_deleted() {
    let mut bench = Bench::new();
    bench.write("mail.wasm", &component("mail", "1"));
    assert_eq!(bench.obey(), ["+mail 1"]);
    bench.write(".mail.new", &component("mail", "2"));
    std::fs::rename(bench.path(".mail.new"), bench.path("mail.wasm")).unwrap();
    assert_eq!(bench.obey(), ["+mail 2"]);
    std::fs::remove_file(bench.path("mail.wasm")).unwrap();
    assert_eq!(bench.obey(), ["-mail"]);
    bench.write("mail.wasm", &component("mail", "2"));
    assert_eq!(bench.obey(), ["+mail 2"]);
}

#[test]
fn a_renamed_file_and_one_written_again_are_no_difference() {
    let mut bench = Bench::new();
    bench.write("mail.wasm", &component("mail", "1"));
    assert_eq!(bench.obey(), ["+mail 1"]);
    std::fs::rename(bench.path("mail.wasm"), bench.path("post.wasm")).unwrap();
    assert_eq!(bench.obey(), [""; 0]);
    bench.write("post.wasm", &component("mail", "1"));
    assert_eq!(bench.obey(), [""; 0]);
    assert_eq!(bench.codes(), []);
}

#[test]
fn a_new_name_inside_the_same_file_is_another_processor() {
    let mut bench = Bench::new();
    bench.write("a.wasm", &component("mail", "1"));
    assert_eq!(bench.obey(), ["+mail 1"]);
    bench.write("a.wasm", &component("post", "1"));
    assert_eq!(bench.obey(), ["-mail", "+post 1"]);
}

#[test]
fn a_whole_folder_is_copied_in() {
    let mut bench = Bench::new();
    std::fs::create_dir(bench.path("shop")).unwrap();
    bench.write("shop/mail.wasm", &component("mail", "1"));
    bench.write("shop/stock.wasm", &component("stock", "1"));
    let mut said = bench.obey();
    said.sort();
    assert_eq!(said, ["+mail 1", "+stock 1"]);
    std::fs::remove_dir_all(bench.path("shop")).unwrap();
    assert_eq!(bench.obey(), ["-mail", "-stock"]);
}

#[test]
fn other_files_are_nobodys_business() {
    let mut bench = Bench::new();
    for file in ["README.md", ".hidden.wasm", ".baton-put.tmp", "mail.wasm.part"] {
        bench.write(file, &component("mail", "1"));
    }
    assert_eq!(bench.obey(), [""; 0]);
    assert_eq!(bench.codes(), []);
}

#[test]
fn bad_files_leave_what_runs_running_and_say_why() {
    let mut bench = Bench::new();
    bench.write("mail.wasm", &component("mail", "1"));
    assert_eq!(bench.obey(), ["+mail 1"]);
    let impossible =
        component("mail", r#"1\",\"concurrency\":0,\"description\":\""#.replace('\\', "").as_str());
    let bad: [(&[u8], &str); 5] = [
        (b"", "component-not-wasm"),
        (b"#!/bin/sh", "component-not-wasm"),
        (b"\0asm\x01\0\0\0", "component-core-module"),
        (b"\0asm\x0d\0\x01\0", "descriptor-missing"),
        (&impossible, "descriptor-invalid"),
    ];
    for (bytes, code) in bad {
        bench.write("mail.wasm", bytes);
        assert_eq!(bench.obey(), [""; 0], "{code}");
        assert_eq!(bench.codes(), [problem("mail.wasm", code)]);
    }
    std::fs::remove_file(bench.path("mail.wasm")).unwrap();
    assert_eq!(bench.obey(), ["-mail"]);
    assert_eq!(bench.codes(), []);
}

#[test]
fn a_problem_keeps_its_time_until_it_is_another() {
    let mut bench = Bench::new();
    bench.write("mail.wasm", b"x");
    bench.settle();
    let since = bench.problems.list();
    bench.write("mail.wasm", b"xy");
    bench.settle();
    assert_eq!(bench.problems.list(), since);
    assert_eq!(since[0].since, "2023-11-14T22:13:20.000Z");
}

#[test]
fn of_two_files_with_one_name_the_first_holds_it_until_it_goes() {
    let mut bench = Bench::new();
    bench.write("b.wasm", &component("mail", "1"));
    assert_eq!(bench.obey(), ["+mail 1"]);
    bench.write("a.wasm", &component("mail", "2"));
    assert_eq!(bench.obey(), [""; 0]);
    assert_eq!(bench.codes(), [problem("a.wasm", "name-clash")]);
    std::fs::remove_file(bench.path("b.wasm")).unwrap();
    assert_eq!(bench.obey(), ["+mail 2"]);
    assert_eq!(bench.codes(), []);
}

#[test]
fn bytes_that_were_refused_are_tried_again_only_on_purpose() {
    let mut bench = Bench::new();
    bench.write("mail.wasm", &component("mail", "1"));
    bench.settle();
    bench.offered().unwrap().done(Err(fault("guest-trap")));
    bench.settle();
    assert!(bench.offered().is_none());
    assert_eq!(bench.codes(), [problem("mail.wasm", "guest-trap")]);
    bench.worker.take(crate::registry::worker::Message::Rescan);
    bench.settle();
    let again = bench.offered().unwrap();
    assert_eq!(bench.codes(), [problem("mail.wasm", "guest-trap")], "what is tried again is not mended yet");
    drop(again);
    bench.settle();
    assert_eq!(bench.codes(), [problem("mail.wasm", "deploy-abandoned")], "no answer is a failure");
    bench.write("mail.wasm", &component("mail", "1"));
    assert_eq!(bench.obey(), ["+mail 1"]);
    assert_eq!(bench.codes(), []);
}

#[test]
fn what_changes_while_a_version_is_deployed_comes_after_it() {
    let mut bench = Bench::new();
    bench.write("mail.wasm", &component("mail", "1"));
    bench.settle();
    let first = bench.offered().unwrap();
    bench.write("mail.wasm", &component("mail", "2"));
    bench.settle();
    assert!(bench.offered().is_none(), "one at a time");
    deployed(first);
    assert_eq!(bench.obey(), ["+mail 2"]);
}

#[test]
fn a_huge_file_is_refused_unread() {
    let mut bench = Bench::new();
    let file = std::fs::File::create(bench.path("huge.wasm")).unwrap();
    file.set_len(COMPONENT_BYTES_MAX + 1).unwrap();
    bench.settle();
    assert_eq!(bench.codes(), [problem("huge.wasm", "component-too-large")]);
}

#[test]
fn a_folder_with_too_much_in_it_is_a_problem() {
    let mut bench = Bench::new();
    for index in 0..=ENTRIES_MAX {
        bench.write(&format!("{index}"), b"");
    }
    bench.settle();
    assert_eq!(bench.codes()[0].1, "folder-too-large");
}

#[cfg(unix)]
#[test]
fn links_are_followed_to_files_only() {
    let mut bench = Bench::new();
    let built = bench.dir.path().join("built");
    std::fs::write(&built, component("mail", "1")).unwrap();
    for (to, file) in
        [(built.as_path(), "mail.wasm"), (bench.dir.path(), "dir.wasm"), ("/none".as_ref(), "no.wasm")]
    {
        std::os::unix::fs::symlink(to, bench.path(file)).unwrap();
    }
    assert_eq!(bench.obey(), ["+mail 1"]);
    assert_eq!(
        bench.codes(),
        [problem("dir.wasm", "file-not-regular"), problem("no.wasm", "file-not-regular")]
    );
}

#[test]
fn a_folder_that_vanishes_stops_nothing() {
    let mut bench = Bench::new();
    bench.write("mail.wasm", &component("mail", "1"));
    assert_eq!(bench.obey(), ["+mail 1"]);
    bench.write("half.wasm", b"");
    bench.round();
    let (folder, away) = (bench.path(""), bench.dir.path().join("away"));
    std::fs::rename(&folder, &away).unwrap();
    assert_eq!(bench.obey(), [""; 0]);
    assert_eq!(bench.codes()[0].1, "folder-missing");
    std::fs::remove_file(away.join("half.wasm")).unwrap();
    std::fs::write(away.join("stock.wasm"), component("stock", "1")).unwrap();
    std::fs::rename(&away, &folder).unwrap();
    assert_eq!(bench.obey(), ["+stock 1"]);
    assert_eq!(bench.codes(), []);
}
