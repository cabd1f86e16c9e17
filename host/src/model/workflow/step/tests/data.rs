//! What goes into tasks and comes out of them, and expressions that fail in each place.

use serde_json::json;

use super::super::super::run::Status;
use super::*;

#[test]
fn input_output_and_context_are_made_in_turn() {
    let text = "input: { from: .order }\noutput: { as: '. + {\"out\": 1}' }\ndo:\n\
                - a:\n    input: { from: .card }\n    call: x\n    with: { type: a, data: { in: '${ . }', raw: '${ $task.input }', context: '${ $context }', name: '${ $task.name }' } }\n    output: { as: .sum }\n    export: { as: { sum: '${ . }', raw: '${ $task.output }', input: '${ $input }' } }\n\
                - b: { set: { given: '${ . }', context: '${ $context }', run: '${ $workflow.id }', began: '${ $workflow.input.order.n }' } }";
    let mut case = Case::start(text, json!({"order": {"card": "c", "n": 5}}));
    let order = json!({"card": "c", "n": 5});
    assert_eq!(case.data("a"), json!({"in": "c", "raw": order, "context": order, "name": "a"}));
    case.done("a", json!({"sum": 7}));
    let context = json!({"sum": 7, "raw": {"sum": 7}, "input": "c"});
    case.gave(json!({"given": 7, "context": context, "run": "run", "began": 5, "out": 1}));
}

#[test]
fn data_that_does_not_match_its_schema_fails_the_task_before_it_does_anything() {
    let schema = "{ schema: { document: { type: object, required: [ sum ] } } }";
    let case = Case::start(&format!("- pay: {{ input: {schema}, call: x, with: {{ type: a }} }}"), json!({}));
    assert_eq!((case.failures(), case.told()), (vec!["pay"], Vec::new()));
    assert!(case.why().ty.ends_with("/validation") && case.why().status == 400, "{:?}", case.why());
    let case = Case::start(
        &format!(
            "use: {{ functions: {{ pay: {{ call: x, with: {{ type: a }}, input: {schema} }} }} }}\ndo: [ {{ a: {{ call: pay }} }} ]"
        ),
        json!({}),
    );
    assert_eq!((case.failures(), case.told()), (vec!["a"], Vec::new()));
    let case = Case::start(&format!("- a: {{ set: {{ x: 1 }}, output: {schema} }}"), json!({}));
    assert_eq!(case.failures(), ["a"]);
    let case = Case::start(&format!("- a: {{ set: {{ x: 1 }}, export: {schema} }}"), json!({}));
    assert_eq!(case.failures(), ["a"]);
}

#[test]
fn an_expression_that_fails_before_a_task_does_anything_fails_the_task() {
    for task in [
        "if: error, set: { x: 1 }",
        "input: { from: error }, call: x, with: { type: a }",
        "timeout: { after: '${ error }' }, call: x, with: { type: a }",
        "set: { x: '${ error }' }",
        "call: x, with: { type: '${ error }' }",
        "call: x, with: { type: a, data: { x: '${ error }' } }",
        "call: x, with: { type: a, subject: '${ error }' }",
        "call: x, with: { type: a, data: '${ $nowhere }' }",
        "emit: { event: { with: { type: a, data: '${ error }' } } }",
        "wait: '${ error }'",
        "switch: [ { b: { when: error, then: end } } ]",
        "for: { in: error }, do: [ { b: { call: x, with: { type: a } } } ]",
        "for: { in: '[1]' }, while: error, do: [ { b: { call: x, with: { type: a } } } ]",
        "raise: { error: { type: '${ error }', status: 400 } }",
        "raise: { error: { type: 'https://x.test', status: 400, detail: '${ error }' } }",
        "listen: { to: { one: { with: { type: a }, correlate: { n: { from: .n, expect: '${ error }' } } } } }",
    ] {
        let mut case = Case::start(&format!("- a: {{ {task} }}"), json!({}));
        assert_eq!(
            (case.failures(), case.told(), case.status()),
            (vec!["a"], Vec::new(), Status::Faulted),
            "{task}"
        );
        assert!(
            case.why().ty.ends_with("/expression") && case.why().instance == "/do/0/a",
            "{task}: {:?}",
            case.why()
        );
        case.resume();
        assert_eq!(
            (case.failures(), case.told(), case.run.scopes.len()),
            (vec!["a"], Vec::new(), 2),
            "{task}"
        );
        case.skip("a", json!("skipped"));
        case.gave(json!("skipped"));
        // An error of an expression is caught like others.
        let case = Case::start(
            &format!(
                "- safe: {{ try: [ {{ a: {{ {task} }} }} ], catch: {{ errors: {{ with: {{ status: 400 }} }} }} }}"
            ),
            json!("given"),
        );
        case.gave(json!("given"));
    }
}

