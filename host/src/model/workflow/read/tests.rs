//! Definitions that are read, and definitions that are refused: each mistake with its place and what to do.

use serde_json::json;

use super::super::definition::Definition;
use super::super::task::{Action, Length, TaskRef, Then};
use super::{Code, read};

const HEAD: &str = "document: { dsl: '1.0.3', namespace: test, name: test, version: '1.0.0' }\n";

fn fine(rest: &str) -> Definition {
    read(&format!("{HEAD}{rest}")).fine().unwrap_or_else(|mistakes| panic!("{mistakes:#?}"))
}

/// What is wrong: code, line, column and path of each, and all words.
fn wrong(rest: &str) -> (Vec<(Code, u32, u32, String)>, String) {
    let mistakes = read(&format!("{HEAD}{rest}")).fine().unwrap_err();
    let words = mistakes.iter().map(|one| format!("{one}\n")).collect();
    let told = mistakes.into_iter().map(|one| (one.code, one.spot.line, one.spot.column, one.path));
    (told.collect(), words)
}

#[test]
fn a_definition_is_the_same_from_yaml_from_json_and_after_being_kept() {
    let yaml = fine(
        "do:\n  - pay:\n      call: payment\n      with: { type: order-created, data: '${ .order }' }\n",
    );
    let json = json!({
        "document": {"dsl": "1.0.3", "namespace": "test", "name": "test", "version": "1.0.0"},
        "do": [{"pay": {"call": "payment", "with": {"type": "order-created", "data": "${ .order }"}}}],
    });
    assert_eq!(read(&json.to_string()).fine().unwrap(), yaml);
    let kept = serde_json::to_string(&yaml).unwrap();
    assert_eq!(serde_json::from_str::<Definition>(&kept).unwrap(), yaml);
    assert_eq!(yaml.tasks[0].at.as_str(), "/do/0/pay");
}

#[test]
fn each_kind_of_task_is_read() {
    let definition = fine(
        "schedule: { on: { one: { with: { type: order-placed } } } }\n\
         use:\n  functions:\n    pay: { call: payment, with: { type: order-created } }\n  \
         retries:\n    often: { delay: { seconds: 1 }, backoff: { linear: {} }, limit: { attempt: { count: 3 } } }\n  \
         errors:\n    late: { type: 'https://example.com/late', status: 408 }\n  \
         timeouts:\n    short: { after: PT5S }\n\
         do:\n\
         - a: { set: { x: 1 }, then: b, metadata: { compensate: undo } }\n\
         - undo: { set: { y: 1 } }\n\
         - b: { try: [ { c: { call: pay, timeout: short } } ], catch: { retry: often, as: e, do: [ { d: { raise: { error: late } } } ] } }\n\
         - e: { fork: { compete: true, branches: [ { f: { wait: { minutes: 2 } } }, { g: { wait: '${ .t }' } } ] } }\n\
         - h: { for: { each: line, in: .lines }, while: .go, do: [ { i: { set: { a: '${ $line }' } } } ] }\n\
         - j: { listen: { to: { all: [ { with: { type: a, data: '${ .n > 3 }' }, correlate: { id: { from: .data.id, expect: '${ .id }' } } } ] } } }\n\
         - k: { switch: [ { l: { when: .a, then: exit } }, { m: { then: end } } ] }\n\
         - n: { emit: { event: { with: { type: done, source: 'https://x', data: { a: 1 } } } } }\n",
    );
    assert_eq!(definition.on.as_ref().unwrap().ty, "order-placed");
    assert_eq!(definition.all().len(), 13);
    let task = |at: &str| definition.task(&super::super::task::TaskRef(at.to_owned())).unwrap();
    assert_eq!(task("/do/0/a").then, Then::Task("b".into()));
    assert!(task("/do/1/undo").compensates);
    let Action::Call(call) = &task("/do/2/b/try/0/c").action else { panic!("no call") };
    assert_eq!((call.processor.as_str(), &call.event.ty.0), ("payment", &json!("order-created")));
    assert_eq!(task("/do/2/b/try/0/c").timeout, Some(Length::Ms(5_000)));
    let Action::Try(attempt) = &task("/do/2/b").action else { panic!("no try") };
    assert_eq!(attempt.catch.retry.as_ref().unwrap().count_max, Some(3));
    assert!(matches!(&task("/do/2/b/catch/do/0/d").action, Action::Raise(error) if error.status == 408));
    assert!(matches!(&task("/do/3/e/fork/branches/0/f").action, Action::Wait(Length::Ms(120_000))));
    assert!(matches!(&task("/do/4/h").action, Action::For(each) if each.at == "index"));
}

