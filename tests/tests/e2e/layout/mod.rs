//! The shape of the source as a test: who imports whom, where each foreign library is named, and the house's numbers.
//!
//! DESIGN section 4 is the reason. A new edge fails here first; then either the code moves or a table below gains a line,
//! with a reason in ARCHITECTURE.md.

mod check;
mod source;

use std::path::{Path, PathBuf};

use check::Rules;
use source::Tree;

/// Everybody may import these: words, time and counters.
const COMMON: &[&str] = &["model", "clock", "meter"];

/// What else each module imports. What is not written is forbidden.
const ARROWS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("clock", &[]),
    ("meter", &[]),
    ("config", &[]),
    ("telemetry", &[]),
    ("access", &[]),
    ("fuzz", &["journal"]),
    ("journal", &[]),
    ("view", &["journal"]),
    ("channel", &["journal", "view"]),
    ("runtime", &[]),
    ("registry", &["runtime"]),
    ("mediator", &["view"]),
    ("dispatch", &["channel", "journal", "mediator", "registry", "runtime", "view"]),
    ("flows", &["channel", "journal", "mediator", "view"]),
    ("spans", &["channel", "journal", "telemetry", "view"]),
    (
        "node",
        &[
            "access",
            "channel",
            "config",
            "dispatch",
            "flows",
            "journal",
            "mediator",
            "registry",
            "runtime",
            "spans",
            "telemetry",
            "view",
        ],
    ),
    ("api", &["access", "config", "node"]),
    ("testkit", &["config", "dispatch", "node", "runtime"]),
    ("bench", &["access", "channel", "dispatch", "journal", "mediator", "runtime"]),
    ("prove", &["access", "channel", "config", "dispatch", "journal", "node", "runtime", "view"]),
    (
        "cli",
        &[
            "access",
            "api",
            "bench",
            "config",
            "journal",
            "node",
            "prove",
            "registry",
            "runtime",
            "telemetry",
            "testkit",
        ],
    ),
];

/// The one place that names each foreign library: a folder, or a file.
const FOREIGN: &[(&str, &[&str])] = &[
    ("wasmtime", &["runtime"]),
    ("wasmtime_wasi", &["runtime"]),
    ("wasmparser", &["runtime"]),
    ("wat", &["prove/zoo/bytes.rs"]),
    ("rustix", &["journal/storage/files.rs", "runtime/compiler", "runtime/cpu.rs"]),
    ("thread_priority", &["runtime/cpu.rs"]),
    ("serde_path_to_error", &["model/descriptor.rs"]),
    ("rusqlite", &["view/store"]),
    ("axum", &["api"]),
    ("tower_http", &["api"]),
    ("async_nats", &["bench/jetstream"]),
    ("futures_util", &["api", "bench/jetstream"]),
    ("hyper", &["api"]),
    ("hyper_util", &["api"]),
    ("schemars", &["model", "config", "api/openapi"]),
    ("notify", &["registry/watcher.rs"]),
    ("annotate_snippets", &["config"]),
    ("bytesize", &["config/unit.rs", "model/retention.rs"]),
    ("strsim", &["config"]),
    ("clap", &["cli"]),
    ("indicatif", &["cli", "bench/mod.rs"]),
    ("serde_saphyr", &["testkit/scenario/format.rs", "model/workflow/read/document.rs"]),
    ("ureq", &["cli", "dispatch/outside.rs", "bench/host.rs", "prove/host.rs", "telemetry/otlp.rs"]),
    ("siphasher", &["channel/print.rs"]),
    ("opentelemetry", &["telemetry/otlp.rs"]),
    ("opentelemetry_http", &["telemetry/otlp.rs"]),
    ("opentelemetry_otlp", &["telemetry/otlp.rs"]),
    ("opentelemetry_sdk", &["telemetry/otlp.rs"]),
    ("prometheus_client", &["telemetry"]),
    ("tracing_subscriber", &["telemetry/log.rs"]),
];