#[test]
fn an_expression_that_fails_at_the_start_or_the_end_of_a_workflow_fails_the_workflow() {
    for text in ["input: { from: error }", "timeout: { after: '${ error }' }", "output: { as: error }"] {
        let mut case = Case::start(&format!("{text}\ndo: [ {{ a: {{ set: {{ x: 1 }} }} }} ]"), json!({}));
        assert_eq!(
            (case.failures(), case.status(), case.run.scopes.len()),
            (vec![""], Status::Faulted, 1),
            "{text}"
        );
        case.resume();
        assert_eq!(case.failures(), [""], "{text}");
        case.cancel();
        case.is_over(Status::Cancelled);
    }
}

#[test]
fn a_workflow_that_is_begun_again_has_another_input_and_no_context_of_before() {
    let text = "input: { from: $workflow.input }\noutput: { as: .at.end }\ndo: [ { a: { set: { at: '${ $context.n }' }, export: { as: { n: 7 } } } } ]";
    let mut case = Case::start(text, json!({"n": 1}));
    assert_eq!(case.failures(), [""]);
    case.takes(What::Resume { from: None, input: Some(json!({"n": {"end": 2}})) });
    case.gave(json!(2));
}

#[test]
fn a_step_says_the_same_each_time() {
    let text = "- a: { set: { n: '${ .n + 1 }' } }\n- both: { fork: { branches: [ { b: { call: x, with: { type: a } } }, { c: { wait: PT1S } } ] } }";
    let (one, other) = (Case::start(text, json!({"n": 1})), Case::start(text, json!({"n": 1})));
    assert_eq!((one.run, one.commands), (other.run, other.commands));
}

#[test]
fn a_value_that_is_nested_too_deep_to_be_kept_is_refused_or_fails_its_task() {
    let deep = |count: usize| (0..count).fold(json!(1), |value, _| json!([value]));
    let kept = |case: &Case| {
        let bytes = serde_json::to_vec(&json!({"around": [case.run]})).unwrap();
        serde_json::from_slice::<Value>(&bytes).unwrap();
    };
    let text = "- pay: { call: x, with: { type: a }, metadata: { compensate: refund } }\n- refund: { call: x, with: { type: b } }\n- hear: { listen: { to: { one: { with: { type: told } } } } }\n- last: { call: x, with: { type: b } }";
    assert_eq!(Case::pending(text, deep(65)).ignores(What::Start), "value-too-deep");
    let mut case = Case::start(text, deep(64));
    case.done("pay", deep(65));
    assert_eq!((case.failures(), case.told()), (vec!["pay"], Vec::new()));
    kept(&case);
    case.resume();
    case.takes(case.event("hear", 0, deep(62)));
    kept(&case);
    assert_eq!(case.told(), ["call last 1"]);
    case.failed("last");
    let task = case.place("last");
    assert_eq!(case.ignores(What::Skip { task, output: deep(65) }), "value-too-deep");
    assert_eq!(case.ignores(What::Resume { from: None, input: Some(deep(65)) }), "value-too-deep");
    case.cancel();
    assert_eq!(case.told(), ["call refund 1"]);
    kept(&case);
    let mut case =
        Case::start("- rest: { wait: PT1S }\n- more: { set: { x: '${ . }' }, then: rest }", json!({}));
    for timer in 1..64 {
        case.due(timer);
    }
    case.due(64);
    assert_eq!(case.failures(), ["more"]);
    kept(&case);
    let fork = "- rest: { wait: PT1S }\n- more: { fork: { branches: [ { a: { if: 'false', wait: PT1S } } ] }, then: rest }";
    let mut case = Case::start(fork, json!({}));
    for timer in 1..=64 {
        case.due(timer);
    }
    assert_eq!(case.failures(), ["more"]);
}