#[test]
fn all_mistakes_are_told_at_once_in_the_order_of_the_text() {
    let (told, words) = wrong(
        "do:\n\
         - a:\n    call: http\n    with: { method: get }\n\
         - b:\n    set: { x: 1 }\n    thn: end\n\
         - c:\n    run: { shell: { command: ls } }\n\
         - d:\n    set: { x: 1 }\n    then: nowhere\n",
    );
    let paths: Vec<&str> = told.iter().map(|(_, _, _, path)| path.as_str()).collect();
    assert_eq!(paths, ["/do/0/a/call", "/do/1/b/thn", "/do/2/c/run", "/do/3/d"], "{words}");
    assert_eq!((told[0].0, told[0].1, told[0].2), (Code::Unsupported, 4, 11), "{words}");
    assert_eq!((told[1].0, told[1].1, told[1].2), (Code::UnknownKey, 8, 5), "{words}");
    assert_eq!(told[3].0, Code::Reference);
    assert!(words.contains("let a processor do it") && words.contains("known here: if, input"), "{words}");
}

#[test]
fn what_is_not_run_is_refused_by_name_with_what_to_use() {
    let cases = [
        (
            "schedule: { cron: '0 0 * * *' }\ndo: [ { a: { set: { x: 1 } } } ]",
            "/schedule/cron",
            "schedule.on",
        ),
        (
            "schedule: { on: { any: [ { with: { type: a } }, { with: { type: b } } ] } }\ndo: [ { a: { set: { x: 1 } } } ]",
            "/schedule/on",
            "one mediator each",
        ),
        ("use: { secrets: [ x ] }\ndo: [ { a: { set: { x: 1 } } } ]", "/use/secrets", "baton.toml"),
        ("do: [ { a: { call: 'log@1.0.0', with: { type: a } } } ]", "/do/0/a/call", "by its name"),
        (
            "do: [ { a: { listen: { to: { any: [ { with: { type: a } } ], until: .x } } } } ]",
            "/do/0/a/listen/to/until",
            "switch",
        ),
        ("do: [ { a: { listen: { to: { any: [] } } } } ]", "/do/0/a/listen/to/any", "channel"),
        (
            "do: [ { a: { listen: { to: { one: { with: { type: a } } } }, foreach: { do: [] } } } ]",
            "/do/0/a/foreach",
            "then",
        ),
        (
            "input: { schema: { resource: { endpoint: 'http://x' } } }\ndo: [ { a: { set: { x: 1 } } } ]",
            "/input/schema/resource",
            "document",
        ),
        (
            "input: { schema: { document: { pattern: x } } }\ndo: [ { a: { set: { x: 1 } } } ]",
            "/input/schema/document/pattern",
            "not checked",
        ),
        ("evaluate: { language: js }\ndo: [ { a: { set: { x: 1 } } } ]", "/evaluate", "jq"),
    ];
    for (text, path, instead) in cases {
        let (told, words) = wrong(text);
        assert_eq!(told.len(), 1, "{words}");
        assert_eq!((told[0].0, told[0].3.as_str()), (Code::Unsupported, path), "{words}");
        assert!(words.contains(instead), "{words}");
    }
}

#[test]
fn names_that_lead_nowhere_are_told_with_those_that_there_are() {
    let cases = [
        ("do: [ { a: { call: Un_known!, with: { type: a } } } ]", "/do/0/a/call", "use.functions"),
        ("do: [ { a: { set: { x: 1 }, then: b } } ]", "/do/0/a", "no such task"),
        ("do: [ { a: { set: { x: 1 }, metadata: { compensate: b } } } ]", "/do/0/a", "same list"),
        (
            "do: [ { a: { set: { x: 1 }, then: u, metadata: { compensate: u } } }, { u: { set: { x: 1 } } } ]",
            "/do/0/a",
            "only undoes",
        ),
        (
            "do: [ { a: { set: { x: 1 }, metadata: { compensate: a } } }, { b: { set: { x: 1 } } } ]",
            "/do/0/a",
            "what undoes is not undone",
        ),
        (
            "use: { errors: { late: { type: 'a://b', status: 400 } } }\ndo: [ { a: { raise: { error: lat } } } ]",
            "/do/0/a/raise/error",
            "there are: late",
        ),
    ];
    for (text, path, why) in cases {
        let (told, words) = wrong(text);
        assert_eq!(told.len(), 1, "{words}");
        assert_eq!((told[0].0, told[0].3.as_str()), (Code::Reference, path), "{words}");
        assert!(words.contains(why), "{words}");
    }
}