/// Names of the standard library that one place alone may say, because all others would hide time in them: the system's clock (a
/// file's own time is no clock), and sleeping (the engine's ticks; the pause when the system has no more sockets; clients ask again now and then; a benchmark samples).
const STANDARD: &[(&str, &[&str])] = &[
    ("SystemTime", &["clock.rs", "registry/file.rs", "telemetry/otlp.rs"]),
    (
        "sleep",
        &["runtime/engine.rs", "api/server.rs", "cli", "bench", "prove/host.rs", "prove/relay", "prove/swap"],
    ),
];

const RULES: Rules = Rules { common: COMMON, arrows: ARROWS, foreign: FOREIGN, standard: STANDARD };

fn host_source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/src")
}

fn assert_none(complaints: &[String]) {
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
}

#[test]
fn imports_point_one_way() {
    assert_none(&check::imports(&Tree::read(&host_source()), &RULES));
}

#[test]
fn each_foreign_library_is_named_in_one_place() {
    assert_none(&check::foreign(&Tree::read(&host_source()), &RULES));
}

#[test]
fn the_house_keeps_its_numbers() {
    assert_none(&check::numbers(&Tree::read(&host_source())));
}

fn made_up(files: &[(&str, &str)]) -> Tree {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    Tree::read(folder.path())
}

#[test]
fn a_new_edge_is_found_in_every_spelling() {
    let spellings = [
        "use crate::api::Api;",
        "use crate::{model::Name, api::{Api, Other}};",
        "use super::api;",
        "fn f() { crate::api::serve() }",
        "fn f() { println!(\"{}\", crate::api::NAME); }",
        "mod inner { use super::super::api::Api; }",
    ];
    for spelling in spellings {
        let text = format!("//! Words.\n{spelling}\n");
        let tree = made_up(&[
            ("lib.rs", "//! x\nmod journal;\nmod api;"),
            ("journal.rs", &text),
            ("api.rs", "//! x"),
        ]);
        let found = check::imports(&tree, &RULES);
        assert_eq!(found.len(), 1, "{spelling}: {found:?}");
        assert!(found[0].starts_with("journal.rs:2: `journal` imports `api`"), "{found:?}");
    }
}

#[test]
fn tests_are_free_and_a_module_without_a_row_is_not() {
    let tree = made_up(&[
        ("lib.rs", "//! x\nmod journal;\nmod stray;"),
        ("journal.rs", "//! x\n#[cfg(test)]\nmod tests;\n#[cfg(test)]\nmod more { use crate::api::A; }"),
        ("journal/tests.rs", "//! x\nuse crate::api::A;"),
        ("stray.rs", "//! x\n"),
        ("unreachable.rs", "//! x\n"),
    ]);
    let found = check::imports(&tree, &RULES);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].contains("`stray` has no row"), "{found:?}");
    assert!(found[1].contains("unreachable.rs: no `mod` leads here"), "{found:?}");
}

#[test]
fn a_library_away_from_home_is_found() {
    let text = "//! x\nuse rusqlite::Connection;\nfn now() { std::time::SystemTime::now(); }\n#[derive(clap::Args)] struct S;";
    let tree = made_up(&[("lib.rs", "//! x\nmod model;"), ("model.rs", text)]);
    let found = check::foreign(&tree, &RULES);
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found[0].starts_with("model.rs:2: `rusqlite` is named outside view/store"), "{found:?}");
}

#[test]
fn long_functions_missing_docs_and_loose_ends_are_found() {
    let long = format!("fn long() {{\n{}}}\n", "    work();\n".repeat(70));
    let loose = concat!("//! x\n// TO", "DO later\n");
    let tree = made_up(&[("lib.rs", "//! x\nmod a;\nmod b;"), ("a.rs", &long), ("b.rs", loose)]);
    let found = check::numbers(&tree);
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found[0].starts_with("a.rs: begins without `//!`"), "{found:?}");
    assert!(found[1].starts_with("a.rs:1: `long` has 72 lines"), "{found:?}");
    assert!(found[2].starts_with("b.rs:2: a loose end"), "{found:?}");
}
