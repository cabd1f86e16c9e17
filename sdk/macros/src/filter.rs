//! Filters as they are written in `subscribe(.., filter = ..)`, checked as the host checks them, and their JSON.

use serde_json::{Map, Value, json};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::{Error, Ident, LitStr, Result, Token, parenthesized};

/// How deep filters may be nested.
const DEPTH_MAX: usize = 8;
/// The most comparisons, `all`, `any` and `not` of one filter.
const RULES_MAX: usize = 64;
const TEXT_BYTES_MAX: usize = 4096;
/// What is no attribute, or is one only when the event leaves the host.
const UNSEEN: [&str; 3] = ["data", "sequence", "recordedtime"];

/// `any(exact(type = "a"), not(prefix(subject = "order-")))`, as the descriptor's JSON has it.
pub struct Filter(pub Value);

impl Parse for Filter {
    fn parse(input: ParseStream) -> Result<Self> {
        filter(input, 1, &mut 0).map(Self)
    }
}

fn filter(input: ParseStream, depth: usize, rules: &mut usize) -> Result<Value> {
    let word: Ident = input.parse()?;
    if depth > DEPTH_MAX {
        return Err(Error::new(word.span(), format!("filters are nested at most {DEPTH_MAX} deep")));
    }
    let content;
    parenthesized!(content in input);
    let name = word.to_string();
    let inner = match name.as_str() {
        "exact" | "prefix" | "suffix" => comparisons(&word, &content, rules)?,
        "all" | "any" => {
            count(&word, rules)?;
            Value::Array(filters(&word, &content, depth + 1, rules)?)
        }
        "not" => {
            count(&word, rules)?;
            let inner = filter(&content, depth + 1, rules)?;
            content.parse::<Option<Token![,]>>()?;
            if !content.is_empty() {
                return Err(content.error("not takes one filter; join several by all or any"));
            }
            inner
        }
        _ => {
            let why = format!("'{name}' is not known here; use exact, prefix, suffix, all, any or not");
            return Err(Error::new(word.span(), why));
        }
    };
    Ok(json!({ name: inner }))
}

fn filters(word: &Ident, content: ParseStream, depth: usize, rules: &mut usize) -> Result<Vec<Value>> {
    let mut filters = Vec::new();
    while !content.is_empty() {
        filters.push(filter(content, depth, rules)?);
        if !content.is_empty() {
            content.parse::<Token![,]>()?;
        }
    }
    if filters.is_empty() {
        return Err(Error::new(word.span(), format!("{word} takes one filter or more")));
    }
    Ok(filters)
}

fn comparisons(word: &Ident, content: ParseStream, rules: &mut usize) -> Result<Value> {
    let mut comparisons = Map::new();
    while !content.is_empty() {
        let attribute = Ident::parse_any(content)?;
        count(&attribute, rules)?;
        content.parse::<Token![=]>()?;
        let text: LitStr = content.parse()?;
        let name = attribute_name(&attribute)?;
        if comparisons.insert(name, json!(checked(&text)?)).is_some() {
            let why = format!("'{attribute}' is there twice; compare it twice by all or any");
            return Err(Error::new(attribute.span(), why));
        }
        if !content.is_empty() {
            content.parse::<Token![,]>()?;
        }
    }
    if comparisons.is_empty() {
        let why = format!("{word} compares an attribute with a text: {word}(type = \"a\")");
        return Err(Error::new(word.span(), why));
    }
    Ok(Value::Object(comparisons))
}

fn attribute_name(attribute: &Ident) -> Result<String> {
    let name = attribute.unraw().to_string();
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if UNSEEN.contains(&name.as_str()) {
        let why = format!("filters see what stands in an event's attributes, and '{name}' does not");
        return Err(Error::new(attribute.span(), why));
    }
    if name.len() > 64 || !name.chars().all(allowed) {
        let why = format!("'{name}' is no attribute: use up to 64 lower-case letters and digits");
        return Err(Error::new(attribute.span(), why));
    }
    Ok(name)
}

fn checked(text: &LitStr) -> Result<String> {
    let value = text.value();
    match value.len() {
        1..=TEXT_BYTES_MAX => Ok(value),
        len => {
            Err(Error::new(text.span(), format!("the text has {len} bytes; give it 1 to {TEXT_BYTES_MAX}")))
        }
    }
}

fn count(word: &Ident, rules: &mut usize) -> Result<()> {
    *rules += 1;
    if *rules > RULES_MAX {
        return Err(Error::new(word.span(), format!("a filter has at most {RULES_MAX} rules")));
    }
    Ok(())
}
