//! Values of jq as JSON. Numbers are written as jq writes them: what is whole has no point, and what is no number is null.

use jaq_json::{Num, Val};
use serde_json::{Map, Number, Value};

/// The largest whole number up to which each has a float of its own.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

/// A value as JSON, or why it cannot be.
pub fn json(value: &Val) -> Result<Value, String> {
    Ok(match value {
        Val::Null => Value::Null,
        Val::Bool(is) => Value::Bool(*is),
        Val::Num(number) => self::number(number),
        Val::TStr(text) => Value::String(String::from_utf8_lossy(text).into_owned()),
        Val::BStr(_) => return Err("it gave bytes; make a text of them, by @base64 or tostring".to_owned()),
        Val::Arr(items) => Value::Array(items.iter().map(json).collect::<Result<_, _>>()?),
        Val::Obj(fields) => {
            let fields = fields.iter().map(|(name, field)| Ok((name_of(name)?, json(field)?)));
            Value::Object(fields.collect::<Result<Map<_, _>, String>>()?)
        }
    })
}

fn name_of(name: &Val) -> Result<String, String> {
    match name {
        Val::TStr(text) => Ok(String::from_utf8_lossy(text).into_owned()),
        other => {
            Err(format!("it gave an object with the key {other}; in JSON a key is a text, see tostring"))
        }
    }
}

fn number(number: &Num) -> Value {
    let float = match number {
        Num::Int(whole) => return Value::from(*whole as i64),
        Num::BigInt(whole) => match whole.to_string().parse::<Number>() {
            Ok(whole) => return Value::Number(whole),
            Err(_) => f64::NAN,
        },
        Num::Float(float) => *float,
        Num::Dec(text) => text.parse().unwrap_or(f64::NAN),
    };
    if float.fract() == 0.0 && float.abs() <= WHOLE_MAX {
        return Value::from(float as i64);
    }
    let float = if float.is_infinite() { f64::MAX.copysign(float) } else { float };
    Number::from_f64(float).map_or(Value::Null, Value::Number)
}
