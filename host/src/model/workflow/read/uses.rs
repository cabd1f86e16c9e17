//! What a workflow names under `use`.

use super::at::{At, Found, escaped};
use super::document::Form;
use super::mistake::Code;
use super::{parts, task};
use crate::model::workflow::task::Call;

/// What is named under `use`.
pub struct Uses<'n> {
    at: Option<At<'n>>,
}

const UNSUPPORTED: &[(&str, &str)] = &[
    ("authentications", "let a processor do the call, with what it is granted in baton.toml"),
    ("secrets", "give the secret to the processor that needs it, in baton.toml"),
    ("extensions", "put the tasks where they are needed, or into the processor"),
    ("catalogs", "call a processor by its name, or name a function under use.functions"),
];

impl<'n> Uses<'n> {
    /// Reads the part, and checks what is named in it once, whether it is used or not.
    pub fn read(root: &At<'n>, found: &mut Found) -> Self {
        let uses = Self { at: root.get("use") };
        let Some(at) = &uses.at else { return uses };
        found.keys(at, &["functions", "errors", "retries", "timeouts"], UNSUPPORTED);
        for (kind, read) in KINDS {
            let named = at.get(kind).map(|all| all.fields(found)).unwrap_or_default();
            named.iter().for_each(|(_, _, one)| read(one, &uses, found));
        }
        uses
    }

    /// What stands there, or what the name that stands there means.
    pub fn named(&self, at: &At<'n>, kind: &str, found: &mut Found) -> Option<At<'n>> {
        let Form::Text(name) = &at.node.form else { return Some(at.clone()) };
        let all = self.at.as_ref().and_then(|at| at.get(kind));
        let named = all.as_ref().and_then(|all| all.get(name));
        if named.is_none() {
            let known: Vec<&str> =
                all.iter().flat_map(|all| all.fields(found)).map(|(name, _, _)| name).collect();
            let help = match known.as_slice() {
                [] => format!("name it under use.{kind}, or write it here"),
                known => format!("there are: {}", known.join(", ")),
            };
            found.wrong(Code::Reference, at, format!("use.{kind} has no '{name}'"), Some(&help));
        }
        named
    }

    /// The function with a name.
    pub fn function(&self, name: &str) -> Option<At<'n>> {
        let functions = self.at.as_ref()?.get("functions")?;
        let node = functions.node.get(name)?;
        Some(At { node, path: format!("{}/{}", functions.path, escaped(name)) })
    }
}

type Read = fn(&At<'_>, &Uses<'_>, &mut Found);

const KINDS: [(&str, Read); 4] = [
    ("functions", |at, _, found| drop(function(at, found))),
    ("errors", |at, _, found| check(at, |at, uses, found| drop(parts::error(at, uses, found)), found)),
    ("retries", |at, _, found| check(at, |at, uses, found| drop(parts::retry(at, uses, found)), found)),
    ("timeouts", |at, _, found| check(at, |at, uses, found| drop(parts::timeout(at, uses, found)), found)),
];

/// Checks one of them where it stands; a name for a name is none.
fn check(at: &At<'_>, read: impl Fn(&At<'_>, &Uses<'_>, &mut Found), found: &mut Found) {
    match &at.node.form {
        Form::Map(_) => read(at, &Uses { at: None }, found),
        _ => found.wanted(at, "a map"),
    }
}

/// A function: a call of a processor, with what each call of the function begins from.
pub fn function(at: &At<'_>, found: &mut Found) -> Option<Call> {
    found.keys(at, &["call", "with", "input"], task::ACTIONS_NOT_IN_FUNCTIONS);
    let processor = task::processor(&found.required(at, "call")?, found)?;
    let event = parts::event(&found.required(at, "with")?, None, found)?;
    let schema = at.get("input").and_then(|input| parts::input(&input, found).schema);
    Some(Call { processor, event, schema })
}
