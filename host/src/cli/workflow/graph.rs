//! `baton workflow graph`: a definition as a flowchart in Mermaid.

use std::path::Path;

use serde::Serialize;

use super::text_of;
use crate::cli::Shared;
use crate::cli::failure::Failure;
use crate::model::workflow::graph::graph;
use crate::model::workflow::read::read;

/// What is drawn.
#[derive(Serialize)]
struct Drawn {
    file: String,
    /// The chart.
    mermaid: String,
}

/// Shows the chart.
pub fn run(file: &Path, shared: &Shared) -> Result<(), Failure> {
    let drawn = Drawn { file: file.display().to_string(), mermaid: chart(file, &text_of(file)?)? };
    shared.out().show(&drawn, |drawn, _| drawn.mermaid.clone())
}

fn chart(file: &Path, text: &str) -> Result<String, Failure> {
    let definition = read(text).fine().map_err(|_| {
        let file = file.display();
        Failure::failed(format!("{file} is no definition that can run; see `baton workflow check {file}`"))
    })?;
    Ok(graph(&definition))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const HEAD: &str = "document: { dsl: '1.0.3', namespace: shop, name: order, version: '1.0.0' }\n";

    #[test]
    fn a_definition_is_drawn_as_mermaid_and_one_with_mistakes_is_not() {
        let chart_of = |rest: &str| chart(Path::new("order.yaml"), &format!("{HEAD}{rest}"));
        let text = chart_of("do: [ { pay: { call: payment, with: { type: a } } } ]").unwrap();
        assert!(text.starts_with("flowchart TD\n") && text.ends_with("n1 --> done\n"), "{text}");
        let failure = chart_of("do: [ { pay: { call: http } } ]").unwrap_err();
        assert!(format!("{failure:?}").contains("baton workflow check order.yaml"));
    }
}