#[test]
fn a_ring_without_a_pause_or_a_condition_is_an_error_and_one_with_it_is_none() {
    let ring = |middle: &str| format!("do:\n- a: {{ set: {{ x: 1 }} }}\n- b: {{ {middle}, then: a }}");
    for endless in [
        "set: { y: 1 }",
        "emit: { event: { with: { type: told } } }",
        "do: [ { c: { if: .x, set: { y: 1 } } }, { d: { set: { y: 1 }, then: exit } } ]",
        "for: { in: .x }, do: [ { c: { switch: [ { d: { when: .x, then: exit } } ] } } ]",
        "switch: [ { c: { then: a } } ]",
        "try: [ { c: { set: { y: 1 } } } ], catch: { as: e }",
    ] {
        let (told, words) = wrong(&ring(endless));
        assert_eq!(told.len(), 1, "{words}");
        assert_eq!((told[0].0, told[0].1, told[0].3.as_str()), (Code::Cycle, 3, "/do/0/a"), "{words}");
        assert!(
            words.contains("a -> b -> a") && words.contains("put a 'wait', 'listen' or 'call'"),
            "{words}"
        );
    }
    for pause in [
        "wait: PT1S",
        "call: x, with: { type: a }",
        "set: { y: 1 }, if: .more",
        "listen: { to: { one: { with: { type: a } } } }",
        "switch: [ { c: { when: .x, then: end } } ]",
        "do: [ { c: { wait: PT1S } } ]",
        "do: [ { c: { if: .x, set: { y: 1 }, then: end } }, { d: { set: { y: 1 } } } ]",
        "do: [ { c: { if: .x, raise: { error: { type: 'a://b', status: 400 } } } } ]",
    ] {
        fine(&ring(pause));
    }
    fine("do: [ { a: { call: x, with: { type: a } } }, { b: { set: { y: 1 }, then: a } } ]");
    let (told, words) = wrong("do: [ { o: { do: [ { a: { set: { x: 1 }, then: a } } ] } } ]");
    assert_eq!((told.len(), told[0].0, told[0].3.as_str()), (1, Code::Cycle, "/do/0/o/do/0/a"), "{words}");
}

#[test]
fn tasks_that_fail_at_once_are_not_tried_again_without_a_pause_or_an_end() {
    let safe = |tried: &str, retry: &str| {
        format!("do:\n- a:\n    try: [ {{ b: {{ {tried} }} }} ]\n    catch: {{ retry: {{ {retry} }} }}")
    };
    let (told, words) = wrong(&safe("set: { x: 1 }", "backoff: { linear: {} }"));
    assert_eq!(
        (told.len(), told[0].0, told[0].1, told[0].3.as_str()),
        (1, Code::Cycle, 4, "/do/0/a"),
        "{words}"
    );
    assert!(words.contains("give the retry a 'delay'"), "{words}");
    fine(&safe("call: x, with: { type: a }", "backoff: { linear: {} }"));
    for retry in [
        "delay: PT1S",
        "jitter: { from: PT0S, to: PT1S }",
        "limit: { attempt: { count: 3 } }",
        "limit: { duration: PT1S }",
        "when: .x",
    ] {
        fine(&safe("set: { x: 1 }", retry));
    }
    let (told, _) = wrong(&safe("set: { x: 1 }", "jitter: { from: PT2S, to: PT1S }"));
    assert_eq!((told.len(), told[0].0, told[0].3.as_str()), (1, Code::Invalid, "/do/0/a/catch/retry/jitter"));
}

#[test]
fn a_branch_of_a_fork_goes_on_to_no_other() {
    let (told, words) = wrong(
        "do:\n- a:\n    fork:\n      branches:\n      - b: { set: { x: 1 }, then: c }\n      - c: { switch: [ { d: { then: b } } ] }\n",
    );
    let places: Vec<_> = told.iter().map(|(code, line, _, path)| (*code, *line, path.as_str())).collect();
    let branches = [6, 7].map(|line| {
        (Code::Reference, line, ["/do/0/a/fork/branches/0/b", "/do/0/a/fork/branches/1/c"][line as usize - 6])
    });
    assert_eq!(places, branches, "{words}");
    assert!(words.contains("a 'do' of one branch"), "{words}");
    fine(
        "do: [ { a: { fork: { branches: [ { b: { set: { x: 1 }, then: end } }, { c: { set: { x: 1 }, then: exit } } ] } } } ]",
    );
}

