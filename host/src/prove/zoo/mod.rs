//! The zoo: guests that are hostile or broken run one after another beside a processor that behaves, and each gets what it must; the
//! neighbour loses nothing and hardly waits. What the animals are is `animals`; this runs them and says what came of it.

mod animals;
mod bytes;
mod neighbour;
mod report;
mod rogue;
mod run;

pub use crate::runtime::CompileLimits;
pub use animals::{Animal, End, animals};
pub use neighbour::Cost;
pub use report::{Report, Row};
pub use run::{Options, run};

/// A component that behaves: it passes on to `tocks` what comes on the channel of its name.
pub fn copy(name: &str) -> Result<Vec<u8>, Error> {
    bytes::Text::new(name, bytes::COPY).bytes()
}

/// Why the zoo could not be run at all.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A text is no component.
    #[error("an animal cannot be made: {why}")]
    Text {
        /// What the reader of the text said.
        why: String,
    },
    /// A folder could not be made.
    #[error("no room for the host: {0}")]
    Io(#[from] std::io::Error),
    /// The host did not start.
    #[error(transparent)]
    Start(#[from] crate::node::StartError),
    /// The neighbour does not run.
    #[error("the neighbour does not run: {0}")]
    Neighbour(#[from] crate::node::DeployError),
    /// The host took no event.
    #[error("an event was not accepted: {0}")]
    Publish(#[from] crate::node::PublishError),
    /// The host answered nothing.
    #[error("the host does not answer: {0}")]
    Read(#[from] crate::node::ReadError),
    /// A name is none.
    #[error(transparent)]
    Name(#[from] crate::model::name::NameError),
    /// A part of it broke.
    #[error("a task of the zoo broke: {0}")]
    Task(#[from] tokio::task::JoinError),
}
