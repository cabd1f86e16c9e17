//! The processor that `baton bench` measures with: it copies every event to the next channel of a chain.

use baton_sdk::prelude::*;

/// The chain: an event that is published on the first channel makes five hops, one on the last but one makes one.
const NEXT: [&str; 5] = ["hop-1", "hop-2", "hop-3", "hop-4", "hop-5"];

/// Copies an event to the next channel. The last hop, which most figures are taken with, comes first: a processor with
/// one channel on each side finds it no later.
#[processor(
    name = "copier",
    description = "Copies every event to the next channel.",
    subscribe("hop-4"),
    subscribe("hop-3"),
    subscribe("hop-2"),
    subscribe("hop-1"),
    subscribe("hop-0"),
    publishes("hop-5", "hop-4", "hop-3", "hop-2", "hop-1")
)]
fn copy(event: Event, cx: &mut Context) -> Handled {
    let hop = event.channel().bytes().last().unwrap_or_default();
    let next = NEXT.get(usize::from(hop.wrapping_sub(b'0')));
    let next = next.ok_or_else(|| Fault::reject("the chain ends here"))?;
    cx.emit(next).bytes(event.content_type().unwrap_or("application/octet-stream"), event.bytes())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
mod tests {
    use super::*;
    use baton_sdk::testing::{TestKit, event};

    #[test]
    fn an_event_goes_one_hop_on_unchanged() {
        let out = TestKit::new(copy_processor()).deliver(event("hop-4").bytes("text/plain", b"as it is"));
        assert_eq!(out.published("hop-5")[0].bytes(), b"as it is");
    }
}
