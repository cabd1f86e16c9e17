//! The layers that settings come from, key by key: the file, the environment over it, flags over both.
//!
//! A variable is `BATON_` and the path of a key in capitals, its levels parted by two underscores:
//! `BATON_JOURNAL__DURABILITY=os`. In the name of a processor or channel `_` stands for `-`:
//! `BATON_PROCESSOR__ORDER_PLACEMENT__CONFIG__SHOP=...`.

use std::ops::Range;

use serde::Deserialize;
use toml::de::{DeTable, DeValue, ValueDeserializer};
use toml::{Spanned, Value};

use super::mistake::{Mistake, Place};
use super::shape::{Kind, Shape, nearest};

/// What all variables begin with.
const PREFIX: &str = "BATON_";
/// Variables of the command line that set nothing of a host.
const OTHERS: [&str; 3] = ["BATON_SERVER", "BATON_TOKEN", "BATON_LOG"];

/// One key, its value, and who said so.
#[derive(Clone, Debug)]
pub(super) struct Leaf {
    pub path: Vec<String>,
    pub value: Value,
    pub place: Place,
}

/// What was found in the layers.
#[derive(Debug, Default)]
pub(super) struct Layers {
    pub leaves: Vec<Leaf>,
    pub mistakes: Vec<Mistake>,
}

impl Layers {
    /// Takes what the file says.
    pub fn file(&mut self, text: &str) {
        let (document, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            let place = Place::File(error.span().unwrap_or(0..0));
            self.mistakes.push(Mistake::new(place, error.message()));
        }
        if errors.is_empty() {
            self.table(document.get_ref(), Shape::root(), &[]);
        }
    }

    fn table(&mut self, table: &DeTable<'_>, shape: Shape, above: &[String]) {
        for (key, value) in table {
            let path: Vec<String> = above.iter().cloned().chain([key.get_ref().to_string()]).collect();
            match (shape.child(key.get_ref()), value.get_ref()) {
                (None, _) => self.unknown_key(key.span(), &path, shape),
                (Some(inner), DeValue::Table(table)) if inner.is_table() && !table.is_empty() => {
                    self.table(table, inner, &path);
                }
                (Some(inner), DeValue::Table(_)) if inner.is_table() => self.leaf(path, value),
                (Some(inner), _) if inner.is_table() => self.no_table(value.span(), &path),
                (Some(_), _) => self.leaf(path, value),
            }
        }
    }

    fn leaf(&mut self, path: Vec<String>, value: &Spanned<DeValue<'_>>) {
        let place = Place::File(value.span());
        match Value::deserialize(ValueDeserializer::from(value.clone())) {
            Ok(value) => self.leaves.push(Leaf { path, value, place }),
            Err(error) => self.mistakes.push(Mistake::new(place, error.message())),
        }
    }

    fn unknown_key(&mut self, span: Range<usize>, path: &[String], shape: Shape) {
        let (wrong, above) = path.split_last().map_or(("", &[][..]), |(key, above)| (key.as_str(), above));
        let near = nearest(wrong, shape.keys());
        let mistake = Mistake::new(Place::File(span), format!("there is no key '{}'", path.join(".")));
        let section =
            if above.is_empty() { "at the top".to_owned() } else { format!("in [{}]", above.join(".")) };
        self.mistakes.push(match near {
            Some(near) => mistake.help(format!("did you mean '{near}'?")),
            None => mistake.help(format!("{section} there are: {}", shape.keys().join(", "))),
        });
    }

    fn no_table(&mut self, span: Range<usize>, path: &[String]) {
        let key = path.join(".");
        let mistake = Mistake::new(Place::File(span), format!("'{key}' is a section, not a value"));
        self.mistakes.push(mistake.help(format!("write [{key}] and its keys below it")));
    }

    /// Takes what the environment says, in the order of names; `accepts` tells whether a value suits a key.
    pub fn environment(&mut self, variables: &[(String, String)], accepts: impl Fn(&Leaf) -> bool) {
        for (name, text) in variables {
            let Some(rest) = name.strip_prefix(PREFIX).filter(|_| !OTHERS.contains(&name.as_str())) else {
                continue;
            };
            let place = Place::Environment(name.clone());
            match path_of(rest) {
                Some(path) => self.leaves.push(meant(path, text, place, &accepts)),
                None => self.mistakes.push(unknown_variable(name, place)),
            }
        }
    }

    /// Takes a flag's value for a key.
    pub fn flag(&mut self, flag: &'static str, key: &str, text: &str) {
        let path = key.split('.').map(str::to_owned).collect();
        let value = Value::String(text.to_owned());
        self.leaves.push(Leaf { path, value, place: Place::Flag(flag) });
    }
}

/// A text as it is where that suits the key, else as TOML reads it.
fn meant(path: Vec<String>, text: &str, place: Place, accepts: impl Fn(&Leaf) -> bool) -> Leaf {
    let plain = Leaf { path, value: Value::String(text.to_owned()), place };
    let as_toml = || format!("it = {text}").parse::<toml::Table>().ok()?.remove("it");
    if accepts(&plain) {
        return plain;
    }
    match as_toml() {
        Some(value) => Leaf { value, ..plain },
        None => plain,
    }
}

/// The key that a variable names, if there is one.
fn path_of(rest: &str) -> Option<Vec<String>> {
    let mut shape = Shape::root();
    let mut path = Vec::new();
    for segment in rest.split("__").filter(|_| rest == rest.to_ascii_uppercase()) {
        let plain = segment.to_ascii_lowercase();
        let key = match shape.kind() {
            Kind::Named(_) if shape.child(&plain).is_some_and(Shape::is_table) => plain.replace('_', "-"),
            _ => plain,
        };
        shape = shape.child(&key).filter(|_| !key.is_empty())?;
        path.push(key);
    }
    (!path.is_empty() && !shape.is_table()).then_some(path)
}

fn unknown_variable(name: &str, place: Place) -> Mistake {
    let known = variables(Shape::root(), PREFIX);
    let mistake = Mistake::new(place, format!("{name} sets nothing"));
    let near = nearest(&name.to_ascii_uppercase(), known.iter().map(String::as_str));
    mistake.help(match near {
        Some(near) => format!("did you mean {near}?"),
        None => "a variable is BATON_ and the key in capitals, two underscores between levels: \
                 BATON_JOURNAL__DURABILITY"
            .to_owned(),
    })
}

/// The variables of all keys that have a fixed name.
fn variables(shape: Shape, prefix: &str) -> Vec<String> {
    let below = |key: &'static str| {
        let name = format!("{prefix}{}", key.to_ascii_uppercase());
        match shape.child(key) {
            Some(inner) if inner.is_table() => variables(inner, &format!("{name}__")),
            _ => vec![name],
        }
    };
    shape.keys().into_iter().flat_map(below).collect()
}
