//! One operation of the interface: what it takes and answers, in the words of OpenAPI.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::super::problem::PROBLEM_JSON;
use crate::model::report::Problem;

/// The media type of reports.
const JSON: &str = "application/json";

type Generated = fn(&mut SchemaGenerator) -> Schema;

/// What one method of one path does.
pub struct Operation {
    /// In lower case.
    pub method: &'static str,
    /// As the router has it.
    pub path: &'static str,
    summary: &'static str,
    parameters: Vec<Value>,
    bodies: Vec<(&'static str, Form)>,
    answers: Vec<(u16, &'static str, Option<(&'static str, Form)>)>,
}

enum Form {
    /// A report.
    Of(Generated),
    /// Anything of a media type.
    Is(Value),
}

/// A method of a path, and what it is for.
pub fn operation(method: &'static str, path: &'static str, summary: &'static str) -> Operation {
    let (parameters, bodies, answers) = (Vec::new(), Vec::new(), Vec::new());
    Operation { method, path, summary, parameters, bodies, answers }
}

/// A `GET`.
pub fn get(path: &'static str, summary: &'static str) -> Operation {
    operation("get", path, summary)
}

/// A `POST`.
pub fn post(path: &'static str, summary: &'static str) -> Operation {
    operation("post", path, summary)
}

/// A text.
pub fn text() -> Value {
    json!({"type": "string"})
}

/// A whole number from 0 to `max`.
pub fn number(max: Option<usize>) -> Value {
    match max {
        Some(max) => json!({"type": "integer", "minimum": 0, "maximum": max}),
        None => json!({"type": "integer", "minimum": 0}),
    }
}

/// Yes or no.
pub fn flag() -> Value {
    json!({"type": "boolean"})
}

/// A duration.
pub fn duration() -> Value {
    json!({"type": "string", "examples": ["500ms", "5s", "PT5S"]})
}

impl Operation {
    /// A part of the path.
    pub fn part(self, name: &'static str, what: &'static str) -> Self {
        self.parameter("path", name, what, text())
    }

    /// A parameter of the query.
    pub fn query(self, name: &'static str, what: &'static str, schema: Value) -> Self {
        self.parameter("query", name, what, schema)
    }

    /// A header.
    pub fn header(self, name: &'static str, what: &'static str) -> Self {
        self.parameter("header", name, what, text())
    }

    fn parameter(mut self, place: &str, name: &str, what: &str, schema: Value) -> Self {
        let required = place == "path";
        let parameter =
            json!({"in": place, "name": name, "description": what, "required": required, "schema": schema});
        self.parameters.push(parameter);
        self
    }

    /// A body of a media type.
    pub fn takes_media(mut self, media: &'static str, schema: Value) -> Self {
        self.bodies.push((media, Form::Is(schema)));
        self
    }

    /// An answer that is a report.
    pub fn answers<T: JsonSchema>(mut self, status: u16, what: &'static str) -> Self {
        self.answers.push((status, what, Some((JSON, Form::Of(SchemaGenerator::subschema_for::<T>)))));
        self
    }

    /// An answer of a media type; besides others of its status, if there are any.
    pub fn answers_media(
        mut self,
        status: u16,
        media: &'static str,
        what: &'static str,
        schema: Value,
    ) -> Self {
        self.answers.push((status, what, Some((media, Form::Is(schema)))));
        self
    }

    /// An answer without a body.
    pub fn answers_nothing(mut self, status: u16, what: &'static str) -> Self {
        self.answers.push((status, what, None));
        self
    }

    /// The operation as the document has it.
    pub fn described(&self, generator: &mut SchemaGenerator) -> Value {
        let mut described = json!({
            "operationId": self.id(),
            "summary": self.summary,
            "tags": [self.tag()],
            "responses": self.responses(generator),
        });
        if let Some(operation) = described.as_object_mut() {
            if !self.parameters.is_empty() {
                operation.insert("parameters".to_owned(), json!(self.parameters));
            }
            if !self.bodies.is_empty() {
                let media = self.bodies.iter().map(|(media, form)| content(media, form, generator));
                let content: Map<_, _> = media.collect();
                operation.insert("requestBody".to_owned(), json!({"required": true, "content": content}));
            }
        }
        described
    }

    fn responses(&self, generator: &mut SchemaGenerator) -> Value {
        let problem = content(PROBLEM_JSON, &Form::Of(SchemaGenerator::subschema_for::<Problem>), generator);
        let default = json!({"description": "What was wrong.", "content": Map::from_iter([problem])});
        let mut responses = Map::from_iter([("default".to_owned(), default)]);
        for (status, what, body) in &self.answers {
            let response =
                responses.entry(status.to_string()).or_insert_with(|| json!({"description": what}));
            let (Some(response), Some((media, form))) = (response.as_object_mut(), body) else { continue };
            let all = response.entry("content").or_insert_with(|| json!({}));
            let (media, described) = content(media, form, generator);
            if let Some(all) = all.as_object_mut() {
                all.insert(media, described);
            }
        }
        Value::Object(responses)
    }

    /// `get-channels-name-events`
    fn id(&self) -> String {
        let words = self.path.split(['/', '{', '}', '.']).filter(|word| !word.is_empty() && *word != "v1");
        words.fold(self.method.to_owned(), |id, word| format!("{id}-{word}"))
    }

    /// What the path is about: its first word.
    fn tag(&self) -> &str {
        let mut words = self.path.trim_start_matches("/v1").split('/').filter(|word| !word.is_empty());
        words.next().filter(|_| self.path.starts_with("/v1")).unwrap_or("machines")
    }
}

fn content(media: &str, form: &Form, generator: &mut SchemaGenerator) -> (String, Value) {
    let schema = match form {
        Form::Of(generated) => generated(generator).to_value(),
        Form::Is(schema) => schema.clone(),
    };
    (media.to_owned(), json!({ "schema": schema }))
}
