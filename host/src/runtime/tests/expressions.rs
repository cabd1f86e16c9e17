//! Expressions, from the call that dispatch makes to the value.

use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::model::workflow::expression::Expression;
use crate::model::workflow::read::{Code, read};
use crate::model::workflow::step::Evaluation;
use crate::runtime::{CallError, Engine, EngineConfig, ExpressionError, Expressions};

/// Compiled once for all tests: unoptimised, the compiler takes seconds.
fn expressions() -> Expressions {
    static EXPRESSIONS: OnceLock<Expressions> = OnceLock::new();
    let compile = || Expressions::new(&Engine::new(EngineConfig::default()).unwrap());
    EXPRESSIONS.get_or_init(compile).clone()
}

fn asked(expression: &str, input: Value) -> Evaluation {
    let variables = json!({"limit": 10}).as_object().unwrap().clone();
    Evaluation { expressions: vec![Expression::loose(expression)], input, variables }
}

#[test]
fn many_are_evaluated_in_their_order_without_a_compiler_of_the_hosts_own() {
    let expressions = expressions();
    let evaluations: Vec<_> = (0..200).map(|n| asked("${ .n + $limit }", json!({ "n": n }))).collect();
    let given = expressions.evaluate(&evaluations).unwrap();
    let expected: Vec<_> = (10..210).map(|n| Ok(vec![json!(n)])).collect();
    assert_eq!(given, expected);
}

#[test]
fn who_is_wrong_is_told_and_the_others_have_their_values() {
    let expressions = expressions();
    let evaluations =
        [asked(".a", json!({"a": 1})), asked(".a | nope", json!({})), asked(".a + 1", json!({"a": "x"}))];
    let given = expressions.evaluate(&evaluations).unwrap();
    let codes: Vec<_> = given.iter().map(|given| given.as_ref().err().map(ExpressionError::code)).collect();
    assert_eq!(codes, [None, Some("expression-syntax"), Some("expression-failed")]);
    let said = given[1].as_ref().unwrap_err().to_string();
    assert_eq!(said, "'.a | nope' is no expression: the function 'nope' at character 6 is not there");
}

#[test]
fn what_never_ends_is_broken_off_in_time_and_the_others_have_their_values() {
    let expressions = expressions();
    let endless = asked("[range(0; infinite)] | length", json!(null));
    let endless_too = asked("def f: f; f", json!(null));
    let sound = asked(".a", json!({"a": 1}));
    expressions.evaluate(std::slice::from_ref(&sound)).unwrap();
    let started = Instant::now();
    let given = expressions.evaluate(&[sound.clone(), endless_too, sound.clone(), endless]).unwrap();
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    let value = Ok(vec![json!(1)]);
    assert_eq!((&given[0], &given[2]), (&value, &value));
    let why = |number: usize| match &given[number] {
        Err(ExpressionError::BrokenOff { why, .. }) => why.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(why(1), CallError::Deadline { ms: 100 });
    let said = given[1].as_ref().unwrap_err().to_string();
    assert_eq!(
        said,
        "'def f: f; f' was broken off: it took more than 100 ms of a CPU; have it do less, or call a processor that does it"
    );
    assert!(matches!(why(3), CallError::Deadline { .. } | CallError::Memory { .. }), "{}", why(3));
}

#[test]
fn who_was_costly_is_evaluated_all_the_same_and_under_the_same_limits() {
    let expressions = expressions().of("costly");
    let endless = asked("def f: f; f", json!(null));
    let sound = asked(".a", json!({"a": 1}));
    for _ in 0..2 {
        let given = expressions.evaluate(&[endless.clone(), sound.clone()]).unwrap();
        assert!(
            matches!(&given[0], Err(ExpressionError::BrokenOff { why: CallError::Deadline { ms: 100 }, .. })),
            "{given:?}"
        );
        assert_eq!(given[1], Ok(vec![json!(1)]));
    }
}

#[test]
fn what_wants_all_memory_or_all_stack_is_broken_off() {
    let expressions = expressions();
    let hungry = asked(r#"last(limit(40; "x" | recurse(. + .))) | length"#, json!(null));
    let deep = asked("def f: [f]; f", json!(null));
    let given = expressions.evaluate(&[hungry, deep]).unwrap();
    let said = given[0].as_ref().unwrap_err().to_string();
    assert!(
        said.ends_with("more than 64 MiB of memory; have it keep less, or call a processor that does it"),
        "{said}"
    );
    for given in given {
        assert_eq!(given.map_err(|error| error.code()), Err("expression-broken-off"));
    }
}

#[test]
fn a_check_compiles_and_evaluates_nothing() {
    let expressions = expressions();
    let checked = expressions.check(&[asked("error", json!(null)), asked("$nobody", json!(null))]).unwrap();
    assert_eq!(checked[0], Ok(()));
    assert_eq!(checked[1].as_ref().map_err(ExpressionError::code), Err("expression-syntax"));
}

#[test]
fn expressions_of_a_definition_that_do_not_compile_are_mistakes_with_a_place() {
    let mut reading = read(
        "document: { dsl: '1.0.3', namespace: test, name: test, version: '1.0.0' }\n\
         do:\n\
         - a: { set: { x: '${ .a + $nobody }', y: '${ $context.n }' } }\n\
         - b: { if: .a |, set: { z: 1 } }\n",
    );
    expressions().complete(&mut reading).unwrap();
    let told: Vec<_> = reading.mistakes.iter().map(|one| (one.code, one.path.as_str())).collect();
    assert_eq!(told, [(Code::Expression, "/do/0/a/set/x"), (Code::Expression, "/do/1/b/if")]);
    assert!(reading.mistakes[0].message.contains("the variable '$nobody' at character 6"), "{reading:?}");
}

#[test]
fn the_examples_of_mediators_are_sound() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/mediators");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<_> = files.filter(|file| file.extension().is_some_and(|end| end == "yaml")).collect();
    assert!(files.len() >= 3, "{files:?}");
    for file in files {
        let mut reading = read(&std::fs::read_to_string(&file).unwrap());
        expressions().complete(&mut reading).unwrap();
        let definition = reading.fine().unwrap_or_else(|wrong| panic!("{}: {wrong:#?}", file.display()));
        assert_eq!(file.file_stem().unwrap().to_str(), Some(definition.document.name.as_str()));
    }
}