#[test]
fn an_event_that_is_listened_to_is_linked_by_a_value_that_the_run_expects() {
    let listen = |link: &str| {
        format!(
            "do:\n- a:\n    listen:\n      to:\n        one:\n          with: {{ type: a }}\n          correlate:\n            order: {{ {link} }}\n"
        )
    };
    fine(&listen("from: .data.order, expect: '${ $context.order }'"));
    fine(&listen("from: .data.order, expect: yes"));
    let (told, words) = wrong(&listen("from: .data.order"));
    assert_eq!(told.len(), 1, "{words}");
    assert_eq!(
        (told[0].0, told[0].1, told[0].3.as_str()),
        (Code::Unsupported, 9, "/do/0/a/listen/to/one/correlate/order"),
        "{words}"
    );
    assert!(words.contains("expect: '${ $context.order }'"), "{words}");
    let (told, words) = wrong(
        "schedule: { on: { one: { with: { type: a }, correlate: { b: { from: .c } } } } }\ndo: [ { a: { set: { x: 1 } } } ]",
    );
    assert_eq!((told.len(), told[0].3.as_str()), (1, "/schedule/on/one/correlate"), "{words}");
}

#[test]
fn what_the_host_alone_gives_an_event_is_not_set() {
    for name in ["correlationid", "causationid", "sequence", "recordedtime", "time"] {
        let (told, words) = wrong(&format!("do: [ {{ a: {{ call: x, with: {{ type: a, {name}: b }} }} }} ]"));
        assert_eq!(
            (told.len(), told[0].0, told[0].3.clone()),
            (1, Code::Unsupported, format!("/do/0/a/with/{name}")),
            "{words}"
        );
    }
    fine("do: [ { a: { call: x, with: { type: a, id: i, subject: s, partitionkey: p, mine: m } } } ]");
}

#[test]
fn words_that_old_yaml_takes_for_true_or_false_are_texts() {
    let definition = fine(
        "input: { schema: { document: { required: [ n ] } } }\n\
         do:\n- a: { switch: [ { yes: { when: .y, then: no } } ] }\n- no: { set: { on: off, n: true } }\n",
    );
    assert_eq!(definition.input.schema, Some(json!({"required": ["n"]})));
    let Action::Switch(cases) = &definition.tasks[0].action else { panic!("no switch") };
    assert_eq!((cases[0].name.as_str(), &cases[0].then), ("yes", &Then::Task("no".into())));
    let Action::Set(set) = &definition.tasks[1].action else { panic!("no set") };
    assert_eq!(set.0, json!({"on": "off", "n": true}));
}

#[test]
fn what_a_task_undoes_is_found_for_it_and_all_in_it() {
    let definition = fine(
        "do: [ { pay: { call: x, with: { type: a }, metadata: { compensate: refund } } }, \
         { refund: { do: [ { give: { call: x, with: { type: b } } } ] } }, { rest: { wait: { seconds: 1 } } } ]",
    );
    let undone = |at: &str| definition.undone_by(&TaskRef(at.into())).map(|task| task.name.as_str());
    assert_eq!((undone("/do/1/refund"), undone("/do/1/refund/do/0/give")), (Some("pay"), Some("pay")));
    assert_eq!((undone("/do/0/pay"), undone("/do/2/rest")), (None, None));
}

