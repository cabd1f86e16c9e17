//! Reads a definition: YAML or JSON in the DSL 1.0.0 to 1.0.3. All mistakes are told at once, each with its place and what to use instead; parts
//! of the DSL that are not run are refused by name. Whether expressions compile is for whoever can compile them: [`Reading::expressions`] says
//! which there are and where.

mod at;
mod document;
mod links;
mod mistake;
mod parts;
mod task;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
mod tests;
mod uses;

pub use at::Placed;
pub use mistake::{Code, Mistake, Spot};

use at::{At, Found};
use document::Form;
use uses::Uses;

use super::definition::{Definition, Document, EventFilter};
use super::expression::Expression;
use crate::model::name::ProcessorName;

/// The most bytes of a definition.
pub const DEFINITION_BYTES_MAX: usize = 1 << 20;
/// The most tasks of a definition.
pub const TASKS_MAX: usize = 1_000;

const VERSIONS: [&str; 4] = ["1.0.0", "1.0.1", "1.0.2", "1.0.3"];

/// Variables that every expression may name.
const VARIABLES: [&str; 6] = ["context", "input", "output", "task", "workflow", "runtime"];

/// What was read.
#[derive(Debug)]
pub struct Reading {
    /// The workflow, unless something is missing in it.
    pub definition: Option<Definition>,
    /// What is wrong, in the order of the text.
    pub mistakes: Vec<Mistake>,
    /// All expressions and where they stand.
    pub expressions: Vec<Placed>,
    /// All variables that expressions may name, without the `$`.
    pub variables: Vec<String>,
}

impl Reading {
    /// Adds mistakes of expressions: `compile` is given all expressions and says of each why it does not compile.
    pub fn compile(&mut self, compile: impl FnOnce(&[Expression], &[String]) -> Vec<Option<String>>) {
        let expressions: Vec<Expression> =
            self.expressions.iter().map(|one| one.expression.clone()).collect();
        let why = compile(&expressions, &self.variables);
        let wrong = self.expressions.iter().zip(why).filter_map(|(placed, why)| {
            let (code, spot, path) = (Code::Expression, placed.spot, placed.path.clone());
            Some(Mistake {
                code,
                spot,
                path,
                message: format!("the expression does not compile: {}", why?),
                help: None,
            })
        });
        let wrong: Vec<Mistake> = wrong.collect();
        self.mistakes.extend(wrong);
        tidy(&mut self.mistakes);
    }

    /// The workflow, if nothing is wrong with it.
    pub fn fine(self) -> Result<Definition, Vec<Mistake>> {
        match self.definition {
            Some(definition) if self.mistakes.is_empty() => Ok(definition),
            _ => Err(self.mistakes),
        }
    }
}

/// Reads a text.
pub fn read(text: &str) -> Reading {
    let nothing = |mistake| Reading {
        definition: None,
        mistakes: vec![mistake],
        expressions: Vec::new(),
        variables: Vec::new(),
    };
    if text.len() > DEFINITION_BYTES_MAX {
        let message =
            format!("a definition has at most {DEFINITION_BYTES_MAX} bytes, and this has {}", text.len());
        let (code, spot, path) = (Code::Invalid, Spot::default(), String::new());
        return nothing(Mistake { code, spot, path, message, help: None });
    }
    match document::parse(text) {
        Ok(node) => whole(&At { node: &node, path: String::new() }),
        Err(mistake) => nothing(mistake),
    }
}

fn whole(root: &At<'_>) -> Reading {
    let mut found = Found::default();
    let mut definition = workflow(root, &mut found);
    if let Some(definition) = &mut definition {
        links::check(definition, root, &mut found);
    }
    let mut variables: Vec<String> = VARIABLES.map(str::to_owned).to_vec();
    variables.append(&mut found.variables);
    variables.sort();
    variables.dedup();
    tidy(&mut found.mistakes);
    Reading { definition, mistakes: found.mistakes, expressions: found.expressions, variables }
}

/// In the order of the text, each once: what is named under `use` is read wherever it is used.
fn tidy(mistakes: &mut Vec<Mistake>) {
    mistakes.sort_by(|a, b| (a.spot, &a.path, &a.message).cmp(&(b.spot, &b.path, &b.message)));
    mistakes.dedup();
}

