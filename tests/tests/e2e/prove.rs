//! The proofs that anyone can run, at a size that a test can wait for.

use serde_json::Value;

use crate::shop;

/// Runs a proof, which has to succeed.
fn prove(args: &[&str]) -> Value {
    let ran = shop().run(&[&["--json", "prove"], args].concat());
    assert_eq!(ran.status.code(), Some(0), "{}", String::from_utf8_lossy(&ran.stderr));
    serde_json::from_slice(&ran.stdout).unwrap()
}

fn figure(proof: &Value, what: &str) -> f64 {
    let rows = proof["rows"].as_array().unwrap();
    rows.iter().find(|row| row["what"] == what).unwrap()["figure"].as_f64().unwrap()
}

#[test]
fn power_cuts_lose_nothing_and_the_control_does() {
    let proof = prove(&["crash", "--images", "10", "--rounds", "2", "--seed", "7"]);
    assert_eq!((&proof["passed"], &proof["seed"]), (&Value::from(true), &Value::from(7)));
    assert_eq!(figure(&proof, "acknowledged and lost"), 0.0);
    assert!(figure(&proof, "lost with durability = \"os\" (control)") > 0.0);
}

#[test]
fn swaps_and_kills_lose_double_and_turn_round_nothing() {
    let proof = prove(&["swap", "--swaps", "4", "--kills", "2", "--seed", "7"]);
    let figure = |what: &str| figure(&proof, what);
    assert_eq!((&proof["passed"], &proof["seed"]), (&Value::from(true), &Value::from(7)));
    assert_eq!(
        (figure("swaps"), figure("kills (SIGKILL)"), figure("acknowledged and lost")),
        (4.0, 2.0, 0.0)
    );
    assert!(figure("events acknowledged") > 0.0);
    assert!(figure("versions that passed events on") > 1.0, "versions say which they are");
}

#[test]
fn a_relay_whose_host_is_killed_adds_up() {
    let proof = prove(&["relay", "--orders", "300", "--kills", "2", "--seed", "7"]);
    let figure = |what: &str| figure(&proof, what);
    assert_eq!((&proof["passed"], figure("kills (SIGKILL)")), (&Value::from(true), 2.0));
    assert!(figure("orders acknowledged") >= 300.0);
    assert_eq!(
        (figure("events of the relay that are missing"), figure("mails too few or too many")),
        (0.0, 0.0)
    );
}
