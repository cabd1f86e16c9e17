//! Compiles jq and keeps what it compiled.

use std::collections::HashMap;
use std::rc::Rc;

use jaq_core::load::{self, Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Filter, Vars, compile, data, unwrap_valr};
use jaq_json::Val;

type Data = data::JustLut<Val>;

/// The most expressions that are kept compiled.
const COMPILED_MAX: usize = 500;

/// Functions that an expression must not have: what they give depends on where and when it runs, or they end or write something.
const LEFT_OUT: [&str; 11] = [
    "env",
    "now",
    "localtime",
    "strflocaltime",
    "halt",
    "halt_error",
    "debug",
    "debug_empty",
    "stderr",
    "stderr_empty",
    "input_line_number",
];

/// The expressions that were compiled, by their text and the names of their variables.
#[derive(Default)]
pub struct Compiled {
    known: HashMap<(String, Vec<String>), Rc<Program>>,
}

impl Compiled {
    /// An expression, compiled now or before; or what is wrong with it.
    pub fn get(&mut self, code: &str, names: &[String]) -> Result<Rc<Program>, String> {
        let key = (code.to_owned(), names.to_vec());
        if let Some(program) = self.known.get(&key) {
            return Ok(program.clone());
        }
        let program = Rc::new(Program::compile(code, names)?);
        if self.known.len() >= COMPILED_MAX {
            self.known.clear();
        }
        self.known.insert(key, program.clone());
        Ok(program)
    }
}

/// A compiled expression.
pub struct Program(Filter<Data>);

impl Program {
    fn compile(code: &str, names: &[String]) -> Result<Self, String> {
        let arena = Arena::default();
        let modules = Loader::new(definitions()).load(&arena, File { code, path: () });
        let modules = modules.map_err(|errors| not_loaded(code, &errors))?;
        let no_files = load::import(&modules, |_| Err("an expression has no files".to_owned()));
        no_files.map_err(|errors| not_loaded(code, &errors))?;
        let names: Vec<String> = names.iter().map(|name| format!("${name}")).collect();
        let compiler = Compiler::default().with_funs(functions());
        let compiled = compiler.with_global_vars(names.iter().map(String::as_str)).compile(modules);
        compiled.map(Self).map_err(|errors| not_compiled(code, &errors))
    }

    /// What it gives, one value after the other.
    pub fn run(&self, variables: Vec<Val>, input: Val) -> impl Iterator<Item = Result<Val, String>> {
        let context = Ctx::<Data>::new(&self.0.lut, Vars::new(variables));
        self.0.id.run((context, input)).map(|value| unwrap_valr(value).map_err(said))
    }
}

/// What an error says: a text as it is, all else as JSON.
fn said(error: jaq_json::Error) -> String {
    match error.into_val() {
        Val::TStr(text) => String::from_utf8_lossy(&text).into_owned(),
        other => other.to_string(),
    }
}

fn definitions() -> impl Iterator<Item = load::parse::Def<&'static str>> {
    let all = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
    all.filter(|definition| !LEFT_OUT.contains(&definition.name))
}

fn functions() -> impl Iterator<Item = jaq_core::native::Fun<Data>> {
    let all = jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs());
    all.filter(|(name, ..)| !LEFT_OUT.contains(name))
}

/// The first thing that is wrong with the form.
fn not_loaded(code: &str, errors: &load::Errors<&str, ()>) -> String {
    let Some((_, error)) = errors.first() else { return "it is not jq".to_owned() };
    let expected = |expected: &str, found: &str| format!("{expected} is expected {}", at(code, found));
    let said = match error {
        load::Error::Io(errors) => errors.first().map(|(module, _)| {
            format!("the module {module} {} is not there; an expression has no files", at(code, module))
        }),
        load::Error::Lex(errors) => errors.first().map(|(what, found)| expected(what.as_str(), found)),
        load::Error::Parse(errors) => errors.first().map(|(what, found)| expected(what.as_str(), found)),
    };
    said.unwrap_or_else(|| "it is not jq".to_owned())
}

/// The first name that nothing stands for.
fn not_compiled(code: &str, errors: &compile::Errors<&str, ()>) -> String {
    let Some((found, undefined)) = errors.iter().find_map(|(_, errors)| errors.first()) else {
        return "it cannot be compiled".to_owned();
    };
    let what = match undefined {
        compile::Undefined::Filter(0) => format!("the function '{found}'"),
        compile::Undefined::Filter(arity) => format!("the function '{found}' of {arity}"),
        other => format!("the {} '{found}'", other.as_str()),
    };
    let why = if LEFT_OUT.contains(found) { "is not offered to workflows" } else { "is not there" };
    format!("{what} {} {why}", at(code, found))
}

/// Where a part of the code stands, as people count.
fn at(code: &str, part: &str) -> String {
    let start = load::span(code, part).start;
    match code.get(..start) {
        Some(_) if start == code.len() => "at its end".to_owned(),
        Some(before) => format!("at character {}", before.chars().count() + 1),
        None => "in it".to_owned(),
    }
}
