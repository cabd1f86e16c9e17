//! Views: what the journal adds up to, held in memory and written behind to an embedded store. Every view can be
//! thrown away and folded again from the journal; none decides anything.

pub mod decided;
pub mod failed;
pub mod flow;
pub mod flow_news;
pub mod index;
pub mod ledger;
pub mod recorded;
pub mod reports;
pub mod state;
pub mod store;
pub mod wanted;
pub mod world;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod fixture;
