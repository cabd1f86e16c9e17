//! The proof at a size that a test can wait for.
#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;

fn figure(proof: &Proof, what: &str) -> f64 {
    let row = proof.rows.iter().find(|row| row.what.contains(what));
    row.unwrap_or_else(|| panic!("no row '{what}': {proof}")).figure.unwrap()
}

#[test]
fn power_cuts_take_nothing_that_was_acknowledged_and_every_planted_bug_is_found() {
    let proof = crash(&CrashOptions { images: 40, rounds: 8, seed: 7 }).unwrap();
    assert!(proof.passed, "{proof}");
    assert_eq!((figure(&proof, "acknowledged and lost"), figure(&proof, "of a host")), (0.0, 40.0));
    assert!(figure(&proof, "control") > 0.0, "{proof}");
    for planted in Planted::ALL {
        assert!(figure(&proof, planted.name()) > 0.0, "{proof}");
    }
}

#[test]
fn each_planted_bug_is_found_for_what_it_is() {
    let kinds = [
        (Planted::SkippedSync, Kind::Lost),
        (Planted::AnswerBeforeCommit, Kind::Lost),
        (Planted::PositionWithoutOutputs, Kind::Apart),
        (Planted::SwallowedError, Kind::Unopened),
        (Planted::DedupeForgotten, Kind::NotOnce),
        (Planted::StaleVersion, Kind::Retired),
    ];
    for (planted, kind) in kinds {
        let story = Story::tell(3, ROUNDS, planted.setting(), Some(planted)).unwrap();
        let (_, wrong) = found_after(&story, 3).unwrap();
        assert_eq!(wrong.kind, kind, "{planted:?}: {}", wrong.what);
    }
}

#[test]
fn what_was_acknowledged_outlives_a_disk_that_fails() {
    let failing = failing::run(4, 11);
    assert_eq!((failing.hosts, &failing.wrongs.told), (12, &Vec::new()));
    assert!(failing.calls >= 8, "{} calls failed", failing.calls);
}

#[test]
fn a_damaged_file_is_refused_or_changes_no_answer() {
    let rot = rot::run(2, 5).unwrap();
    assert!(rot.wrongs.told.is_empty(), "{:?}", rot.wrongs);
    assert!(rot.files > 12 && rot.refused > 10, "{} files, {} refused", rot.files, rot.refused);
    assert_eq!(rot.checkpoints, 2, "the oldest segments are gone, and checkpoints stand for them");
    assert!(rot.refused < rot.damaged, "whatever can be built again is not refused");
}
