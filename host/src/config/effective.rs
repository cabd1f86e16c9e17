//! From layers to settings: later layers win key by key, each value is tried by itself so that every mistake is told at
//! once, and the bounds of the published schema are held.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use toml::{Table, Value};

use super::layers::{Layers, Leaf};
use super::mistake::{Mistake, Mistakes, Place};
use super::shape::{Kind, Shape};
use super::unit::Size;
use super::{Flag, Settings};

/// Settings, and who said each key that is not a default.
#[derive(Clone, Debug)]
pub(super) struct Effective {
    pub settings: Settings,
    pub places: BTreeMap<Vec<String>, Place>,
}

impl Effective {
    /// What the layers come to, or everything that is wrong with them.
    pub fn of(
        file: &Path,
        text: &str,
        environment: &[(String, String)],
        flags: &[Flag],
    ) -> Result<Self, Mistakes> {
        let mut layers = Layers::default();
        layers.file(text);
        layers.environment(environment, |leaf| trial(leaf).is_ok());
        for flag in flags {
            layers.flag(flag.name, flag.key, &flag.value);
        }
        let Layers { leaves, mut mistakes } = layers;
        mistakes.extend(leaves.iter().filter_map(|leaf| trial(leaf).err()));
        if mistakes.is_empty() {
            match merge(leaves) {
                Ok(effective) => {
                    mistakes = out_of_bounds(&effective);
                    mistakes.extend(faults(&effective));
                    if mistakes.is_empty() {
                        return Ok(effective);
                    }
                }
                Err(mistake) => mistakes.push(mistake),
            }
        }
        mistakes.sort_by_key(|mistake| match &mistake.place {
            Place::File(span) => span.start,
            _ => usize::MAX,
        });
        Err(Mistakes { file: file.to_owned(), text: text.to_owned(), all: mistakes })
    }
}

/// Reads settings in which nothing but this one key is set: every key has a default, so what is wrong is its value.
fn trial(leaf: &Leaf) -> Result<(), Mistake> {
    let mut table = Table::new();
    put(&mut table, &leaf.path, leaf.value.clone());
    let wrong = |error: toml::de::Error| {
        let key = leaf.path.join(".");
        Mistake::new(leaf.place.clone(), format!("'{key}' cannot be this: {}", error.message()))
    };
    Settings::deserialize(table).map(drop).map_err(wrong)
}

fn merge(leaves: Vec<Leaf>) -> Result<Effective, Mistake> {
    let mut table = Table::new();
    let mut places = BTreeMap::new();
    for leaf in leaves {
        put(&mut table, &leaf.path, leaf.value);
        places.insert(leaf.path, leaf.place);
    }
    let wrong = |error: toml::de::Error| Mistake::new(Place::File(0..0), error.message());
    Ok(Effective { settings: Settings::deserialize(table).map_err(wrong)?, places })
}

/// Sets a key. A name without keys stands for itself, and takes nothing away from what is there.
fn put(table: &mut Table, path: &[String], value: Value) {
    let Some((last, above)) = path.split_last() else { return };
    let mut table = table;
    for key in above {
        let below = table.entry(key).or_insert_with(|| Value::Table(Table::new()));
        let Value::Table(inner) = below else { return };
        table = inner;
    }
    match (&value, table.get(last)) {
        (Value::Table(empty), Some(Value::Table(_))) if empty.is_empty() => {}
        _ => drop(table.insert(last.clone(), value)),
    }
}

/// Holds every number, and every size, to the bounds in the schema.
fn out_of_bounds(effective: &Effective) -> Vec<Mistake> {
    let beyond = |(path, value): &(Vec<String>, Value)| {
        let number = number(value)?;
        let (least, most) = Shape::root().at(path)?.bounds();
        let bound = match (least, most) {
            (Some(least), _) if number < least => format!("choose at least {least}"),
            (_, Some(most)) if number > most => format!("choose at most {most}"),
            _ => return None,
        };
        let place = effective.places.get(path).cloned().unwrap_or(Place::File(0..0));
        let key = path.join(".");
        Some(Mistake::new(place, format!("{key} = {number} is out of bounds")).help(bound))
    };
    values(&effective.settings).iter().filter_map(beyond).collect()
}

/// What the settings say of themselves; told where the first key of it was set.
fn faults(effective: &Effective) -> Vec<Mistake> {
    let place = |path: &[String]| {
        let found = effective.places.iter().find(|(key, _)| key.starts_with(path));
        found.map_or(Place::File(0..0), |(_, place)| place.clone())
    };
    let faults = effective.settings.faults().into_iter();
    faults.map(|(path, why)| Mistake::new(place(&path), format!("'{}': {why}", path.join(".")))).collect()
}

fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Integer(number) => u64::try_from(*number).ok(),
        Value::String(text) => text.parse::<Size>().ok().map(Size::bytes),
        _ => None,
    }
}

/// All keys with their values, defaults included, in the order of the schema.
pub(super) fn values(settings: &Settings) -> Vec<(Vec<String>, Value)> {
    let mut found = Vec::new();
    if let Ok(table) = Table::try_from(settings) {
        flatten(table, Shape::root(), &[], &mut found);
    }
    found
}

fn flatten(table: Table, shape: Shape, above: &[String], found: &mut Vec<(Vec<String>, Value)>) {
    for (key, value) in table {
        let path: Vec<String> = above.iter().cloned().chain([key]).collect();
        let inner = path.last().and_then(|key| shape.child(key));
        match (inner, value) {
            (Some(inner), Value::Table(table)) if !matches!(inner.kind(), Kind::Leaf) => {
                flatten(table, inner, &path, found);
            }
            (_, value) => found.push((path, value)),
        }
    }
}