fn workflow(root: &At<'_>, found: &mut Found) -> Option<Definition> {
    if !matches!(root.node.form, Form::Map(_)) {
        found.wanted(root, "a workflow: a map with 'document' and 'do'");
        return None;
    }
    let evaluate = "leave it out: expressions are jq, and stand in ${ }";
    let keys = ["document", "input", "use", "do", "timeout", "output", "schedule"];
    found.keys(root, &keys, &[("evaluate", evaluate)]);
    let document = found.required(root, "document").and_then(|at| document_of(&at, found));
    let uses = Uses::read(root, found);
    let input = root.get("input").map(|at| parts::input(&at, found)).unwrap_or_default();
    let output = root.get("output").map(|at| parts::output(&at, found)).unwrap_or_default();
    let on = root.get("schedule").and_then(|at| schedule(&at, found));
    let timeout = root.get("timeout").and_then(|at| parts::timeout(&at, &uses, found));
    let tasks = found.required(root, "do").map(|at| task::list(&at, &uses, found));
    Some(Definition { document: document?, input, output, on, timeout, tasks: tasks? })
}

fn document_of(at: &At<'_>, found: &mut Found) -> Option<Document> {
    found.keys(at, &["dsl", "namespace", "name", "version", "title", "summary", "tags", "metadata"], &[]);
    let mut text = |name: &str, is_needed: bool| match at.get(name) {
        Some(field) => field.text(found).map(str::to_owned),
        None if is_needed => found.required(at, name).and(None),
        None => None,
    };
    let [dsl, namespace, name, version] =
        ["dsl", "namespace", "name", "version"].map(|name| text(name, true));
    let [title, summary] = ["title", "summary"].map(|name| text(name, false));
    if let (Some(dsl), Some(field)) = (&dsl, at.get("dsl"))
        && !VERSIONS.contains(&dsl.as_str())
    {
        let help = format!("one of {} is", VERSIONS.join(", "));
        found.wrong(Code::Unsupported, &field, format!("version '{dsl}' of the DSL is not run"), Some(&help));
    }
    for (text, key) in [(&namespace, "namespace"), (&name, "name")] {
        if let (Some(text), Some(field)) = (text, at.get(key)) {
            named(text, &field, found);
        }
    }
    if let (Some(version), Some(field)) = (&version, at.get("version"))
        && !is_version(version)
    {
        found.wrong(
            Code::Invalid,
            &field,
            format!("'{version}' is no version"),
            Some("write one like '1.0.0'"),
        );
    }
    Some(Document { dsl: dsl?, namespace: namespace?, name: name?, version: version?, title, summary })
}

/// A name as the DSL has it, and as channels and keys have it.
fn named(text: &str, at: &At<'_>, found: &mut Found) {
    let is_inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let is_fine =
        text.len() <= 63 && text.chars().all(is_inner) && !text.starts_with('-') && !text.ends_with('-');
    if ProcessorName::new(text).is_err() || !is_fine {
        let help = "use lower-case letters, digits and '-' between them, at most 63";
        found.wrong(Code::Invalid, at, format!("'{text}' is no name"), Some(help));
    }
}

fn is_version(text: &str) -> bool {
    let core = text.split(['-', '+']).next().unwrap_or_default();
    let parts: Vec<&str> = core.split('.').collect();
    let is_number = |part: &&str| part.parse::<u64>().is_ok_and(|number| number.to_string() == **part);
    parts.len() == 3 && parts.iter().all(is_number)
}

fn schedule(at: &At<'_>, found: &mut Found) -> Option<EventFilter> {
    let instead = "start a run by an event: schedule.on, with something outside that publishes it in time";
    found.keys(at, &["on"], &[("cron", instead), ("every", instead), ("after", instead)]);
    let Some(on) = at.get("on") else {
        if matches!(&at.node.form, Form::Map(fields) if fields.is_empty()) {
            found.required(at, "on");
        }
        return None;
    };
    let (mut filters, all) = task::strategy(&on, true, found)?;
    if all || filters.len() != 1 {
        let help = "name one type of events; for more of them write one mediator each";
        found.wrong(Code::Unsupported, &on, "a mediator has one event queue", Some(help));
    }
    filters.pop()
}
