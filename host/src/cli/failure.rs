//! How a command ends: exit codes and the errors that carry them.

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use super::output::is_plain;
use crate::config::ConfigError;
use crate::model::report::Problem;

/// How wide lines of a file are drawn.
const DRAWN_WIDTH: usize = 100;

/// What the exit code says; `baton --help` lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The reader of the output went away, as `head` does: nothing is wrong.
    Ok = 0,
    /// It failed, or the host refused it.
    Failed = 1,
    /// The command line cannot be meant.
    Usage = 2,
    /// No host answers.
    Unreachable = 3,
    /// What was asked for is not there.
    NotFound = 4,
    /// It did not happen in time.
    Timeout = 5,
}

/// Why a command did not do what it should.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// The stable code, when the host gave one.
    pub code: Option<String>,
    /// What was wrong and what to do.
    pub message: String,
}

impl Failure {
    /// A failure with its exit code.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, code: None, message: message.into() }
    }

    /// A failure with exit code 1.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, message)
    }

    /// A folder or `baton.toml` that cannot be used.
    pub fn config(error: &ConfigError) -> Self {
        match error {
            ConfigError::NoFolder { .. } => Self::new(Exit::NotFound, error.to_string()),
            ConfigError::Invalid(mistakes) => {
                let drawn = mistakes.draw(io::stderr().is_terminal() && !is_plain(), DRAWN_WIDTH);
                Self::failed(format!("the configuration cannot be used\n\n{drawn}"))
            }
            ConfigError::Unreadable { .. } => Self::failed(error.to_string()),
        }
    }

    /// What the host refused.
    pub fn refused(problem: Problem) -> Self {
        let exit = match problem.status {
            404 => Exit::NotFound,
            408 => Exit::Timeout,
            _ => Exit::Failed,
        };
        let mistakes = problem.mistakes.iter().map(|mistake| format!("\n  {mistake}"));
        let message = problem.detail + &mistakes.collect::<String>();
        Self { exit, code: Some(problem.code), message }
    }

    /// Output that nobody reads any more ends the command without a complaint.
    pub fn output(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::new(Exit::Ok, ""),
            _ => Self::failed(format!("cannot write the output: {error}")),
        }
    }

    /// Says on stderr what is wrong, and gives the exit code.
    pub fn report(&self) -> ExitCode {
        match &self.code {
            _ if self.exit == Exit::Ok => {}
            Some(code) => eprintln!("error[{code}]: {self}"),
            None => eprintln!("error: {self}"),
        }
        ExitCode::from(self.exit as u8)
    }
}
