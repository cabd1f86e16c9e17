//! Values that expressions give: how they are asked for, and what expressions may name.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::super::expression::{Expression, Template};
use super::super::failure::{Error, Kind};
use super::super::run::{ROOT, VALUE_DEPTH_MAX, is_too_deep};
use super::super::task::{DURATION_MS_MAX, Length, Task};
use super::{Evaluated, Evaluation, Machine, Stop};
use crate::model::time::{parse_duration, rfc3339};

/// What was evaluated for the thing that is done now, in the order in which it asks.
#[derive(Debug, Default)]
pub struct Answers {
    given: Vec<Evaluated>,
    used: usize,
}

impl Answers {
    pub fn new(given: Vec<Evaluated>) -> Self {
        Self { given, used: 0 }
    }

    /// Whether nothing was evaluated yet: the thing is done for the first time.
    pub fn is_fresh(&self) -> bool {
        self.given.is_empty()
    }

    pub fn given(self) -> Vec<Evaluated> {
        self.given
    }

    fn next(&mut self) -> Option<&Evaluated> {
        let next = self.given.get(self.used);
        self.used += 1;
        next
    }
}

/// Where an expression stands: what it may name.
#[derive(Clone, Copy)]
pub struct Place<'m> {
    machine: &'m Machine<'m>,
    task: Option<&'m Task>,
    /// The scope whose variables it sees, and those of all scopes round it.
    within: u32,
    since_ms: u64,
    raw: Option<&'m Value>,
    input: Option<&'m Value>,
    raw_output: Option<&'m Value>,
    output: Option<&'m Value>,
    /// Variables that no scope has yet.
    more: &'m [(&'m str, Value)],
}

impl<'m> Place<'m> {
    /// In the workflow, or in a task that is about to begin in a scope.
    pub fn new(machine: &'m Machine<'m>, task: Option<&'m Task>, within: u32) -> Self {
        let since_ms = machine.at_ms;
        let (raw, input, raw_output, output) = (None, None, None, None);
        Self { machine, task, within, since_ms, raw, input, raw_output, output, more: &[] }
    }

    /// In a scope, with its input.
    pub fn of(machine: &'m Machine<'m>, scope: u32) -> Self {
        let place = Self::new(machine, machine.task(scope), scope);
        match machine.run.scopes.get(&scope) {
            Some(scope) => Self { since_ms: scope.since_ms, ..place }.raw(scope.given()).input(&scope.input),
            None => place,
        }
    }

    pub fn raw(self, raw: &'m Value) -> Self {
        Self { raw: Some(raw), ..self }
    }

    pub fn input(self, input: &'m Value) -> Self {
        Self { input: Some(input), ..self }
    }

    pub fn raw_output(self, output: &'m Value) -> Self {
        Self { raw_output: Some(output), ..self }
    }

    pub fn output(self, output: &'m Value) -> Self {
        Self { output: Some(output), ..self }
    }

