//! Parts that tasks and workflows share: durations, timeouts, data that goes in and out, errors, retries, events.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::at::{At, Found};
use super::document::Form;
use super::mistake::Code;
use super::uses::Uses;
use crate::model::event::HOST_ATTRIBUTES;
use crate::model::name::ChannelName;
use crate::model::time::parse_duration;
use crate::model::workflow::definition::{Correlation, EventFilter, Input, Output};
use crate::model::workflow::expression::Expression;
use crate::model::workflow::failure::{Backoff, ErrorTemplate, Retry};
use crate::model::workflow::schema;
use crate::model::workflow::task::{DURATION_MS_MAX, Length, NewEvent};

const UNITS: [(&str, u64); 5] = [
    ("days", 86_400_000),
    ("hours", 3_600_000),
    ("minutes", 60_000),
    ("seconds", 1_000),
    ("milliseconds", 1),
];

/// A duration: a map of units, ISO 8601, or an expression that gives the latter.
pub fn length(at: &At<'_>, found: &mut Found) -> Option<Length> {
    match &at.node.form {
        Form::Text(text) if Expression::inner(text).is_some() => at.expression(found).map(Length::Asked),
        Form::Text(_) | Form::Map(_) => duration_ms(at, found).map(Length::Ms),
        _ => {
            found.wanted(at, "a duration: { seconds: 5 }, PT5S, or an expression that gives the latter");
            None
        }
    }
}

/// A duration that is known.
pub fn duration_ms(at: &At<'_>, found: &mut Found) -> Option<u64> {
    let ms = match &at.node.form {
        Form::Text(text) if text.starts_with('P') => match parse_duration(text) {
            Ok(duration) => u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
            Err(error) => {
                found.wrong(Code::Invalid, at, error.to_string(), None);
                return None;
            }
        },
        Form::Map(fields) if !fields.is_empty() => {
            found.keys(at, &UNITS.map(|(name, _)| name), &[]);
            let each =
                UNITS.iter().filter_map(|(name, ms)| Some(at.get(name)?.number(found)?.saturating_mul(*ms)));
            each.fold(0, u64::saturating_add)
        }
        _ => {
            found.wanted(at, "a duration, such as { seconds: 5 } or PT5S,");
            return None;
        }
    };
    if ms > DURATION_MS_MAX {
        found.wrong(Code::Invalid, at, "a duration is at most ten years", None);
    }
    Some(ms)
}

/// A timeout, or the name of one.
pub fn timeout(at: &At<'_>, uses: &Uses<'_>, found: &mut Found) -> Option<Length> {
    let at = uses.named(at, "timeouts", found)?;
    found.keys(&at, &["after"], &[]);
    length(&found.required(&at, "after")?, found)
}

pub fn input(at: &At<'_>, found: &mut Found) -> Input {
    found.keys(at, &["schema", "from"], &[]);
    let from = at.get("from").and_then(|from| from.made(found));
    Input { schema: at.get("schema").and_then(|at| document_of(&at, found)), from }
}

pub fn output(at: &At<'_>, found: &mut Found) -> Output {
    found.keys(at, &["schema", "as"], &[]);
    let form = at.get("as").and_then(|form| form.made(found));
    Output { form, schema: at.get("schema").and_then(|at| document_of(&at, found)) }
}

/// The JSON Schema in a `schema`.
fn document_of(at: &At<'_>, found: &mut Found) -> Option<Value> {
    let instead = "write the schema here, under 'document': a run must not depend on a file elsewhere";
    found.keys(at, &["format", "document"], &[("resource", instead)]);
    if let Some(format) = at.get("format")
        && !format.text(found)?.starts_with("json")
    {
        found.wrong(Code::Unsupported, &format, "only schemas in JSON are checked", Some("use format: json"));
    }
    let document = at.get("document").or_else(|| {
        if at.get("resource").is_none() {
            found.required(at, "document");
        }
        None
    })?;
    let value = document.node.value();
    for (path, why) in schema::unsupported(&value) {
        let path = format!("{}{path}", document.path);
        found.wrong(Code::Unsupported, &At { node: document.node, path }, why, None);
    }
    Some(value)
}

