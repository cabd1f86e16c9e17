//! A text in YAML or JSON as values with their places. The one file of the model that names the YAML parser.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value};
use serde_saphyr::Spanned;

use super::mistake::{Code, Mistake, Spot};

/// The most lists and maps in each other. Reading takes a thread's stack, in a debug build about 30 KiB for each.
pub const DEPTH_MAX: usize = 48;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub struct Node {
    pub spot: Spot,
    pub form: Form,
}

/// What a value is.
#[derive(Clone, Debug)]
pub enum Form {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    /// Names, their places and their values, in the order of the text.
    Map(Vec<(String, Spot, Node)>),
}

impl Node {
    /// The value without places.
    pub fn value(&self) -> Value {
        match &self.form {
            Form::Null => Value::Null,
            Form::Bool(is) => Value::Bool(*is),
            Form::Number(number) => Value::Number(number.clone()),
            Form::Text(text) => Value::String(text.clone()),
            Form::List(items) => items.iter().map(Node::value).collect(),
            Form::Map(fields) => fields.iter().map(|(name, _, node)| (name.clone(), node.value())).collect(),
        }
    }

    /// The field with a name.
    pub fn get(&self, name: &str) -> Option<&Node> {
        let Form::Map(fields) = &self.form else { return None };
        fields.iter().find(|(field, _, _)| field == name).map(|(_, _, node)| node)
    }

    /// What it is, in words.
    pub fn told(&self) -> &'static str {
        match self.form {
            Form::Null => "nothing",
            Form::Bool(_) => "true or false",
            Form::Number(_) => "a number",
            Form::Text(_) => "a text",
            Form::List(_) => "a list",
            Form::Map(_) => "a map",
        }
    }
}

/// Reads a text. Only `true` and `false` are such, as in YAML 1.2: `no`, `on` and `y` are texts.
pub fn parse(text: &str) -> Result<Node, Mistake> {
    let options = serde_saphyr::options! { strict_booleans: true, budget: serde_saphyr::budget! { max_depth: DEPTH_MAX } };
    serde_saphyr::from_str_with_options::<Node>(text, options).map_err(|error| {
        let spot = error.location().map(spot).unwrap_or_default();
        if is_too_deep(error.without_snippet()) {
            let message = format!("lists and maps stand in each other at most {DEPTH_MAX} deep");
            let help = Some("hand parts of it over to another mediator, by an event".to_owned());
            return Mistake { code: Code::Invalid, spot, path: String::new(), message, help };
        }
        let words = error.without_snippet().to_string();
        // What follows is the place, which is told elsewhere, or for those who call the library.
        let ends = [" at line ", ", set DuplicateKeyPolicy"].into_iter().filter_map(|end| words.find(end));
        let end = ends.min().unwrap_or(words.len());
        let message = words.get(..end).unwrap_or(&words).to_owned();
        Mistake { code: Code::Syntax, spot, path: String::new(), message, help: None }
    })
}

fn is_too_deep(error: &serde_saphyr::Error) -> bool {
    use serde_saphyr::budget::BudgetBreach::Depth;
    let is_passed = matches!(error, serde_saphyr::Error::Budget { breach: Depth { .. }, .. });
    is_passed || error.to_string().starts_with("recursion limit exceeded")
}

fn spot(location: serde_saphyr::Location) -> Spot {
    let number = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
    Spot { line: number(location.line()), column: number(location.column()) }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned { value: form, referenced, .. } = Spanned::<Form>::deserialize(deserializer)?;
        Ok(Self { spot: spot(referenced), form })
    }
}

impl<'de> Deserialize<'de> for Form {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Forms)
    }
}

struct Forms;

impl<'de> Visitor<'de> for Forms {
    type Value = Form;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, is: bool) -> Result<Form, E> {
        Ok(Form::Bool(is))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Form, E> {
        Ok(Form::Number(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Form, E> {
        Ok(Form::Number(number.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Form, E> {
        let number = Number::from_f64(number).ok_or_else(|| E::custom("a number that JSON does not have"))?;
        Ok(Form::Number(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Form, E> {
        Ok(Form::Text(text.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Form, E> {
        Ok(Form::Null)
    }

    fn visit_none<E>(self) -> Result<Form, E> {
        Ok(Form::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Form, D::Error> {
        Form::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Form, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Form::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Form, A::Error> {
        let mut fields = Vec::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            fields.push((key.value, spot(key.referenced), map.next_value()?));
        }
        Ok(Form::Map(fields))
    }
}
