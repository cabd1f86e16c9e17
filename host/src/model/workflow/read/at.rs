//! A value of a document with its path, and the mistakes that are found on the way: none ends the reading.

use super::document::{Form, Node};
use super::mistake::{Code, Mistake, Spot};
use crate::model::workflow::expression::{Expression, Template};

/// A value and its path in the document.
#[derive(Clone, Debug)]
pub struct At<'n> {
    pub node: &'n Node,
    pub path: String,
}

/// An expression and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The expression.
    pub expression: Expression,
    /// Where, in the text.
    pub spot: Spot,
    /// Where, in the document: a JSON pointer.
    pub path: String,
}

/// What was found so far.
#[derive(Debug, Default)]
pub struct Found {
    pub mistakes: Vec<Mistake>,
    pub expressions: Vec<Placed>,
    /// Names of variables that tasks define.
    pub variables: Vec<String>,
}

impl<'n> At<'n> {
    /// The field with a name.
    pub fn get(&self, name: &str) -> Option<At<'n>> {
        let node = self.node.get(name)?;
        Some(At { node, path: format!("{}/{}", self.path, escaped(name)) })
    }

    /// The items of a list.
    pub fn items(&self, found: &mut Found) -> Vec<At<'n>> {
        let Form::List(items) = &self.node.form else {
            found.wanted(self, "a list");
            return Vec::new();
        };
        let at = |(number, node)| At { node, path: format!("{}/{number}", self.path) };
        items.iter().enumerate().map(at).collect()
    }

    /// The names and values of a map.
    pub fn fields(&self, found: &mut Found) -> Vec<(&'n str, Spot, At<'n>)> {
        let Form::Map(fields) = &self.node.form else {
            found.wanted(self, "a map");
            return Vec::new();
        };
        let at = |(name, spot, node): &'n (String, Spot, Node)| {
            (name.as_str(), *spot, At { node, path: format!("{}/{}", self.path, escaped(name)) })
        };
        fields.iter().map(at).collect()
    }

    pub fn text(&self, found: &mut Found) -> Option<&'n str> {
        match &self.node.form {
            Form::Text(text) => Some(text),
            _ => {
                found.wanted(self, "a text");
                None
            }
        }
    }

    pub fn flag(&self, found: &mut Found) -> Option<bool> {
        match self.node.form {
            Form::Bool(is) => Some(is),
            _ => {
                found.wanted(self, "true or false");
                None
            }
        }
    }

    pub fn number(&self, found: &mut Found) -> Option<u64> {
        let number = match &self.node.form {
            Form::Number(number) => number.as_u64(),
            _ => None,
        };
        if number.is_none() {
            found.wanted(self, "a whole number that is not negative");
        }
        number
    }

    /// An expression, with or without `${ }`.
    pub fn expression(&self, found: &mut Found) -> Option<Expression> {
        let expression = Expression::loose(self.text(found)?);
        found.placed(self, &expression);
        Some(expression)
    }

    /// An expression or a value with expressions in it, where a text alone is an expression.
    pub fn made(&self, found: &mut Found) -> Option<Template> {
        match &self.node.form {
            Form::Text(text) => {
                let expression = Expression::loose(text);
                found.placed(self, &expression);
                Some(Template(format!("${{ {} }}", expression.as_str()).into()))
            }
            Form::Map(_) => Some(self.template(found)),
            _ => {
                found.wanted(self, "an expression, or a map with expressions,");
                None
            }
        }
    }

    /// A value with expressions in it.
    pub fn template(&self, found: &mut Found) -> Template {
        self.look(found);
        Template(self.node.value())
    }

    /// A text with expressions in it, or what can be written as one.
    pub fn word(&self, found: &mut Found) -> Option<Template> {
        match &self.node.form {
            Form::Text(_) | Form::Number(_) | Form::Bool(_) => Some(self.template(found)),
            _ => {
                found.wanted(self, "a text");
                None
            }
        }
    }

    fn look(&self, found: &mut Found) {
        match &self.node.form {
            Form::Text(text) => match Expression::inner(text) {
                Some(inner) => found.placed(self, &Expression(inner.to_owned())),
                None if text.trim_start().starts_with("${") => {
                    found.wrong(Code::Expression, self, "an expression is not closed: '}' is missing", None);
                }
                None => {}
            },
            Form::List(_) => self.items(found).iter().for_each(|item| item.look(found)),
            Form::Map(_) => self.fields(found).iter().for_each(|(_, _, field)| field.look(found)),
            _ => {}
        }
    }
}

impl Found {
    pub fn wrong(&mut self, code: Code, at: &At<'_>, message: impl Into<String>, help: Option<&str>) {
        let (spot, path) = (at.node.spot, at.path.clone());
        self.mistakes.push(Mistake {
            code,
            spot,
            path,
            message: message.into(),
            help: help.map(str::to_owned),
        });
    }

    pub fn wanted(&mut self, at: &At<'_>, what: &str) {
        self.wrong(Code::Invalid, at, format!("{what} is wanted here, not {}", at.node.told()), None);
    }

    /// A field that must be there.
    pub fn required<'n>(&mut self, at: &At<'n>, name: &str) -> Option<At<'n>> {
        let field = at.get(name);
        if field.is_none() {
            self.wrong(Code::Invalid, at, format!("'{name}' is missing"), None);
        }
        field
    }

    /// Names that may stand in a map, and names that the DSL knows and Baton does not, with what to use instead.
    pub fn keys(&mut self, at: &At<'_>, known: &[&str], unsupported: &[(&str, &str)]) {
        for (name, spot, field) in at.fields(self) {
            if known.contains(&name) {
                continue;
            }
            let instead = unsupported.iter().find(|(other, _)| *other == name).map(|(_, instead)| *instead);
            let (code, message, help) = match instead {
                Some(instead) => {
                    (Code::Unsupported, format!("'{name}' is not run by Baton"), instead.to_owned())
                }
                None => {
                    let help = format!("known here: {}", known.join(", "));
                    (Code::UnknownKey, format!("'{name}' is unknown here"), help)
                }
            };
            self.mistakes.push(Mistake { code, spot, path: field.path, message, help: Some(help) });
        }
    }

    fn placed(&mut self, at: &At<'_>, expression: &Expression) {
        let expression = expression.clone();
        self.expressions.push(Placed { expression, spot: at.node.spot, path: at.path.clone() });
    }
}

pub fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