/// An error, or the name of one.
pub fn error(at: &At<'_>, uses: &Uses<'_>, found: &mut Found) -> Option<ErrorTemplate> {
    let at = uses.named(at, "errors", found)?;
    found.keys(&at, &["type", "status", "instance", "title", "detail"], &[]);
    let (ty, status) = (found.required(&at, "type"), found.required(&at, "status"));
    let mut text = |name: &str| at.get(name).filter(|field| field.text(found).is_some());
    let [instance, title, detail] = ["instance", "title", "detail"].map(&mut text);
    let [instance, title, detail] = [instance, title, detail].map(|at| at.map(|at| at.template(found)));
    if let Some(ty) = &ty
        && !ty.text(found)?.contains("://")
        && Expression::inner(ty.text(found)?).is_none()
    {
        found.wrong(
            Code::Invalid,
            ty,
            "an error's type is a URI",
            Some("write one like https://example.com/errors/denied"),
        );
    }
    let status_at = status?;
    let status = status_at.number(found)?;
    let status = u16::try_from(status).ok().filter(|status| (100..600).contains(status)).or_else(|| {
        found.wrong(Code::Invalid, &status_at, "a status is a number from 100 to 599, as in HTTP", None);
        None
    })?;
    Some(ErrorTemplate { ty: ty?.template(found), status, instance, title, detail })
}

/// A retry, or the name of one.
pub fn retry(at: &At<'_>, uses: &Uses<'_>, found: &mut Found) -> Option<Retry> {
    let at = uses.named(at, "retries", found)?;
    found.keys(&at, &["when", "exceptWhen", "delay", "backoff", "limit", "jitter"], &[]);
    let mut expression = |name: &str| at.get(name).and_then(|field| field.expression(found));
    let (when, except_when) = (expression("when"), expression("exceptWhen"));
    let delay_ms = at.get("delay").and_then(|delay| duration_ms(&delay, found)).unwrap_or_default();
    let backoff = at.get("backoff").map(|at| backoff(&at, found)).unwrap_or_default();
    let jitter_ms = at.get("jitter").and_then(|jitter| {
        found.keys(&jitter, &["from", "to"], &[]);
        let (from, to) = (found.required(&jitter, "from")?, found.required(&jitter, "to")?);
        let (from_ms, to_ms) = (duration_ms(&from, found)?, duration_ms(&to, found)?);
        if from_ms > to_ms {
            found.wrong(
                Code::Invalid,
                &jitter,
                "'from' is longer than 'to'",
                Some("write the shorter one first"),
            );
        }
        Some((from_ms, to_ms))
    });
    let limit = at.get("limit");
    if let Some(limit) = &limit {
        found.keys(limit, &["attempt", "duration"], &[]);
    }
    let total = limit.as_ref().and_then(|limit| limit.get("duration"));
    let total_ms_max = total.and_then(|total| duration_ms(&total, found));
    let attempt = limit.and_then(|limit| limit.get("attempt"));
    if let Some(attempt) = &attempt {
        found.keys(attempt, &["count", "duration"], &[]);
    }
    let count = attempt.as_ref().and_then(|at| at.get("count")).and_then(|count| count.number(found));
    let count_max = count.map(|count| u32::try_from(count).unwrap_or(u32::MAX));
    let attempt_ms_max = attempt.and_then(|at| at.get("duration")).and_then(|at| duration_ms(&at, found));
    Some(Retry { when, except_when, delay_ms, backoff, jitter_ms, count_max, attempt_ms_max, total_ms_max })
}

fn backoff(at: &At<'_>, found: &mut Found) -> Backoff {
    let kinds =
        [("constant", Backoff::Constant), ("linear", Backoff::Linear), ("exponential", Backoff::Exponential)];
    found.keys(at, &kinds.map(|(name, _)| name), &[]);
    at.fields(found).iter().for_each(|(_, _, kind)| drop(kind.fields(found)));
    let named: Vec<Backoff> =
        kinds.iter().filter(|(name, _)| at.get(name).is_some()).map(|(_, kind)| *kind).collect();
    match named.as_slice() {
        [one] => *one,
        _ => {
            found.wrong(Code::Invalid, at, "one of constant, linear and exponential is wanted", None);
            Backoff::Constant
        }
    }
}

