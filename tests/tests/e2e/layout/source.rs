//! Reads a crate the way the compiler does: from `lib.rs` along its `mod` lines, so that it knows which code is test code.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Attribute, Item, ItemMod};

/// All source files of one crate, by path from its root.
pub struct Tree {
    pub files: BTreeMap<PathBuf, SourceFile>,
    /// Files that no `mod` line leads to.
    pub unreached: Vec<PathBuf>,
}

pub struct SourceFile {
    /// `["journal", "frame"]` for `journal/frame.rs`; empty for the root.
    pub module: Vec<String>,
    pub text: String,
    pub syntax: syn::File,
    pub is_test: bool,
}

/// One item outside test code, with the module that it stands in.
pub struct Code {
    pub module: Vec<String>,
    pub tokens: TokenStream,
}

impl Tree {
    pub fn read(root: &Path) -> Tree {
        let mut tree = Tree { files: BTreeMap::new(), unreached: Vec::new() };
        for start in ["lib.rs", "main.rs"] {
            if root.join(start).exists() {
                tree.follow(root, PathBuf::from(start), Vec::new(), false);
            }
        }
        let known = |path: &PathBuf| !tree.files.contains_key(path);
        tree.unreached = rust_files(root, Path::new("")).into_iter().filter(known).collect();
        tree
    }

    fn follow(&mut self, root: &Path, path: PathBuf, module: Vec<String>, is_test: bool) {
        let text =
            std::fs::read_to_string(root.join(&path)).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let syntax = syn::parse_file(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        for item in &syntax.items {
            if let Item::Mod(child) = item
                && child.content.is_none()
            {
                let file = child_file(root, &module, child);
                let inner = below(&module, child);
                self.follow(root, file, inner, is_test || is_for_tests(&child.attrs));
            }
        }
        self.files.insert(path, SourceFile { module, text, syntax, is_test });
    }
}

impl SourceFile {
    /// What this file contributes to the product: its items without test code.
    pub fn code(&self) -> Vec<Code> {
        let mut found = Vec::new();
        if !self.is_test {
            collect(&self.syntax.items, &self.module, &mut found);
        }
        found
    }
}

fn collect(items: &[Item], module: &[String], found: &mut Vec<Code>) {
    for item in items {
        match item {
            item if is_for_tests(attributes(item)) => {}
            Item::Mod(inner) => {
                if let Some((_, items)) = &inner.content {
                    collect(items, &below(module, inner), found);
                }
            }
            item => found.push(Code { module: module.to_vec(), tokens: item.to_token_stream() }),
        }
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Mod(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Const(item) => &item.attrs,
        _ => &[],
    }
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|a| a.path().is_ident("cfg") && names_test(a.to_token_stream()))
}

fn names_test(tokens: TokenStream) -> bool {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let negated = tokens.iter().any(|t| matches!(t, TokenTree::Ident(i) if i == "not"));
    !negated
        && tokens.into_iter().any(|token| match token {
            TokenTree::Ident(name) => name == "test",
            TokenTree::Group(group) => names_test(group.stream()),
            _ => false,
        })
}

fn below(module: &[String], child: &ItemMod) -> Vec<String> {
    module.iter().cloned().chain([child.ident.to_string()]).collect()
}

fn child_file(root: &Path, module: &[String], child: &ItemMod) -> PathBuf {
    let folder: PathBuf = module.iter().collect();
    let named = named_path(child).map(|name| folder.join(name));
    // `#[path]` counts from the folder of the file, which for `a/b.rs` is `a`.
    let beside = named_path(child).map(|name| folder.parent().unwrap_or(Path::new("")).join(name));
    let plain = folder.join(format!("{}.rs", child.ident));
    let in_folder = folder.join(child.ident.to_string()).join("mod.rs");
    let tried = [named, beside, Some(plain), Some(in_folder)];
    let found = tried.into_iter().flatten().find(|path| root.join(path).exists());
    found.unwrap_or_else(|| panic!("no file for `mod {}` in {}", child.ident, module.join("::")))
}

fn named_path(child: &ItemMod) -> Option<String> {
    let attribute = child.attrs.iter().find(|a| a.path().is_ident("path"))?;
    let syn::Expr::Lit(literal) = &attribute.meta.require_name_value().ok()?.value else { return None };
    let syn::Lit::Str(name) = &literal.lit else { return None };
    Some(name.value())
}

fn rust_files(root: &Path, folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root.join(folder)).unwrap().map(Result::unwrap) {
        let path = folder.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            found.extend(rust_files(root, &path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}
