//! The token of the machine's user: made once, kept in a file that only the user reads, sent by every client command and taken
//! as an administrator's by every host that the user starts. `BATON_TOKEN` says another.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::failure::Failure;
use super::folders;
use crate::access::secret;

/// The variable that counts for more than the file.
const VARIABLE: &str = "BATON_TOKEN";

/// The token to send, if there is one.
pub fn token() -> Option<String> {
    said().or_else(|| kept(&file()?))
}

/// The token that a host of this user takes; makes it the first time.
pub fn token_of_host() -> Result<String, Failure> {
    if let Some(token) = said() {
        return Ok(token);
    }
    let file = file().ok_or_else(|| {
        Failure::failed(format!(
            "there is no place for a token, because HOME is not set; set {VARIABLE} to a secret of your own"
        ))
    })?;
    kept(&file).map_or_else(|| make(&file), Ok).map_err(|error| {
        Failure::failed(format!(
            "cannot keep a token in {}: {error}; make the folder writable, or set {VARIABLE}",
            file.display()
        ))
    })
}

fn said() -> Option<String> {
    std::env::var(VARIABLE).ok().filter(|token| !token.is_empty())
}

/// `$XDG_CONFIG_HOME/baton/token`, or else `~/.config/baton/token`.
fn file() -> Option<PathBuf> {
    Some(folders::config()?.join("token"))
}

fn kept(file: &Path) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    Some(text.trim().to_owned()).filter(|token| !token.is_empty())
}

/// Of two hosts that start at once the first one's token stays.
fn make(file: &Path) -> io::Result<String> {
    let token = secret()?;
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    match OpenOptions::new().create_new(true).write(true).mode(0o600).open(file) {
        Ok(mut file) => {
            file.write_all(format!("{token}\n").as_bytes())?;
            Ok(token)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => kept(file).ok_or(error),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_token_is_made_once_and_only_its_user_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("baton/token");
        let token = make(&file).unwrap();
        assert_eq!(kept(&file), Some(token.clone()));
        assert_eq!(make(&file).unwrap(), token);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