/// An event that a task makes, over what a function says of it.
pub fn event(at: &At<'_>, over: Option<NewEvent>, found: &mut Found) -> Option<NewEvent> {
    let (ty, data, mut attributes) = match over {
        Some(NewEvent { ty, data, attributes }) => (Some(ty), data, attributes),
        None => (None, None, BTreeMap::new()),
    };
    for (name, _, field) in at.fields(found) {
        match name {
            "type" | "data" => {}
            "time" | "specversion" => {
                let help = "leave it out: the host gives each event its time";
                found.wrong(
                    Code::Unsupported,
                    &field,
                    format!("'{name}' is not set by a workflow"),
                    Some(help),
                );
            }
            name if HOST_ATTRIBUTES.contains(&name) => {
                let help = "leave it out: the host gives it";
                found.wrong(
                    Code::Unsupported,
                    &field,
                    format!("'{name}' is not set by a workflow"),
                    Some(help),
                );
            }
            name if name != "id" && !is_attribute(name) => {
                let help = "put what the event says under 'data'; an attribute has lower-case letters and digits, at most 20";
                found.wrong(
                    Code::Invalid,
                    &field,
                    format!("'{name}' is no attribute of an event"),
                    Some(help),
                );
            }
            name => attributes.extend(field.word(found).map(|word| (name.to_owned(), word))),
        }
    }
    let ty = match (at.get("type"), ty) {
        (Some(ty), _) => Some(ty),
        (None, Some(ty)) => {
            let data = at.get("data").map(|data| data.template(found)).or(data);
            return Some(NewEvent { ty, data, attributes });
        }
        (None, None) => found.required(at, "type"),
    }?;
    ty.text(found)?;
    let data = at.get("data").map(|data| data.template(found)).or(data);
    Some(NewEvent { ty: ty.template(found), data, attributes })
}

/// An event that is published: its type is a channel's name.
pub fn emitted(at: &At<'_>, found: &mut Found) -> Option<NewEvent> {
    let event = event(at, None, found);
    if let Some(ty) = at.get("type")
        && let Form::Text(text) = &ty.node.form
        && Expression::inner(text).is_none()
    {
        channel(&ty, text, found);
    }
    event
}

fn is_attribute(name: &str) -> bool {
    (1..=20).contains(&name.len()) && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
}

fn channel(at: &At<'_>, name: &str, found: &mut Found) {
    if let Err(error) = ChannelName::new(name) {
        found.wrong(
            Code::Invalid,
            at,
            error.to_string(),
            Some("an event's type is the channel on which it is published"),
        );
    }
}

/// Which events are taken: by a run that waits for them, or to start one.
pub fn filter(at: &At<'_>, starts: bool, found: &mut Found) -> Option<EventFilter> {
    found.keys(at, &["with", "correlate"], &[]);
    let with = found.required(at, "with")?;
    let mut attributes = Map::new();
    for (name, _, field) in with.fields(found) {
        let value = field.node.value();
        match (name, &value) {
            ("type" | "data", _) => {}
            (_, Value::String(text)) if Expression::inner(text).is_some() => {
                let help = "say a value here, and put a condition into 'data'";
                found.wrong(
                    Code::Unsupported,
                    &field,
                    "an attribute is compared with a value only",
                    Some(help),
                );
            }
            (_, Value::String(_) | Value::Number(_) | Value::Bool(_)) => {
                attributes.insert(name.to_owned(), value);
            }
            _ => found.wanted(&field, "a text, a number, or true or false"),
        }
    }
    let data = with.get("data").and_then(|data| match data.node.value() {
        Value::String(text) if Expression::inner(&text).is_some() => data.expression(found),
        _ => {
            let help = "write ${ ... } that gives true for the events that are wanted";
            found.wrong(Code::Unsupported, &data, "data is compared by a condition only", Some(help));
            None
        }
    });
    let Some(ty_at) = with.get("type") else {
        let help = "name the 'type': it is the channel on which the events come";
        found.wrong(Code::Unsupported, &with, "events of any type are not listened to", Some(help));
        return None;
    };
    let ty = ty_at.text(found)?.to_owned();
    channel(&ty_at, &ty, found);
    let correlate = match at.get("correlate") {
        Some(at) if starts => {
            let help = "leave 'correlate' out: each event starts a run of its own";
            found.wrong(Code::Unsupported, &at, "events that start a run are not correlated", Some(help));
            Vec::new()
        }
        Some(at) => correlations(&at, found),
        None => Vec::new(),
    };
    Some(EventFilter { ty, attributes, data, correlate })
}

fn correlations(at: &At<'_>, found: &mut Found) -> Vec<Correlation> {
    let mut all = Vec::new();
    for (name, _, link) in at.fields(found) {
        found.keys(&link, &["from", "expect"], &[]);
        let expect = link.get("expect");
        if expect.is_none() {
            let help = format!(
                "say which value the run expects, such as expect: '${{ $context.{name} }}': events are kept for the run that waits for them by it"
            );
            found.wrong(Code::Unsupported, &link, format!("'{name}' has no 'expect'"), Some(&help));
        }
        let expect = expect.filter(|at| at.text(found).is_some()).map(|at| at.template(found));
        if let Some(from) = found.required(&link, "from").and_then(|from| from.expression(found)) {
            all.push(Correlation { name: name.to_owned(), from, expect });
        }
    }
    all
}
