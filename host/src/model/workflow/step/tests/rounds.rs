//! Conditions, choices and rounds: `if`, `switch`, `for`, `do`.

use serde_json::json;

use super::super::super::run::Status;
use super::*;

#[test]
fn a_switch_goes_where_its_first_condition_that_holds_says() {
    let text = "- choose:\n    switch:\n    - red: { when: '.color == \"red\"', then: red }\n    - dark: { when: .dark, then: end }\n    - else: { then: other }\n\
                - red: { set: { at: red }, then: end }\n- other: { set: { at: other } }\n";
    let gave = |input| Case::start(text, input).run.output.unwrap();
    assert_eq!(gave(json!({"color": "red", "dark": true})), json!({"at": "red"}));
    assert_eq!(gave(json!({"color": "blue", "dark": true})), json!({"color": "blue", "dark": true}));
    assert_eq!(gave(json!({"color": "blue"})), json!({"at": "other"}));
}

#[test]
fn a_switch_of_which_no_case_holds_goes_on_as_the_task_itself_says() {
    let text = |then: &str| {
        format!(
            "- choose: {{ switch: [ {{ red: {{ when: .red, then: end }} }} ]{then} }}\n- a: {{ set: {{ at: a }}, then: end }}\n- b: {{ set: {{ at: b }} }}"
        )
    };
    assert_eq!(Case::start(&text(""), json!({})).run.output, Some(json!({"at": "a"})));
    assert_eq!(Case::start(&text(", then: b"), json!({})).run.output, Some(json!({"at": "b"})));
}

#[test]
fn a_task_whose_condition_does_not_hold_is_left_out_with_its_direction() {
    let text = "- a: { if: .go, set: { at: a }, then: end }\n- b: { set: { at: b } }";
    let case = Case::start(text, json!({}));
    assert_eq!(case.notes(), [" began", "a left out", "b began", "b done", " done"]);
    case.gave(json!({"at": "b"}));
    Case::start(text, json!({"go": 1})).gave(json!({"at": "a"}));
}

#[test]
fn a_for_hands_each_round_what_the_one_before_gave() {
    let text = "- each:\n    for: { each: line, at: number, in: .lines }\n    do:\n    - pay: { call: payment, with: { type: a, data: { line: '${ $line }', number: '${ $number }', given: '${ . }' } } }\n- last: { set: { all: '${ . }' } }";
    let mut case = Case::start(text, json!({"lines": ["x", "y"]}));
    assert_eq!(case.data("pay"), json!({"line": "x", "number": 0, "given": {"lines": ["x", "y"]}}));
    case.done("pay", json!("first"));
    assert_eq!(
        (case.told(), case.data("pay")),
        (vec!["call pay 2".to_owned()], json!({"line": "y", "number": 1, "given": "first"}))
    );
    case.done("pay", json!("second"));
    case.gave(json!({"all": "second"}));
}

#[test]
fn a_for_ends_before_the_first_item_for_which_its_while_does_not_hold() {
    let text = "- each:\n    for: { in: '[1, 2, 3]' }\n    while: '$item < 3'\n    do: [ { a: { set: { n: '${ $item }' } } } ]";
    Case::start(text, json!({})).gave(json!({"n": 2}));
    let none = text.replace("$item < 3", ".more");
    Case::start(&none, json!({"x": 1})).gave(json!({"x": 1}));
}

#[test]
fn a_for_without_items_gives_what_it_was_given_and_without_a_list_it_fails() {
    let text = "- each: { for: { in: .items }, do: [ { a: { set: { n: 1 } } } ] }";
    Case::start(text, json!({"items": []})).gave(json!({"items": []}));
    Case::start(text, json!({})).gave(json!({}));
    let case = Case::start(text, json!({"items": 7}));
    assert_eq!((case.failures(), case.status()), (vec!["each"], Status::Faulted));
    assert!(case.why().ty.ends_with("/expression"), "{:?}", case.why());
}

#[test]
fn exit_leaves_a_round_and_end_leaves_all() {
    let text = |then: &str| {
        format!(
            "- each:\n    for: {{ in: '[1, 2]' }}\n    do:\n    - a: {{ set: {{ n: '${{ $item }}' }}, then: {then} }}\n    - b: {{ set: {{ b: 1 }} }}\n- last: {{ set: {{ last: '${{ . }}' }} }}"
        )
    };
    Case::start(&text("exit"), json!({})).gave(json!({"last": {"n": 2}}));
    Case::start(&text("end"), json!({})).gave(json!({"n": 1}));
}

#[test]
fn a_for_in_a_for_has_its_own_variables_and_those_round_it() {
    let text = "- outer:\n    for: { each: row, in: '[1, 2]' }\n    do:\n    - inner:\n        for: { in: '[10, 20]' }\n        do:\n        - a: { set: '${ . + $row }' }\n        - b: { set: '${ . + $item }' }";
    Case::start(text, json!(0)).gave(json!(66));
}
