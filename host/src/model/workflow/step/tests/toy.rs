//! Enough of jq for the tests: paths, variables, JSON, `error`, and one of `==`, `!=`, `<`, `+`.

use serde_json::{Value, json};

use super::super::Evaluation;

pub fn evaluate(evaluation: &Evaluation) -> Result<Vec<Value>, String> {
    evaluation.expressions.iter().map(|one| value(one.as_str(), evaluation)).collect()
}

fn value(text: &str, on: &Evaluation) -> Result<Value, String> {
    for (sign, apply) in SIGNS {
        if let Some((left, right)) = text.split_once(sign) {
            return apply(value(left, on)?, value(right, on)?);
        }
    }
    match text {
        "." => Ok(on.input.clone()),
        "error" => Err("error was asked for".to_owned()),
        _ => path(text, on),
    }
}

type Apply = fn(Value, Value) -> Result<Value, String>;

const SIGNS: [(&str, Apply); 4] = [
    (" == ", |left, right| Ok(json!(left == right))),
    (" != ", |left, right| Ok(json!(left != right))),
    (" < ", |left, right| Ok(json!(left.as_i64() < right.as_i64()))),
    (" + ", sum),
];

fn sum(left: Value, right: Value) -> Result<Value, String> {
    match (left, right) {
        (Value::Object(mut left), Value::Object(right)) => {
            left.extend(right);
            Ok(Value::Object(left))
        }
        (Value::Number(left), Value::Number(right)) => {
            Ok(json!(left.as_i64().unwrap_or_default() + right.as_i64().unwrap_or_default()))
        }
        (left, right) => Err(format!("{left} and {right} cannot be added")),
    }
}

fn path(text: &str, on: &Evaluation) -> Result<Value, String> {
    let (start, path) = match text.strip_prefix('$') {
        Some(rest) => {
            let (name, path) = rest.split_once('.').unwrap_or((rest, ""));
            (on.variables.get(name).cloned().ok_or(format!("no variable ${name}"))?, path)
        }
        None => match text.strip_prefix('.') {
            Some(path) => (on.input.clone(), path),
            None => return serde_json::from_str(text).map_err(|error| format!("{text}: {error}")),
        },
    };
    path.split('.').filter(|part| !part.is_empty()).try_fold(start, |at, part| match at {
        Value::Object(fields) => Ok(fields.get(part).cloned().unwrap_or_default()),
        Value::Null => Ok(Value::Null),
        at => Err(format!("{at} has no {part}")),
    })
}
