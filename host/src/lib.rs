//! Baton: a host for event processors. It owns event channels on one durable journal, and runs the processors of those
//! events: WebAssembly components, and code of the application that embeds it. The program `baton` is this crate with a command line.
//!
//! # An application with a host inside
//!
//! ```
//! use std::time::Duration;
//!
//! use baton::{Awaited, Native, Node, Outcome};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let loyalty = Native::new("loyalty", "1.0.0")
//!     .subscribe("payment-applied")
//!     .publishes("points-earned")
//!     .handler(|event, cx| {
//!         let balance = cx.state::<u64>("balance")?.unwrap_or(0) + event.json::<u64>()? / 100;
//!         Outcome::handled().set("balance", &balance)?.emit_json("points-earned", &balance)
//!     });
//! let node = Node::builder().native(loyalty).start().await?;
//!
//! let accepted = node.publish_json("payment-applied", "ada", &1250).await?;
//! let points = Awaited::Channel("points-earned".parse()?);
//! node.await_in_flow(accepted.flow.parse()?, &points, Duration::from_secs(10)).await?.ok_or("no points in time")?;
//! let state = node.state(&"loyalty".parse()?, Some("ada"), 10).ok_or("no such processor")?;
//! assert_eq!(state[0].value, Some(12.into()));
//!
//! node.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! This one is in memory. [`NodeBuilder::folder`] gives it a journal on the disk, `baton.toml` and a watched folder of components, as `baton
//! serve` has them; [`Node::deploy_component`] deploys one from bytes; [`api::serve`] answers HTTP on a listener until it is told to end (end it
//! before the node). A [`Node`] is a cheap handle: clone it to wherever events are published. [`Node::stop`] ends the host in order; without it the last
//! handle does so, and blocks meanwhile.
//!
//! # What is where
//!
//! [`node`] is the front door; [`config`] and [`clock`] are what it is built from; [`model`] holds the words: events, names, reports; [`api`] serves
//! HTTP, to those whom [`Node::admit_local`] or a token lets in; [`telemetry`] writes the host's own log; [`testkit`] runs a topology in a test. All other modules are the inside, lowest first: `meter` counts; `access` knows the tokens of HTTP; `journal` makes frames durable; `view` folds
//! them; `channel` owns a domain's channels; `runtime` runs guests; `registry` watches which there are; `dispatch` brings events to handlers and
//! outcomes to frames; `flows` tells which orders are done. They are public for the benchmark and the tests, and promise nothing.

#[doc(hidden)]
pub mod access;
pub mod api;
#[doc(hidden)]
pub mod bench;
#[doc(hidden)]
pub mod channel;
#[doc(hidden)]
pub mod cli;
pub mod clock;
pub mod config;
#[doc(hidden)]
pub mod dispatch;
#[doc(hidden)]
pub mod flows;
#[cfg(test)]
mod fuzz;
#[doc(hidden)]
pub mod journal;
#[doc(hidden)]
pub mod mediator;
#[doc(hidden)]
pub mod meter;
pub mod model;
pub mod node;
#[doc(hidden)]
pub mod prove;
#[doc(hidden)]
pub mod registry;
#[doc(hidden)]
pub mod runtime;
pub mod spans;
pub mod telemetry;
pub mod testkit;
#[doc(hidden)]
pub mod view;

pub use dispatch::{Context, Emit, Handled, Native, Outcome, Received, Rejected};
pub use model::event::Event;
pub use node::{
    Answer, Awaited, DeployError, Node, NodeBuilder, PublishError, ReadError, ReadFrom, StartError,
};
