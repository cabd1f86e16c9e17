//! What the conformance scenarios of the Serverless Workflow DSL ask that need no network (<https://github.com/serverlessworkflow/specification/tree/main/ctk>,
//! by their titles), on a host: each is a workflow, an input, and the end that its run has to come to.

use std::collections::BTreeMap;

use baton_tests::host::Host;
use baton_tests::http::event;
use baton_tests::wait::eventually;
use serde_json::{Value, json};

use crate::shop;

struct Scenario {
    /// Its title there; the last word of one of our own says so.
    title: &'static str,
    /// The tasks under `do`.
    tasks: &'static str,
    input: Value,
    end: End,
    /// The tasks that were begun, in their order; none, if it may be any.
    order: &'static [&'static str],
}

/// How a run has to end.
enum End {
    Completed(Value),
    /// With a list of so many under a name.
    OneOf(&'static str, usize),
    /// With an event that has these members among others.
    Event(Value),
    Faulted(Value),
}

const SHELF: &str = "
  - novel: { set: { shelf: '${ .shelf + [\"novel\"] }' } }
  - poem: { set: { shelf: '${ .shelf + [\"poem\"] }' } }
  - play: { set: { shelf: '${ .shelf + [\"play\"] }' } }
";
const INSIDE: &str = "
  - all:
      do:
        - novel: { set: { shelf: '${ .shelf + [\"novel\"] }' } }
        - poem: { set: { shelf: '${ .shelf + [\"poem\"] }' } }
        - play: { set: { shelf: '${ .shelf + [\"play\"] }' } }
";
const JUMPS: &str = "
  - novel: { set: { shelf: '${ .shelf + [\"novel\"] }' }, then: poem }
  - play: { set: { shelf: '${ .shelf + [\"play\"] }' }, then: end }
  - poem: { set: { shelf: '${ .shelf + [\"poem\"] }' }, then: play }
";
const RACE: &str = "
  - race:
      fork:
        compete: true
        branches:
          - novel: { set: { shelf: '${ .shelf + [\"novel\"] }' } }
          - poem: { set: { shelf: '${ .shelf + [\"poem\"] }' } }
          - play: { set: { shelf: '${ .shelf + [\"play\"] }' } }
";
const LOOP: &str = "
  - read:
      for: { each: book, in: .books }
      do:
        - note: { set: { read: '${ { books: (.read.books + [$book]), at: (.read.at + [$index]) } }' } }
";
const SORT: &str = "
  - sort:
      switch:
        - novel: { when: .kind == \"novel\", then: novel }
        - poem: { when: .kind == \"poem\", then: poem }
  - novel: { set: { shelf: '${ .shelf + [\"novel\"] }' }, then: end }
  - poem: { set: { shelf: '${ .shelf + [\"poem\"] }' }, then: end }
";
const SORT_OR_END: &str = "
  - sort:
      switch:
        - novel: { when: .kind == \"novel\", then: novel }
      then: end
  - novel: { set: { shelf: '${ .shelf + [\"novel\"] }' } }
";
const SORT_ALL: &str = "
  - sort:
      switch:
        - novel: { when: .kind == \"novel\", then: novel }
        - rest: { then: other }
  - novel: { set: { shelf: '${ .shelf + [\"novel\"] }' } }
  - other: { set: { shelf: '${ .shelf + [$input.kind] }' } }
";
const HANDLED: &str = "
  - attempt:
      try:
        - refuse: { raise: { error: { type: 'https://bookshop.example/errors/no-such-book', status: 404 } } }
      catch:
        errors: { with: { status: 404 } }
        as: missing
        do:
          - note: { set: { missed: '${ { status: $missing.status, at: $missing.instance } }' } }
";

const HANDLED_OTHERWISE: &str = "
  - attempt:
      try:
        - refuse: { raise: { error: { type: 'https://bookshop.example/errors/no-such-book', status: 404 } } }
      catch:
        errors: { with: { status: 503 } }
";

fn scenario(
    title: &'static str,
    tasks: &'static str,
    input: Value,
    end: End,
    order: &'static [&'static str],
) -> Scenario {
    Scenario { title, tasks, input, end, order }
}

fn shelf(books: &[&str]) -> End {
    End::Completed(json!({"shelf": books}))
}

fn scenarios() -> Vec<Scenario> {
    [of_data(), of_order(), of_errors()].into_iter().flatten().collect()
}

/// What becomes of data.
fn of_data() -> Vec<Scenario> {
    vec![
        scenario(
            "Input Filtering",
            "\n  - who: { input: { from: .order.customer.id }, set: { customer: '${ . }' } }\n",
            json!({"order": {"customer": {"id": "c-17"}}}),
            End::Completed(json!({"customer": "c-17"})),
            &["who"],
        ),
        scenario(
            "Output Filtering, without a call",
            "\n  - who: { set: { order: '${ .order }' }, output: { as: .order.customer.id } }\n",
            json!({"order": {"customer": {"id": "c-17"}}}),
            End::Completed(json!("c-17")),
            &["who"],
        ),
        scenario(
            "Use Non-object Output, without a call",
            "\n  - one: { set: { id: 1 }, output: { as: .id } }\n  - two: { set: { id: 2 }, output: { as: '{ ids: [$input, .id] }' } }\n",
            json!({}),
            End::Completed(json!({"ids": [1, 2]})),
            &["one", "two"],
        ),
        scenario(
            "Emit Task",
            "\n  - greet: { emit: { event: { with: { source: 'https://bookshop.example/desk', type: customer.greeted.v1, data: { words: '${ \"Good day, \\(.name)\" }' } } } } }\n",
            json!({"name": "Ada"}),
            End::Event(json!({
                "source": "https://bookshop.example/desk", "type": "customer.greeted.v1", "data": {"words": "Good day, Ada"},
            })),
            &["greet"],
        ),
        scenario(
            "Set Task",
            "\n  - describe: { set: { kind: novel, size: '${ .book.size }', cover: '${ .book.cover }' } }\n",
            json!({"book": {"size": {"pages": 635}, "cover": {"red": 69, "green": 69}}}),
            End::Completed(
                json!({"kind": "novel", "size": {"pages": 635}, "cover": {"red": 69, "green": 69}}),
            ),
            &["describe"],
        ),
    ]
}

/// Which tasks run, and in which order.
fn of_order() -> Vec<Scenario> {
    vec![
        scenario(
            "Fork Task With Competing Concurrent Sub Tasks",
            RACE,
            json!({}),
            End::OneOf("shelf", 1),
            &[],
        ),
        scenario(
            "Task With Sequential Sub Tasks",
            INSIDE,
            json!({}),
            shelf(&["novel", "poem", "play"]),
            &["all", "novel", "poem", "play"],
        ),
        scenario(
            "Implicit Sequence Flow",
            SHELF,
            json!({}),
            shelf(&["novel", "poem", "play"]),
            &["novel", "poem", "play"],
        ),
        scenario(
            "Explicit Sequence Flow",
            JUMPS,
            json!({}),
            shelf(&["novel", "poem", "play"]),
            &["novel", "poem", "play"],
        ),
        scenario(
            "For Task",
            LOOP,
            json!({"books": ["dracula", "middlemarch", "ulysses"]}),
            End::Completed(
                json!({"read": {"books": ["dracula", "middlemarch", "ulysses"], "at": [0, 1, 2]}}),
            ),
            &["read", "note", "note", "note"],
        ),
        scenario(
            "Switch task with matching case",
            SORT,
            json!({"kind": "poem"}),
            shelf(&["poem"]),
            &["sort", "poem"],
        ),
        scenario(
            "Switch task with implicit default case",
            SORT_OR_END,
            json!({"kind": "map"}),
            End::Completed(json!({"kind": "map"})),
            &["sort"],
        ),
        scenario(
            "Switch task with explicit default case",
            SORT_ALL,
            json!({"kind": "map"}),
            shelf(&["map"]),
            &["sort", "other"],
        ),
    ]
}

/// What fails.
fn of_errors() -> Vec<Scenario> {
    vec![
        scenario(
            "Raise task with inline error",
            "\n  - refuse: { raise: { error: { type: 'https://bookshop.example/errors/refused', status: 400, title: Refused } } }\n",
            json!({}),
            End::Faulted(json!({
                "type": "https://bookshop.example/errors/refused", "status": 400, "title": "Refused", "instance": "/do/0/refuse",
            })),
            &["refuse"],
        ),
        scenario(
            "Try Handle Caught Error, without a call",
            HANDLED,
            json!({}),
            End::Completed(json!({"missed": {"status": 404, "at": "/do/0/attempt/try/0/refuse"}})),
            &["attempt", "refuse", "note"],
        ),
        scenario(
            "Try Handle Uncaught Error, without a call",
            HANDLED_OTHERWISE,
            json!({}),
            End::Faulted(json!({"type": "https://bookshop.example/errors/no-such-book", "status": 404})),
            &["attempt", "refuse"],
        ),
    ]
}

fn start(host: &Host, number: usize, scenario: &Scenario) -> String {
    let name = format!("scenario-{number}");
    let definition = format!(
        "document: {{ dsl: '1.0.3', namespace: conformance, name: {name}, version: '1.0.0' }}\n\
         schedule: {{ on: {{ one: {{ with: {{ type: begin-{number} }} }} }} }}\ndo:{}",
        scenario.tasks
    );
    let headers = [("content-type", "application/yaml")];
    let deployed =
        host.ask("PUT", &format!("/v1/workflows/{name}"), &headers, definition.into_bytes()).unwrap();
    assert!([200, 201].contains(&deployed.status), "{}: {}", scenario.title, deployed.text);
    let channel = format!("begin-{number}");
    let accepted = host.publish(&channel, "", &event("1", &channel, "1", scenario.input.clone())).expect(202);
    format!("{name}-{}", accepted["events"][0]["position"])
}

/// A run, once it has stopped.
fn stopped(host: &Host, run: &str) -> Value {
    eventually(&format!("{run} stops"), || {
        let shown = host.get(&format!("/v1/runs/{run}"));
        let run = (shown.status == 200).then(|| shown.expect(200))?;
        ["completed", "faulted"].contains(&run["status"].as_str()?).then_some(run)
    })
}

fn has_all(found: &Value, members: &Value) -> bool {
    members.as_object().unwrap().iter().all(|(name, value)| found[name] == *value)
}

fn wrong(scenario: &Scenario, run: &Value) -> Option<String> {
    let output = &run["output"];
    let is_right = match &scenario.end {
        End::Completed(expected) => run["status"] == "completed" && output == expected,
        End::OneOf(name, count) => {
            run["status"] == "completed" && output[name].as_array().is_some_and(|all| all.len() == *count)
        }
        End::Event(members) => {
            let envelope = ["id", "specversion", "time"].iter().all(|name| output[name].is_string());
            run["status"] == "completed" && envelope && has_all(output, members)
        }
        End::Faulted(error) => run["status"] == "faulted" && has_all(&run["error"], error),
    };
    let begun: Vec<&str> = run["history"]
        .as_array()?
        .iter()
        .filter(|note| note["what"] == "began")
        .filter_map(|note| note["task"].as_str()?.rsplit('/').next().filter(|name| !name.is_empty()))
        .collect();
    let is_in_order = scenario.order.is_empty() || begun == scenario.order;
    (!is_right || !is_in_order).then(|| format!("begun {begun:?}; {run}"))
}

#[test]
fn the_scenarios_of_the_dsl_come_to_their_ends() {
    let shop = shop();
    let host = shop.start();
    let scenarios = scenarios();
    let runs = scenarios.iter().enumerate().map(|(number, scenario)| start(&host, number, scenario));
    let runs: Vec<String> = runs.collect();
    let wrongs = scenarios
        .iter()
        .zip(&runs)
        .filter_map(|(scenario, run)| Some((scenario.title, wrong(scenario, &stopped(&host, run))?)));
    assert_eq!(wrongs.collect::<BTreeMap<_, _>>(), BTreeMap::new());
}
