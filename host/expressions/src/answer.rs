//! What is asked and what is answered.

use std::collections::BTreeMap;

use jaq_json::Val;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::jq::Compiled;
use crate::json::json;

/// Expressions that are evaluated on the same input with the same variables.
#[derive(Deserialize)]
pub struct Asked {
    /// The expressions, in jq.
    expressions: Vec<String>,
    /// What `.` is.
    #[serde(default)]
    input: Val,
    /// Their variables, without the `$`.
    #[serde(default)]
    variables: BTreeMap<String, Val>,
    /// Whether they are compiled and nothing else.
    #[serde(default)]
    compile_only: bool,
}

/// The values of all expressions, or what is wrong with the first that has none.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// One value for each.
    Values(Vec<Value>),
    /// It gives no value that can be used.
    Wrong {
        /// Its number.
        expression: usize,
        /// Whether it does not even compile.
        syntax: bool,
        /// What is wrong.
        why: String,
    },
}

/// Compiles the expressions and evaluates them.
pub fn answer(asked: Asked, compiled: &mut Compiled) -> Answer {
    let Asked { expressions, input, variables, compile_only } = asked;
    let (names, variables): (Vec<String>, Vec<Val>) = variables.into_iter().unzip();
    let mut values = Vec::with_capacity(expressions.len());
    for (expression, code) in expressions.iter().enumerate() {
        let wrong = |syntax| move |why| Answer::Wrong { expression, syntax, why };
        let program = match compiled.get(code, &names).map_err(wrong(true)) {
            Ok(program) => program,
            Err(wrong) => return wrong,
        };
        if compile_only {
            continue;
        }
        match one(program.run(variables.clone(), input.clone())).map_err(wrong(false)) {
            Ok(value) => values.push(value),
            Err(wrong) => return wrong,
        }
    }
    Answer::Values(values)
}

/// The one value that an expression gives. Which of several is meant, or what none means, is not guessed.
fn one(mut given: impl Iterator<Item = Result<Val, String>>) -> Result<Value, String> {
    let value = given.next().ok_or("it gave no value; write `// null`, or [ ] round it for a list")??;
    match given.next() {
        None => json(&value),
        Some(_) => Err("it gave more than one value; write [ ] round it for a list, or first( )".to_owned()),
    }
}
