//! The folders of the user who calls the command line, as the XDG Base Directory Specification has them.

use std::path::PathBuf;

/// `$XDG_CONFIG_HOME/baton`, or else `~/.config/baton`.
pub fn config() -> Option<PathBuf> {
    folder("XDG_CONFIG_HOME", ".config")
}

/// `$XDG_CACHE_HOME/baton`, or else `~/.cache/baton`.
pub fn cache() -> Option<PathBuf> {
    folder("XDG_CACHE_HOME", ".cache")
}

fn folder(variable: &str, in_home: &str) -> Option<PathBuf> {
    let said =
        |variable: &str| std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = said(variable).or_else(|| Some(said("HOME")?.join(in_home)))?;
    Some(folder.join("baton"))
}
