//! The upgrade gate: what a new version may do, or does to others, that the version before it did not. What is narrower goes straight in, and so does what the
//! operator granted to the processor by name; all else waits until somebody approves it.

use super::bounds::Bounds;
use super::descriptor::Descriptor;
use super::grant::{Grant, matches};
use super::name::ChannelName;

/// What is wider in `new` than in `old`, a line each. `own` is what sections for the processor itself grant; `readers` names the processors that read a
/// channel.
pub fn widened(
    old: &Descriptor,
    new: &Descriptor,
    own: &Grant,
    readers: impl Fn(&ChannelName) -> Vec<String>,
) -> Vec<String> {
    let mut wider = Vec::new();
    let granted = |patterns: &Option<Vec<String>>, channel: &ChannelName| {
        patterns.iter().flatten().any(|pattern| matches(pattern, channel.as_str()))
    };
    for ask in &new.subscriptions {
        match old.subscriptions.iter().find(|known| known.channel == ask.channel) {
            None if !granted(&own.reads, &ask.channel) => wider.push(format!("reads '{}'", ask.channel)),
            Some(known) if known.key != ask.key => {
                let (before, after) = (String::from(known.key.clone()), String::from(ask.key.clone()));
                let channel = &ask.channel;
                wider.push(format!("orders '{channel}' by another key, {after} and not {before}: its state belongs to the old keys"));
            }
            _ => {}
        }
    }
    let new_channels = new.publishes.iter().filter(|channel| !old.publishes.contains(channel));
    for channel in new_channels.filter(|channel| !granted(&own.publishes, channel)) {
        wider.push(format!("publishes on '{channel}'"));
    }
    for channel in old.publishes.iter().filter(|channel| !new.publishes.contains(channel)) {
        let readers = readers(channel);
        if !readers.is_empty() {
            wider.push(format!("no longer publishes on '{channel}', which {} reads", readers.join(", ")));
        }
    }
    wider.extend(wider_limits(old, new));
    wider
}

fn wider_limits(old: &Descriptor, new: &Descriptor) -> impl Iterator<Item = String> {
    let (old, new) = (Bounds::of(&old.limits), Bounds::of(&new.limits));
    let wider = old.named().into_iter().zip(new.named()).filter(|((_, old), (_, new))| new > old);
    wider.map(|((name, old), (_, new))| format!("may use more: {name} {new}, and not {old}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn descriptor(rest: &str) -> Descriptor {
        let json = format!(r#"{{"contract":"baton:processor@0.1.0","name":"x","version":"1",{rest}}}"#);
        Descriptor::from_json(json.as_bytes()).unwrap()
    }

    fn wider(old: &str, new: &str, own: &Grant) -> Vec<String> {
        let readers = |channel: &ChannelName| match channel.as_str() {
            "read" => vec!["y".to_owned(), "z".to_owned()],
            _ => Vec::new(),
        };
        widened(&descriptor(old), &descriptor(new), own, readers)
    }

    const OLD: &str = r#""subscriptions":[{"channel":"a"},{"channel":"b"}],"publishes":["read","unread"],"limits":{"emits_max":10}"#;

    #[test]
    fn what_is_narrower_or_the_same_is_not_wider() {
        assert!(wider(OLD, OLD, &Grant::default()).is_empty());
        let narrower = r#""subscriptions":[{"channel":"a"}],"publishes":["read"],"limits":{"emits_max":5,"event_time_ms_max":100}"#;
        assert!(wider(OLD, narrower, &Grant::default()).is_empty());
    }

    #[test]
    fn everything_that_is_wider_has_its_line() {
        let new = r#""subscriptions":[{"channel":"a","key":"subject"},{"channel":"c"}],"publishes":["unread","new"],
                     "limits":{"emits_max":11,"memory_bytes_max":134217728}"#;
        assert_eq!(
            wider(OLD, new, &Grant::default()),
            [
                "orders 'a' by another key, subject and not default: its state belongs to the old keys",
                "reads 'c'",
                "publishes on 'new'",
                "no longer publishes on 'read', which y, z reads",
                "may use more: memory_bytes_max 134217728, and not 67108864",
                "may use more: emits_max 11, and not 10",
            ]
        );
    }

    #[test]
    fn channels_that_are_granted_by_name_go_straight_in() {
        let new = r#""subscriptions":[{"channel":"a"},{"channel":"c"}],"publishes":["read","unread","new"],"limits":{"emits_max":10}"#;
        let own = Grant {
            reads: Some(vec!["c".to_owned()]),
            publishes: Some(vec!["n*".to_owned()]),
            ..Grant::default()
        };
        assert!(wider(OLD, new, &own).is_empty());
    }
}
