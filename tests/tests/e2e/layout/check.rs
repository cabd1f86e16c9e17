//! The checks themselves: over tokens, so that a path inside a macro or an attribute counts like any other.

use std::collections::BTreeSet;
use std::path::Path;

use proc_macro2::{TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use super::source::{SourceFile, Tree};

const FUNCTION_LINES_MAX: usize = 70;

type Table = &'static [(&'static str, &'static [&'static str])];

pub struct Rules {
    pub common: &'static [&'static str],
    pub arrows: Table,
    pub foreign: Table,
    pub standard: Table,
}

impl Rules {
    fn allows(&self, from: &str, to: &str) -> bool {
        let row = self.arrows.iter().find(|(module, _)| *module == from);
        from == to || self.common.contains(&to) || row.is_some_and(|(_, seen)| seen.contains(&to))
    }

    fn knows(&self, module: &str) -> bool {
        self.arrows.iter().any(|(known, _)| *known == module)
    }
}

/// Every import that the table does not allow; modules without a row; files outside the tree.
pub fn imports(tree: &Tree, rules: &Rules) -> Vec<String> {
    let modules: BTreeSet<&str> =
        tree.files.values().filter_map(|f| f.module.first()).map(String::as_str).collect();
    let strangers = modules.iter().filter(|m| !rules.knows(m));
    let mut complaints: Vec<String> =
        strangers.map(|m| format!("`{m}` has no row in the import table")).collect();
    complaints.extend(tree.unreached.iter().map(|p| format!("{}: no `mod` leads here", p.display())));
    for (path, file) in &tree.files {
        complaints.extend(edges(path, file, rules));
    }
    complaints
}

fn edges(path: &Path, file: &SourceFile, rules: &Rules) -> Vec<String> {
    let Some(from) = file.module.first() else { return Vec::new() };
    let mut complaints = BTreeSet::new();
    for code in file.code() {
        for seen in crate_modules(code.tokens, code.module.len()) {
            if rules.knows(&seen.name) && !rules.allows(from, &seen.name) {
                let place = format!("{}:{}", path.display(), seen.line);
                complaints
                    .insert(format!("{place}: `{from}` imports `{}`, which the table forbids", seen.name));
            }
        }
    }
    complaints.into_iter().collect()
}

/// Every name of a library or of hidden time outside its one place.
pub fn foreign(tree: &Tree, rules: &Rules) -> Vec<String> {
    let mut complaints = Vec::new();
    for (path, file) in &tree.files {
        let code: TokenStream = file.code().into_iter().map(|code| code.tokens).collect();
        for seen in roots(code.clone()) {
            complaints.extend(away_from_home(path, &seen, rules.foreign));
        }
        for seen in words(code) {
            complaints.extend(away_from_home(path, &seen, rules.standard));
        }
    }
    complaints
}

fn away_from_home(path: &Path, seen: &Seen, table: Table) -> Option<String> {
    let (_, homes) = table.iter().find(|(name, _)| *name == seen.name)?;
    let at_home = homes.iter().any(|home| path.starts_with(home));
    let place = format!("{}:{}", path.display(), seen.line);
    (!at_home).then(|| format!("{place}: `{}` is named outside {}", seen.name, homes.join(", ")))
}

/// Files without their opening words, functions that are too long, loose ends.
pub fn numbers(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for (path, file) in &tree.files {
        let path = path.display();
        if !file.text.starts_with("//!") {
            complaints.push(format!("{path}: begins without `//!`"));
        }
        let mut functions = Functions::default();
        functions.visit_file(&file.syntax);
        let long = functions.0.iter().filter(|f| f.lines > FUNCTION_LINES_MAX);
        complaints.extend(long.map(|f| format!("{path}:{}: `{}` has {} lines", f.first, f.name, f.lines)));
        let loose = file.text.lines().enumerate().filter(|(_, line)| is_loose_end(line));
        complaints.extend(loose.map(|(at, _)| format!("{path}:{}: a loose end", at + 1)));
    }
    complaints
}

fn is_loose_end(line: &str) -> bool {
    ["TODO", "FIXME", "XXX", "todo!(", "unimplemented!("].iter().any(|word| line.contains(word))
}

#[derive(Debug)]
struct Seen {
    name: String,
    line: usize,
}

/// The crate's own modules that these tokens reach by `crate::` or by enough `super::`.
fn crate_modules(tokens: TokenStream, depth: usize) -> Vec<Seen> {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at] {
            TokenTree::Group(group) => found.extend(crate_modules(group.stream(), depth)),
            TokenTree::Ident(_) => {
                let (climbed, next) = climb(&tokens, at, depth);
                if climbed {
                    found.extend(first_names(tokens.get(next)));
                }
                at = next.max(at + 1) - 1;
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// Walks over `crate::` or `super::super::`; true when that ends at the crate's root, and where the path goes on.
fn climb(tokens: &[TokenTree], start: usize, depth: usize) -> (bool, usize) {
    let (mut at, mut left) = (start, depth);
    loop {
        match tokens.get(at) {
            Some(TokenTree::Ident(word)) if word == "crate" && is_path_sign(tokens, at + 1) => {
                return (true, at + 3);
            }
            Some(TokenTree::Ident(word)) if word == "super" && is_path_sign(tokens, at + 1) => {
                left = left.saturating_sub(1);
                at += 3;
            }
            _ => return (at > start && left == 0, at),
        }
    }
}

fn is_path_sign(tokens: &[TokenTree], at: usize) -> bool {
    let colon = |token: Option<&TokenTree>| matches!(token, Some(TokenTree::Punct(p)) if p.as_char() == ':');
    colon(tokens.get(at)) && colon(tokens.get(at + 1))
}

/// `a` of `a::b`; `a` and `c` of `{a::b, c::{d, e}}`.
fn first_names(token: Option<&TokenTree>) -> Vec<Seen> {
    match token {
        Some(TokenTree::Ident(name)) => vec![seen(name)],
        Some(TokenTree::Group(group)) => {
            let tokens: Vec<TokenTree> = group.stream().into_iter().collect();
            let parts = tokens.split(|t| matches!(t, TokenTree::Punct(p) if p.as_char() == ','));
            parts.flat_map(|part| first_names(part.first())).collect()
        }
        _ => Vec::new(),
    }
}

fn seen(name: &proc_macro2::Ident) -> Seen {
    Seen { name: name.to_string(), line: name.span().start().line }
}

/// The first name of every path: `a` of `a::b::c`.
fn roots(tokens: TokenStream) -> Vec<Seen> {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Group(group) => found.extend(roots(group.stream())),
            TokenTree::Ident(name)
                if is_path_sign(&tokens, at + 1) && !(at > 1 && is_path_sign(&tokens, at - 2)) =>
            {
                found.push(seen(name));
            }
            _ => {}
        }
    }
    found
}

fn words(tokens: TokenStream) -> Vec<Seen> {
    let each = tokens.into_iter().flat_map(|token| match token {
        TokenTree::Group(group) => words(group.stream()),
        TokenTree::Ident(name) => vec![seen(&name)],
        _ => Vec::new(),
    });
    each.collect()
}

struct Function {
    name: String,
    first: usize,
    lines: usize,
}

#[derive(Default)]
struct Functions(Vec<Function>);

impl Functions {
    fn note(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let first = signature.span().start().line;
        let lines = block.span().end().line - first + 1;
        self.0.push(Function { name: signature.ident.to_string(), first, lines });
    }
}

impl<'ast> Visit<'ast> for Functions {
    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.note(&function.sig, &function.block);
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.note(&function.sig, &function.block);
        visit::visit_impl_item_fn(self, function);
    }
}