    pub fn with(self, more: &'m [(&'m str, Value)]) -> Self {
        Self { more, ..self }
    }

    /// The values of expressions on an input; nothing is asked for if there are none.
    pub fn all(
        &self,
        expressions: Vec<Expression>,
        on: &Value,
        answers: &mut Answers,
    ) -> Result<Vec<Value>, Stop> {
        if expressions.is_empty() {
            return Ok(Vec::new());
        }
        match answers.next() {
            Some(Ok(values)) => Ok(values.clone()),
            Some(Err(why)) => Err(Stop::Fault(self.error(why))),
            None => {
                let variables = self.variables(&expressions);
                Err(Stop::Need(Evaluation { expressions, input: on.clone(), variables }))
            }
        }
    }

    /// The value of an expression on an input.
    pub fn one(&self, expression: &Expression, on: &Value, answers: &mut Answers) -> Result<Value, Stop> {
        let values = self.all(vec![expression.clone()], on, answers)?;
        let value = values.into_iter().next().ok_or_else(|| Stop::Fault(self.error("it gave no value")))?;
        self.kept(value)
    }

    /// Whether a condition holds; where there is none, it does.
    pub fn holds(
        &self,
        condition: Option<&Expression>,
        on: &Value,
        answers: &mut Answers,
    ) -> Result<bool, Stop> {
        let Some(condition) = condition else { return Ok(true) };
        let value = self.one(condition, on, answers)?;
        Ok(is_true(&value))
    }

    /// A value with its expressions replaced by what they give.
    pub fn fill(&self, template: &Template, on: &Value, answers: &mut Answers) -> Result<Value, Stop> {
        let values = self.all(template.expressions(), on, answers)?;
        self.kept(template.fill(&mut values.into_iter()))
    }

    /// A value that a run can keep.
    pub fn kept(&self, value: Value) -> Result<Value, Stop> {
        self.shallow(&value).map(|()| value)
    }

    /// Refuses a value that no run can keep.
    pub fn shallow(&self, value: &Value) -> Result<(), Stop> {
        match is_too_deep(value) {
            false => Ok(()),
            true => Err(Stop::Fault(self.error(&format!("a value is nested deeper than {VALUE_DEPTH_MAX}")))),
        }
    }

    /// The same for a value that must be a text.
    pub fn text(&self, template: &Template, on: &Value, answers: &mut Answers) -> Result<String, Stop> {
        match self.fill(template, on, answers)? {
            Value::String(text) => Ok(text),
            Value::Number(number) => Ok(number.to_string()),
            Value::Bool(is) => Ok(is.to_string()),
            other => Err(Stop::Fault(self.error(&format!("a text is wanted, not {other}")))),
        }
    }

    /// A length in milliseconds.
    pub fn ms(&self, length: &Length, on: &Value, answers: &mut Answers) -> Result<u64, Stop> {
        let expression = match length {
            Length::Ms(ms) => return Ok(*ms),
            Length::Asked(expression) => expression,
        };
        let value = self.one(expression, on, answers)?;
        let text = value.as_str().ok_or_else(|| format!("a duration such as PT5S is wanted, not {value}"));
        let duration = text.and_then(|text| parse_duration(text).map_err(|error| error.to_string()));
        let duration = duration.map_err(|why| Stop::Fault(self.error(&why)))?;
        let ms = u64::try_from(duration.as_millis()).ok().filter(|ms| *ms <= DURATION_MS_MAX);
        ms.ok_or_else(|| Stop::Fault(self.error("a duration is at most ten years")))
    }

    fn error(&self, why: &str) -> Error {
        self.error_of(Kind::Expression, why)
    }

    /// An error at this place.
    pub fn fault(&self, kind: Kind, why: &str) -> Stop {
        Stop::Fault(self.error_of(kind, why))
    }

    fn error_of(&self, kind: Kind, why: &str) -> Error {
        let at = self.task.map(|task| task.at.0.clone()).unwrap_or_default();
        Error::new(kind, at, why)
    }

    /// What the expressions name, and nothing else: what is not named is not handed over.
    fn variables(&self, expressions: &[Expression]) -> Map<String, Value> {
        let is_named = |name: &str| {
            let name = format!("${name}");
            expressions.iter().any(|one| one.as_str().contains(&name))
        };
        let mut variables = Map::new();
        let mut put = |name: &str, value: &dyn Fn() -> Option<Value>| {
            if !variables.contains_key(name) && is_named(name) {
                variables.extend(value().map(|value| (name.to_owned(), value)));
            }
        };
        for (name, value) in self.more {
            put(name, &|| Some(value.clone()));
        }
        for (name, value) in self.machine.scoped(self.within) {
            put(name, &|| Some(value.clone()));
        }
        put("input", &|| self.input.cloned());
        put("output", &|| self.output.cloned());
        put("context", &|| Some(self.machine.context()));
        put("task", &|| self.task.map(|task| self.told_of(task)));
        put("workflow", &|| Some(self.machine.told()));
        put("runtime", &|| Some(json!({"name": "baton", "version": env!("CARGO_PKG_VERSION")})));
        variables
    }

    fn told_of(&self, task: &Task) -> Value {
        let mut told = Map::new();
        told.insert("name".into(), json!(task.name));
        told.insert("reference".into(), json!(task.at));
        told.insert("startedAt".into(), moment(self.since_ms));
        told.extend(self.raw.map(|raw| ("input".to_owned(), raw.clone())));
        told.extend(self.raw_output.map(|output| ("output".to_owned(), output.clone())));
        Value::Object(told)
    }
}

impl Machine<'_> {
    /// Variables of a scope and of those round it, the nearest first.
    fn scoped(&self, scope: u32) -> Vec<(&str, &Value)> {
        let scopes = &self.run.scopes;
        let mut found = Vec::new();
        let mut at = scopes.get(&scope);
        while let Some(scope) = at {
            found.extend(scope.variables.iter().map(|(name, value)| (name.as_str(), value)));
            at = scope.parent.and_then(|parent| scopes.get(&parent));
        }
        found
    }

    /// The same by name: of two with one name the nearest counts.
    pub(super) fn variables(&self, scope: u32) -> BTreeMap<String, Value> {
        let all = self.scoped(scope).into_iter().rev();
        all.map(|(name, value)| (name.to_owned(), value.clone())).collect()
    }

    fn context(&self) -> Value {
        let initial = || self.run.scopes.get(&ROOT).map(|root| root.input.clone());
        self.run.context.clone().or_else(initial).unwrap_or_default()
    }

    fn told(&self) -> Value {
        json!({
            "id": self.run.id,
            "definition": {"document": self.definition.document},
            "input": self.run.input,
            "startedAt": moment(self.run.started_ms),
        })
    }
}

fn moment(ms: u64) -> Value {
    json!({"iso8601": rfc3339(ms), "epoch": {"seconds": ms / 1000, "milliseconds": ms}})
}

/// As jq has it: all but `null` and `false`.
pub fn is_true(value: &Value) -> bool {
    !matches!(value, Value::Null | Value::Bool(false))
}
