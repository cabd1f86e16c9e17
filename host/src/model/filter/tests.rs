//! The dialects by a table, their errors by another, and random filters against a plain evaluator over JSON.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::model::event::{ATTRIBUTE_BYTES_MAX, Event, Extension};
use crate::model::record::{Stamp, encode_event};

fn event() -> Event {
    Event {
        id: "1".into(),
        source: "/shop".into(),
        ty: "order-created".into(),
        subject: Some("order-7".into()),
        extensions: [
            ("partitionkey".to_owned(), Extension::Text("k".into())),
            ("flag".to_owned(), Extension::Boolean(true)),
            ("count".to_owned(), Extension::Integer(-5)),
        ]
        .into(),
        ..Event::default()
    }
}

fn with_record<T>(event: &Event, look: impl FnOnce(&Record<'_>) -> T) -> T {
    let stamp = Stamp { flow: Uuid::from_u128(7), cause: Some(1), causationid: Some("c-1"), hops: 0 };
    let mut bytes = Vec::new();
    encode_event(&mut bytes, event, &stamp);
    look(&Record::parse(&bytes).unwrap())
}

fn passes(filter: Value) -> bool {
    let filter = Filter::from_value(&filter).unwrap();
    with_record(&event(), |record| {
        assert_eq!(filter.ruling(record).passes, filter.passes(record), "{filter}");
        filter.passes(record)
    })
}

#[test]
fn each_dialect_decides_by_the_attributes() {
    let flow = Uuid::from_u128(7).to_string();
    let cases = [
        (json!({"exact": {"type": "order-created"}}), true),
        (json!({"exact": {"type": "order"}}), false),
        (json!({"exact": {"type": "Order-Created"}}), false),
        (json!({"exact": {"type": "order-created", "subject": "order-7"}}), true),
        (json!({"exact": {"type": "order-created", "subject": "order-8"}}), false),
        (json!({"exact": {"dataschema": "x"}}), false),
        (json!({"not": {"exact": {"dataschema": "x"}}}), true),
        (json!({"exact": {"time": "x"}}), false),
        (json!({"exact": {"flag": "true"}}), true),
        (json!({"exact": {"count": "-5"}}), true),
        (json!({"exact": {"id": "1", "source": "/shop", "partitionkey": "k", "specversion": "1.0"}}), true),
        (json!({"exact": {"correlationid": flow, "causationid": "c-1"}}), true),
        (json!({"prefix": {"subject": "order-"}}), true),
        (json!({"prefix": {"subject": "order-7"}}), true),
        (json!({"prefix": {"subject": "order-77"}}), false),
        (json!({"prefix": {"datacontenttype": "a"}}), false),
        (json!({"suffix": {"type": "-created", "subject": "7"}}), true),
        (json!({"suffix": {"type": "-created", "subject": "8"}}), false),
        (json!({"all": [{"exact": {"id": "1"}}, {"prefix": {"type": "order"}}]}), true),
        (json!({"all": [{"exact": {"id": "1"}}, {"prefix": {"type": "x"}}]}), false),
        (json!({"any": [{"exact": {"id": "2"}}, {"prefix": {"type": "order"}}]}), true),
        (json!({"any": [{"exact": {"id": "2"}}]}), false),
        (json!({"not": {"not": {"exact": {"id": "1"}}}}), true),
    ];
    for (filter, expected) in cases {
        assert_eq!(passes(filter.clone()), expected, "{filter}");
    }
}

fn nested(depth: usize) -> Value {
    (1..depth).fold(json!({"exact": {"id": "1"}}), |filter, _| json!({ "not": filter }))
}

fn many(rules: usize) -> Value {
    json!({ "any": vec![json!({"exact": {"id": "1"}}); rules - 1] })
}

#[test]
fn what_is_no_filter_is_refused_by_its_path() {
    let long = "x".repeat(ATTRIBUTE_BYTES_MAX + 1);
    let deep = format!("filter{}", ".not".repeat(FILTER_DEPTH_MAX));
    let cases = [
        (json!("type = a"), "filter", "no object"),
        (json!({}), "filter", "0 dialects"),
        (json!({"exact": {"id": "1"}, "prefix": {"id": "1"}}), "filter", "2 dialects"),
        (json!({"sql": "id = '1'"}), "filter.sql", "not known here"),
        (json!({"exact": {}}), "filter.exact", "no attribute"),
        (json!({"exact": "id"}), "filter.exact", "no attribute"),
        (json!({"exact": {"": "x"}}), "filter.exact.", "lower-case"),
        (json!({"exact": {"Type": "x"}}), "filter.exact.Type", "lower-case"),
        (json!({"exact": {"data": "x"}}), "filter.exact.data", "attributes"),
        (json!({"exact": {"sequence": "1"}}), "filter.exact.sequence", "attributes"),
        (json!({"prefix": {"type": ""}}), "filter.prefix.type", "empty"),
        (json!({"exact": {"count": 5}}), "filter.exact.count", "5 is no text"),
        (json!({"suffix": {"type": long}}), "filter.suffix.type", "at most 4096"),
        (json!({"all": []}), "filter.all", "at least one"),
        (json!({"any": {"exact": {"id": "1"}}}), "filter.any", "at least one"),
        (json!({"not": []}), "filter.not", "no object"),
        (
            json!({"all": [{"exact": {"id": "1"}}, {"not": {"prefix": {"a-b": "x"}}}]}),
            "filter.all[1].not.prefix.a-b",
            "lower-case",
        ),
        (nested(FILTER_DEPTH_MAX + 1), deep.as_str(), "at most 8 deep"),
        (many(FILTER_RULES_MAX + 1), "filter.any[63].exact.id", "at most 64 rules"),
    ];
    for (filter, path, words) in cases {
        let error = Filter::from_value(&filter).unwrap_err();
        assert_eq!(error.path, path, "{filter}");
        assert!(error.why.contains(words), "{error}");
    }
    assert!(Filter::from_value(&nested(FILTER_DEPTH_MAX)).is_ok());
    assert!(Filter::from_value(&many(FILTER_RULES_MAX)).is_ok());
}

#[test]
fn a_ruling_names_the_rules_that_decided() {
    let told = |filter: Value| {
        let filter = Filter::from_value(&filter).unwrap();
        let ruling = with_record(&event(), |record| filter.ruling(record));
        let rules: Vec<_> = ruling.rules.iter().map(Rule::to_string).collect();
        (ruling.passes, rules.join("; "))
    };
    let yes = "filter.all[0].exact.id is \"1\": yes, \"1\"";
    let no = "filter.all[1].prefix.subject begins with \"x\": no, it is \"order-7\"";
    let all = json!({"all": [{"exact": {"id": "1"}}, {"prefix": {"subject": "x"}}, {"exact": {"id": "3"}}]});
    assert_eq!(told(all), (false, no.to_owned()));
    let both = json!({"all": [{"exact": {"id": "1"}}, {"not": {"suffix": {"dataschema": "x"}}}]});
    let absent = "filter.all[1].not.suffix.dataschema ends with \"x\": no, the event has none";
    assert_eq!(told(both), (true, format!("{yes}; {absent}")));
    let any = json!({"any": [{"exact": {"id": "2"}}, {"exact": {"type": "t"}}]});
    let none = "filter.any[0].exact.id is \"2\": no, it is \"1\"; filter.any[1].exact.type is \"t\": no, it is \"order-created\"";
    assert_eq!(told(any), (false, none.to_owned()));
    let first = json!({"any": [{"exact": {"id": "2"}}, {"exact": {"id": "1"}}, {"exact": {"id": "1"}}]});
    assert_eq!(told(first), (true, "filter.any[1].exact.id is \"1\": yes, \"1\"".to_owned()));
}

#[test]
fn a_filter_is_shown_as_the_sdk_writes_it_and_comes_back_from_json() {
    let json =
        json!({"any": [{"exact": {"type": "a"}}, {"not": {"prefix": {"subject": "order-", "tenant": "t"}}}]});
    let filter = Filter::from_value(&json).unwrap();
    let shown = r#"any(exact(type = "a"), not(prefix(subject = "order-", tenant = "t")))"#;
    assert_eq!(filter.to_string(), shown);
    assert_eq!(serde_json::to_value(&filter).unwrap(), json);
    assert_eq!(serde_json::from_value::<Filter>(json).unwrap(), filter);
}

/// What the text of the specification says, read off the JSON with no thought of speed.
fn plain(filter: &Value, event: &BTreeMap<&str, String>) -> bool {
    let (word, inner) = filter.as_object().unwrap().iter().next().unwrap();
    let compare = |holds: fn(&str, &str) -> bool| {
        let pairs = inner.as_object().unwrap();
        pairs.iter().all(|(name, text)| {
            event.get(name.as_str()).is_some_and(|value| holds(value, text.as_str().unwrap()))
        })
    };
    match word.as_str() {
        "exact" => compare(|value, text| value == text),
        "prefix" => compare(|value, text| value.starts_with(text)),
        "suffix" => compare(|value, text| value.ends_with(text)),
        "not" => !plain(inner, event),
        "all" => inner.as_array().unwrap().iter().all(|filter| plain(filter, event)),
        _ => inner.as_array().unwrap().iter().any(|filter| plain(filter, event)),
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    fn of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len() as u64) as usize]
    }

    fn text(&mut self) -> String {
        (0..=self.below(2)).map(|_| self.of(&["a", "b"])).collect()
    }

    fn filter(&mut self, depth: u64) -> Value {
        let word = self.of(&["all", "any", "not", "exact", "prefix", "suffix"]);
        match word {
            "not" if depth > 0 => json!({ "not": self.filter(depth - 1) }),
            "all" | "any" if depth > 0 => {
                let filters: Vec<_> = (0..=self.below(2)).map(|_| self.filter(depth - 1)).collect();
                json!({ word: filters })
            }
            _ => {
                let names = ["type", "subject", "tenant", "id"];
                let pairs: BTreeMap<_, _> =
                    (0..=self.below(1)).map(|_| (self.of(&names), self.text())).collect();
                json!({ self.of(&["exact", "prefix", "suffix"]): pairs })
            }
        }
    }

    fn event(&mut self) -> (Event, BTreeMap<&'static str, String>) {
        let mut event = Event { id: self.text(), source: "/".into(), ty: self.text(), ..Event::default() };
        let mut plain: BTreeMap<_, _> = [("id", event.id.clone()), ("type", event.ty.clone())].into();
        if self.below(2) == 0 {
            event.subject = Some(self.text());
            plain.extend(event.subject.clone().map(|text| ("subject", text)));
        }
        if self.below(2) == 0 {
            let text = self.text();
            event.extensions.insert("tenant".to_owned(), Extension::Text(text.clone()));
            plain.insert("tenant", text);
        }
        (event, plain)
    }
}

#[test]
fn random_filters_decide_as_the_specification_says() {
    let mut random = Random(1);
    let mut passed = 0;
    for _ in 0..4000 {
        let json = random.filter(3);
        let filter = Filter::from_value(&json).unwrap();
        let (event, attributes) = random.event();
        let expected = plain(&json, &attributes);
        let ruling = with_record(&event, |record| {
            assert_eq!(filter.passes(record), expected, "{json} {attributes:?}");
            filter.ruling(record)
        });
        assert_eq!((ruling.passes, ruling.rules.is_empty()), (expected, false), "{json}");
        passed += u32::from(expected);
    }
    assert!((800..3200).contains(&passed), "{passed}");
}
