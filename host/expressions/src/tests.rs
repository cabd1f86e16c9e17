use baton_sdk::testing::{TestKit, event};
use serde_json::{Value, json};

use crate::evaluate_processor;

fn ask(asked: &Value) -> Value {
    let mut kit = TestKit::new(evaluate_processor());
    kit.deliver(event("evaluations").json(asked)).reply::<Value>().unwrap()
}

fn value(expression: &str, input: Value) -> Value {
    let answer = ask(&json!({"expressions": [expression], "input": input, "variables": {"limit": 10}}));
    answer["values"][0].clone()
}

fn wrong(expression: &str) -> (bool, String) {
    let answer = ask(&json!({"expressions": [expression], "input": {}}));
    let wrong = &answer["wrong"];
    (wrong["syntax"].as_bool().unwrap(), wrong["why"].as_str().unwrap().to_owned())
}

#[test]
fn expressions_see_their_input_and_their_variables() {
    assert_eq!(value(".total > $limit", json!({"total": 12})), json!(true));
    assert_eq!(value("[.items[] | select(.n > 1) | .n]", json!({"items": [{"n": 1}, {"n": 2}]})), json!([2]));
    assert_eq!(value(r#""to \(.name | ascii_upcase)""#, json!({"name": "bram"})), json!("to BRAM"));
    assert_eq!(value(".", json!(null)), json!(null));
}

#[test]
fn several_are_answered_in_their_order_and_on_one_input() {
    let answer = ask(&json!({"expressions": [".a", ".b + 1"], "input": {"a": "x", "b": 2}}));
    assert_eq!(answer, json!({"values": ["x", 3]}));
}

#[test]
fn numbers_are_written_as_jq_writes_them() {
    let cases = [
        ("6 / 2", json!(3)),
        ("1 / 4", json!(0.25)),
        ("nan", json!(null)),
        (".", json!(9_007_199_254_740_993_u64)),
    ];
    for (expression, expected) in cases {
        assert_eq!(value(expression, json!(9_007_199_254_740_993_u64)), expected, "{expression}");
    }
    assert_eq!(value("3000000000 * 2", json!(null)), json!(6_000_000_000_u64));
}

#[test]
fn an_expression_gives_one_value() {
    assert!(wrong("empty").1.contains("no value"));
    assert!(wrong("1, 2").1.contains("more than one"));
    assert!(wrong(r#"{"a": ("x" | tobytes)}"#).1.contains("bytes"));
}

#[test]
fn what_does_not_compile_says_where_and_what_fails_says_why() {
    let (syntax, why) = wrong(".a + (.b");
    assert!(syntax && why.contains("closing parenthesis is expected at"), "{why}");
    assert_eq!(wrong(".a | nope"), (true, "the function 'nope' at character 6 is not there".to_owned()));
    assert_eq!(wrong("$order.id"), (true, "the variable '$order' at character 1 is not there".to_owned()));
    let (syntax, why) = wrong(r#""a" - 1"#);
    assert!(!syntax && why.contains("cannot"), "{why}");
    assert_eq!(wrong(r#"error("sold out")"#), (false, "sold out".to_owned()));
}

#[test]
fn there_is_no_environment_no_clock_no_file_and_no_other_input() {
    for expression in ["env", "now", "input", "inputs", "$ENV", "halt", "debug", "stderr", "localtime"] {
        assert!(wrong(expression).0, "{expression}");
    }
    for expression in [r#"import "secrets" as s; ."#, r#"include "secrets"; ."#, r#"import "a" as $a; $a"#] {
        assert!(wrong(expression).0, "{expression}: {:?}", wrong(expression));
    }
    assert_eq!(wrong(".a | now").1, "the function 'now' at character 6 is not offered to workflows");
}

#[test]
fn on_demand_they_are_compiled_and_nothing_else() {
    assert_eq!(ask(&json!({"expressions": ["error", ".a"], "compile_only": true})), json!({"values": []}));
    assert_eq!(ask(&json!({"expressions": [".a", "nope"], "compile_only": true}))["wrong"]["expression"], 1);
}
