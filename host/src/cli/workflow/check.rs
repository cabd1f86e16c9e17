//! `baton workflow check`: all that is wrong with definitions, at once.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::against::{self, Against};
use super::text_of;
use crate::cli::Shared;
use crate::cli::failure::Failure;
use crate::cli::folders;
use crate::cli::output::{Style, Tone, clean, counted, wrap};
use crate::model::workflow::read::{Mistake, Reading, read};
use crate::runtime::{Engine, EngineConfig, Expressions};

/// What is said of all files.
#[derive(Serialize)]
struct Checked {
    /// Whether a host would take them all.
    fine: bool,
    files: Vec<CheckedFile>,
    /// What the host says of the runs in progress, if it was asked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    against_runs: Vec<Against>,
}

/// What is said of one.
#[derive(Serialize)]
struct CheckedFile {
    file: String,
    /// Namespace, name and version, if they can be read.
    workflow: Option<String>,
    /// How many tasks it has.
    tasks: usize,
    mistakes: Vec<Mistake>,
}

/// Shows what is wrong; exit code 1 if anything is.
pub fn run(files: &[PathBuf], against_runs: bool, shared: &Shared) -> Result<(), Failure> {
    let mut readings = Vec::with_capacity(files.len());
    for file in files {
        readings.push(read(&text_of(file)?));
    }
    complete(&mut readings)?;
    let said: Vec<_> = files.iter().zip(readings).map(|(file, reading)| said(file, reading)).collect();
    let wrong: usize = said.iter().map(|file| file.mistakes.len()).sum();
    let asked: &[PathBuf] = if against_runs && wrong == 0 { files } else { &[] };
    let client = shared.client();
    let against_runs = asked.iter().map(|file| against::ask(file, &client)).collect::<Result<_, _>>()?;
    let checked = Checked { fine: wrong == 0, files: said, against_runs };
    shared.out().show(&checked, render)?;
    match wrong {
        0 => Ok(()),
        wrong => Err(Failure::failed(counted(wrong as u64, "mistake"))),
    }
}

/// Adds what is wrong with the expressions. Whoever has none needs nothing that compiles them.
fn complete(readings: &mut [Reading]) -> Result<(), Failure> {
    if readings.iter().all(|reading| reading.expressions.is_empty()) {
        return Ok(());
    }
    // Compiling the guest that reads expressions takes seconds; the next call finds its code.
    let cache_dir = folders::cache().map(|cache| cache.join("compiled"));
    let engine = Engine::new(EngineConfig { cache_dir, ..EngineConfig::default() });
    let expressions = engine.map(|engine| Expressions::new(&engine));
    let failed = |error: crate::runtime::Error| Failure {
        code: Some(error.code().to_owned()),
        ..Failure::failed(format!("expressions cannot be checked: {error}"))
    };
    let expressions = expressions.map_err(failed)?;
    readings.iter_mut().try_for_each(|reading| expressions.complete(reading)).map_err(failed)
}

fn said(file: &Path, reading: Reading) -> CheckedFile {
    let workflow = reading.definition.as_ref().map(|definition| {
        let document = &definition.document;
        format!("{}/{} {}", document.namespace, document.name, document.version)
    });
    let tasks = reading.definition.as_ref().map_or(0, |definition| definition.all().len());
    CheckedFile { file: file.display().to_string(), workflow, tasks, mistakes: reading.mistakes }
}

fn render(checked: &Checked, style: Style) -> String {
    let files = checked.files.iter().map(|file| render_file(file, style));
    files.chain(checked.against_runs.iter().map(|against| against::render(against, style))).collect()
}

fn render_file(file: &CheckedFile, style: Style) -> String {
    let name = clean(&file.file);
    if file.mistakes.is_empty() {
        let workflow = file.workflow.as_deref().unwrap_or_default();
        let fine = style.paint(Tone::Good, "fine:");
        return format!("{fine} {name}: {workflow}, {}\n", counted(file.tasks as u64, "task"));
    }
    file.mistakes.iter().map(|mistake| render_mistake(&name, mistake, style)).collect()
}

/// The place first, in the form that editors and terminals open.
fn render_mistake(file: &str, mistake: &Mistake, style: Style) -> String {
    let place = format!("{file}:{}:{}", mistake.spot.line, mistake.spot.column);
    let word = style.paint(Tone::Bad, &format!("error[{}]", mistake.code.as_str()));
    let path = if mistake.path.is_empty() { String::new() } else { format!(" {}", clean(&mistake.path)) };
    let mut text = format!("{}: {word}{path}\n", style.paint(Tone::Name, &place));
    let help = mistake.help.as_ref().map(|help| format!("instead: {help}"));
    for said in [Some(mistake.message.clone()), help].into_iter().flatten() {
        wrap(&said, 2).iter().for_each(|line| text.push_str(&format!("  {line}\n")));
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const HEAD: &str = "document: { dsl: '1.0.3', namespace: shop, name: order, version: '1.0.0' }\n";

    fn shown(rest: &str) -> String {
        render_file(&said(Path::new("order.yaml"), read(&format!("{HEAD}{rest}"))), Style::default())
    }

    #[test]
    fn a_fine_definition_is_named_and_its_tasks_are_counted() {
        assert_eq!(shown("do: [ { a: { set: { x: 1 } } } ]"), "fine: order.yaml: shop/order 1.0.0, 1 task\n");
    }

    #[test]
    fn a_mistake_is_told_with_its_place_in_file_and_document_and_what_to_do() {
        let text = shown("do:\n- a:\n    set: { x: 1 }\n    then: nowhere\n");
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("order.yaml:4:5: error[reference] /do/0/a"), "{text}");
        assert!(lines.next().unwrap().contains("nowhere"), "{text}");
    }
}