#[test]
fn what_is_neither_yaml_nor_the_right_kind_of_value_is_told_with_its_line() {
    let broken = read("document: [\n").fine().unwrap_err();
    assert_eq!(broken[0].code, Code::Syntax);
    let twice = read("do: []\ndo: []\n").fine().unwrap_err();
    assert_eq!(twice[0].to_string(), "2:1: duplicate mapping key: do");
    let (told, words) = wrong("do: [ { a: { wait: 5 } }, { b: { set: {} } }, { c: { nothing: 1 } } ]");
    assert_eq!(told.iter().map(|one| one.0).collect::<Vec<_>>(), [Code::Invalid; 3], "{words}");
    assert!(
        words.contains("PT5S") && words.contains("not a number") && words.contains("a task has one of: call"),
        "{words}"
    );
    for (text, path) in [
        ("do: [ { a: { set: { x: 1 }, metadata: 1 } } ]", "/do/0/a/metadata"),
        ("do: [ { a: { set: { x: 1 }, output: { as: [ x ] } } } ]", "/do/0/a/output/as"),
        ("do: [ { a: { call: x, with: { type: a, subject: { b: 1 } } } } ]", "/do/0/a/with/subject"),
        (
            "do: [ { a: { raise: { error: { type: 'a://b', status: 400, title: 1 } } } } ]",
            "/do/0/a/raise/error/title",
        ),
        ("do: [ { a: { raise: { error: { type: bad, status: 400 } } } } ]", "/do/0/a/raise/error/type"),
        (
            "do: [ { a: { try: [ { b: { wait: PT1S } } ], catch: { errors: { with: { status: bad } } } } } ]",
            "/do/0/a/catch/errors/with/status",
        ),
        (
            "do: [ { a: { try: [ { b: { wait: PT1S } } ], catch: { retry: { backoff: { linear: 1 } } } } } ]",
            "/do/0/a/catch/retry/backoff/linear",
        ),
        (
            "do: [ { a: { listen: { to: { one: { with: { type: a }, correlate: { b: { from: .c, expect: 1 } } } } } } } ]",
            "/do/0/a/listen/to/one/correlate/b/expect",
        ),
        ("schedule: {}\ndo: [ { a: { set: { x: 1 } } } ]", "/schedule"),
    ] {
        let (told, words) = wrong(text);
        assert_eq!((told.len(), told[0].0, told[0].3.as_str()), (1, Code::Invalid, path), "{words}");
    }
    let none = read("a: 1\n").fine().unwrap_err();
    assert!(none.iter().any(|one| one.message == "'do' is missing"), "{none:?}");
    let old = read(
        "document: { dsl: '0.8.0', namespace: a, name: A, version: x }\ndo: [ { a: { set: { x: 1 } } } ]",
    );
    let words: String = old.fine().unwrap_err().iter().map(|one| format!("{one}\n")).collect();
    assert!(
        words.contains("1.0.3") && words.contains("'A' is no name") && words.contains("'x' is no version"),
        "{words}"
    );
}

#[test]
fn mistakes_of_expressions_are_told_at_their_places() {
    let mut reading = read(&format!("{HEAD}do:\n- a:\n    if: .x ==\n    set: {{ y: '${{ $index }}' }}\n"));
    assert!(reading.mistakes.is_empty());
    reading.compile(|expressions, variables| {
        assert!(variables.contains(&"context".to_owned()));
        expressions.iter().map(|one| one.as_str().ends_with("==").then(|| "unfinished".to_owned())).collect()
    });
    let mistakes = reading.fine().unwrap_err();
    assert_eq!(mistakes.len(), 1);
    assert_eq!(
        (mistakes[0].code, mistakes[0].spot.line, mistakes[0].path.as_str()),
        (Code::Expression, 4, "/do/0/a/if")
    );
}

#[test]
fn a_definition_has_a_most_of_bytes_and_of_tasks() {
    let long = format!("{HEAD}#{}\n", "x".repeat(super::DEFINITION_BYTES_MAX));
    assert!(read(&long).fine().unwrap_err()[0].message.contains("bytes"));
    let tasks: String = (0..=super::TASKS_MAX).map(|n| format!("- t{n}: {{ set: {{ x: 1 }} }}\n")).collect();
    assert!(wrong(&format!("do:\n{tasks}")).1.contains("1001 tasks"));
}

#[test]
fn a_definition_is_nested_as_deep_as_a_stack_allows_and_no_deeper() {
    let nested = |count: usize| {
        format!(
            "do: {}[ {{ a: {{ set: {{ x: 1 }} }} }} ]{}",
            "[ { a: { do: ".repeat(count),
            " } } ]".repeat(count)
        )
    };
    assert_eq!(fine(&nested(14)).all().len(), 15);
    for count in [16, 30, 100, 1_000] {
        let mistakes = read(&format!("{HEAD}{}", nested(count))).fine().unwrap_err();
        assert_eq!((mistakes.len(), mistakes[0].spot.line), (1, 2), "{mistakes:?}");
        assert!(mistakes[0].message.contains("48 deep"), "{mistakes:?}");
    }
}

#[test]
fn a_task_that_cannot_be_read_is_no_missing_name_beside_that() {
    let (told, words) = wrong(
        "do:\n- a: { set: { x: 1 }, then: c, metadata: { compensate: b } }\n- b: { run: { shell: { command: ls } } }\n- c: { call: http, with: { method: get } }\n",
    );
    let paths: Vec<&str> = told.iter().map(|(_, _, _, path)| path.as_str()).collect();
    assert_eq!(paths, ["/do/1/b/run", "/do/2/c/call"], "{words}");
}
