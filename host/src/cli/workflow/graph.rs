//! `baton workflow graph`: the steps of a definition as a tree.

use std::path::Path;

use super::text_of;
use crate::cli::Shared;
use crate::cli::failure::Failure;
use crate::cli::output::{Style, Tone, clean};
use crate::model::workflow::definition::Definition;
use crate::model::workflow::graph::{Node, graph};
use crate::model::workflow::read::read;

/// Shows the tree.
pub fn run(file: &Path, shared: &Shared) -> Result<(), Failure> {
    let reading = read(&text_of(file)?);
    let wrong = reading.mistakes.len();
    let definition = reading.definition.filter(|_| wrong == 0).ok_or_else(|| {
        let file = file.display();
        Failure::failed(format!("{file} is no definition that can run; see `baton workflow check {file}`"))
    })?;
    shared.out().show(&graph(&definition), render)
}

/// The steps of a definition.
pub(super) fn drawn(definition: &Definition, style: Style) -> String {
    render(&graph(definition), style)
}

fn render(node: &Node, style: Style) -> String {
    let mut text = line(node, style);
    draw(&node.steps, "", style, &mut text);
    text
}

fn draw(steps: &[Node], lead: &str, style: Style, text: &mut String) {
    for (number, step) in steps.iter().enumerate() {
        let (corner, bar) = if number + 1 == steps.len() { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        text.push_str(&format!("{lead}{corner}{}", line(step, style)));
        draw(&step.steps, &format!("{lead}{bar}"), style, text);
    }
}

fn line(node: &Node, style: Style) -> String {
    let mut line = format!("{}  {}", style.paint(Tone::Name, &clean(&node.name)), clean(&node.does));
    for note in &node.notes {
        line.push_str(&style.paint(Tone::Quiet, &format!(", {}", clean(note))));
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_hang_below_the_one_that_they_are_in() {
        let node = |name: &str, steps| Node {
            name: name.to_owned(),
            does: "does".to_owned(),
            notes: vec!["then end".to_owned()],
            steps,
        };
        let inner = vec![node("b", vec![node("c", Vec::new())]), node("d", Vec::new())];
        let expected =
            "a  does, then end\n├─ b  does, then end\n│  └─ c  does, then end\n└─ d  does, then end\n";
        assert_eq!(render(&node("a", inner), Style::default()), expected);
    }
}
