//! Write event processors for Baton: a processor is one annotated function.
//!
//! ```
//! use baton_sdk::prelude::*;
//!
//! #[derive(Deserialize)]
//! struct OrderCreated { order_id: String, total_minor: u64 }
//!
//! #[derive(Serialize, Deserialize)]
//! struct PointsEarned { order_id: String, points: u64 }
//!
//! /// Gives one point for every whole unit of money.
//! #[processor(name = "loyalty", subscribe("order-created"), publishes("points-earned"))]
//! fn earn(event: Event<OrderCreated>, cx: &mut Context) -> Handled {
//!     let order = event.data();
//!     let points = order.total_minor / 100;
//!     if points == 0 {
//!         return cx.nothing_to_tell("too small an order for points");
//!     }
//!     cx.state().set("points", &points)?;
//!     cx.publish("points-earned", &PointsEarned { order_id: order.order_id.clone(), points })
//! }
//!
//! # #[cfg(not(target_family = "wasm"))] {
//! use baton_sdk::testing::{TestKit, event};
//!
//! let mut kit = TestKit::new(earn_processor());
//! let out = kit.deliver(event("order-created").subject("o-1").json(&serde_json::json!({
//!     "order_id": "o-1", "total_minor": 1250
//! })));
//! assert_eq!(out.published("points-earned")[0].data::<PointsEarned>().points, 12);
//! assert_eq!(kit.state::<u64>("o-1", "points"), Some(12));
//! # }
//! ```
//!
//! `cargo build --target wasm32-wasip2 --release` of a crate with `crate-type = ["cdylib", "rlib"]` makes a
//! component that a Baton host runs as it is. The contract is `wit/processor.wit`.
//!
//! The map: `event`, `context` (with `emit` and `state`) and `fault` are what a handler sees; `descriptor` is what
//! the attribute writes; `run` takes a batch through the handler; `wire` is the contract's memory; `guest` speaks to
//! the host, `testing` stands in for it.

#![warn(missing_docs)]

mod context;
mod descriptor;
mod emit;
mod event;
mod fault;
mod host;
pub mod http;
mod run;
mod state;
mod wire;

#[cfg(target_family = "wasm")]
mod guest;
#[cfg(not(target_family = "wasm"))]
pub mod testing;

/// A handler that ends without telling does not compile:
///
/// ```compile_fail
/// use baton_sdk::prelude::*;
/// #[processor(name = "silent", subscribe("order-created"))]
/// fn handle(_event: Event, _cx: &mut Context) -> Handled { Ok(()) }
/// ```
pub use baton_sdk_macros::processor;
pub use context::Context;
pub use descriptor::{Definition, Descriptor, Processor, Subscription};
pub use emit::Emit;
pub use event::{Event, Payload, Raw};
pub use fault::{Fault, FaultKind, Handled, OrFault, Told};
pub use state::State;
pub use {serde, serde_json};

/// All that a handler needs.
pub mod prelude {
    pub use crate::{Context, Event, Fault, Handled, OrFault, Processor, Told, processor};
    pub use serde::{Deserialize, Serialize};
}

/// What the `#[processor]` attribute's code calls; no part of the interface.
#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub mod __guest {
    pub use crate::guest::{Arguments, COMPONENT_TYPE, Outcomes, handle, handled};
}
